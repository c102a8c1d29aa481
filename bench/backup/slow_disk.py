"""A slow volume: a loop device on a file, capped by blk-throttle as a cloud volume is.

Only this one device is capped, in the root group of cgroup v1's ``blkio``; a shell that outlives us
takes everything away again, also after a SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError

BYTES_PER_S, IOPS = 60_000_000, 1200
READ_AHEAD_KB = 128  # the kernel's default; this may be a machine that sets another
_WAYS = ("read", "write")
# Its standard input ends when we do. $1 the group, $2 the device's number, $3 device, $4 place.
_UNDERTAKER = """
read -r _
for way in read write; do for unit in bps iops; do
  echo "$2 0" > "$1/blkio.throttle.${way}_${unit}_device"
done; done
pid=$(head -n 1 "$4/disk/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do umount "$4/disk" 2>/dev/null && break; sleep 0.5; done
umount -l "$4/disk" 2>/dev/null
losetup -d "$3"
rm -rf "$4"
"""


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """A mounted volume whose capacity can be turned."""

    group: Path
    number: str
    name: str
    place: Path

    @property
    def folder(self) -> Path:
        """Where it is mounted."""
        return self.place / "disk"

    def cap(self, bytes_per_s: int, iops: int) -> None:
        """Set what the volume allows from now on; 0 lifts a limit."""
        for way in _WAYS:
            for unit, value in (("bps", bytes_per_s), ("iops", iops)):
                file = self.group / f"blkio.throttle.{way}_{unit}_device"
                file.write_text(f"{self.number} {value}")

    def read_so_far(self) -> tuple[int, int]:
        """Return the requests and the bytes read since the device exists."""
        fields = Path(f"/sys/block/{self.name}/stat").read_text().split()
        return int(fields[0]), int(fields[2]) * 512


@contextlib.contextmanager
def slow_disk(place: Path, size_bytes: int) -> Iterator[SlowDisk]:
    """Make a volume below ``place``, uncapped until asked for, and take it away afterwards."""
    group = _group()
    (place / "disk").mkdir(parents=True)
    image = place / "image"
    with image.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size_bytes)
    device = _output(["losetup", "--find", "--show", str(image)])
    name = device.rpartition("/")[2]
    number = Path(f"/sys/block/{name}/dev").read_text().strip()
    undertaker = subprocess.Popen(
        ["sh", "-c", _UNDERTAKER, "undertaker", str(group), number, device, str(place)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        Path(f"/sys/block/{name}/queue/read_ahead_kb").write_text(str(READ_AHEAD_KB))
        _output(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", device])
        _output(["mount", "-o", "noatime", device, str(place / "disk")])
        yield SlowDisk(group, number, name, place)
    finally:
        undertaker.communicate(timeout=60)


def _group() -> Path:
    """Find the root of the blkio hierarchy, or say why there can be no slow disk here."""
    if os.geteuid() != 0:
        raise UserError("a slow disk needs root", "run the bench as root, or --smoke")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, options, *_ = line.split()
        throttle = Path(where) / "blkio.throttle.read_bps_device"
        if kind == "cgroup" and "blkio" in options.split(",") and throttle.exists():
            return Path(where)
    raise UserError("no blkio.throttle of cgroup v1 here", "boot with cgroup v1, or --smoke")


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{command[0]}: {done.stderr.strip()}", "the bench needs a loop device")
    return done.stdout.strip()
