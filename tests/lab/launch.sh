#!/bin/sh
# Starts the node in the namespaces that box.py made for it; all it mounts and starts goes with them.
# ROOTFS RUN BASE PYTHON SERVER CGROUP... -- NSPAWN-OPTION...
# With a BASE everything of the node lies on one slow disk (disk/server.py), else in RUN.
set -e
rootfs=$1 run=$2 base=$3 python=$4 server=$5
shift 5
data=$run
if [ -n "$base" ]; then
    rm -f "$run/disk.control" # of an earlier boot
    nice -n -10 "$python" "$server" "$base" "$run/changes" "$run/disk.file" "$run/disk.control" &
    until grep -q " $run/disk.file " /proc/self/mountinfo; do sleep 0.05; done
    device=$(losetup --direct-io=on --find --show "$run/disk.file")
    echo "${device##*/}" > "$run/disk.name"
    data=$run/disk rootfs=$run/disk/rootfs
    mount -o noatime "$device" "$data"
    cp -a "$run/upper/." "$data/upper/"
    # Mounted afresh: no page of it is charged to this machine, all to the node that reads it.
    umount "$data"
    mount -o noatime "$device" "$data"
    losetup --detach "$device" # when its last user is gone
fi
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$data/upper,workdir=$data/work" "$run/root"
while [ "$1" != -- ]; do
    echo $$ > "$1/cgroup.procs"
    shift
done
shift
set +e
systemd-nspawn -q --register=no --keep-unit -D "$run/root" "$@"
status=$?
umount "$run/root"
[ -z "$base" ] || umount "$data"
exit $status
