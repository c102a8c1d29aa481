#!/bin/sh
# Fills a disk image: the node's root file system, and a Postgres cluster with pgbench's tables.
# IMAGE MOUNTPOINT ROOTFS SCALE. Runs in namespaces of its own.
set -e
image=$1 place=$2 rootfs=$3 scale=$4
mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 "$image"
mount -o loop "$image" "$place"
mkdir "$place/rootfs" "$place/upper" "$place/work" "$place/docker" "$place/containerd" "$place/pg"
cp -a "$rootfs/." "$place/rootfs/"
mkdir -p "$place/rootfs/srv/pg"
mount --bind "$place/pg" "$place/rootfs/srv/pg"
mount -t tmpfs tmpfs "$place/rootfs/dev/shm"
mount -t proc proc "$place/rootfs/proc"
inside() {
    chroot "$place/rootfs" /usr/bin/setpriv --reuid=postgres --regid=postgres --clear-groups \
        /usr/bin/env -i PATH="$programs" LC_ALL=C.UTF-8 "$@"
}
programs=$(cd "$place/rootfs" && echo usr/lib/postgresql/*/bin)
programs=/$programs:/usr/bin:/bin
chroot "$place/rootfs" chown postgres:postgres /srv/pg
inside initdb -D /srv/pg/data -A trust -U postgres -k -N > /dev/null
cat >> "$place/pg/data/postgresql.conf" << 'END'
listen_addresses = ''
unix_socket_directories = '/srv/pg'
shared_buffers = 32MB
max_wal_size = 1GB
checkpoint_timeout = 15min
END
inside pg_ctl -D /srv/pg/data -o '-F' -l /srv/pg/log -w start > /dev/null
inside pgbench -i -q -I dtGvp -s "$scale" -h /srv/pg postgres 2> /dev/null
inside psql -q -h /srv/pg postgres -c 'VACUUM (FREEZE, ANALYZE)' -c 'CHECKPOINT'
inside pg_ctl -D /srv/pg/data -m fast -w stop > /dev/null
umount "$place/rootfs/proc" "$place/rootfs/dev/shm" "$place/rootfs/srv/pg" "$place"
