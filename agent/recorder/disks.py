"""Collector: what each block device moved and how busy it was.

Documentation/admin-guide/iostats.rst; a sector is 512 bytes whatever the device says. Partitions,
RAM disks and devices that never moved a byte are left out. psutil is not asked: it has no time in
the queue, and looks up each device in /sys anew (measured: six times our CPU).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile

Numbers = tuple[int, int, int, int, int, int]
_RAM = "ram"


@dataclass(frozen=True, slots=True)
class Devices:
    """The whole devices of the node, and the ``MAJ:MIN`` of those that stand on other devices."""

    whole: frozenset[str] = frozenset()
    stacked: frozenset[bytes] = frozenset()


def find_devices(host: Host) -> Devices:
    """Look into /sys/block: partitions do not lie there; LVM, RAID and crypt name their slaves."""
    whole: set[str] = set()
    stacked: set[bytes] = set()
    try:
        names = os.listdir(host.sys / "block")  # noqa: PTH208 - strings, no Path each
    except OSError:
        return Devices()
    for name in names:
        whole.add(name.replace("!", "/"))  # cciss/c0d0 is cciss!c0d0 in sysfs
        folder = host.sys / "block" / name
        try:
            if os.listdir(folder / "slaves"):  # noqa: PTH208
                stacked.add((folder / "dev").read_bytes().strip())
        except OSError:
            continue
    return Devices(frozenset(whole), frozenset(stacked))


def parse_diskstats(text: bytes, whole: Collection[str]) -> Iterator[tuple[str, Numbers]]:
    """Give name and (sectors read, written, reads, writes, busy ms, queue ms) of each device.

    Lines that are too short or hold no numbers are passed over. With an empty ``whole`` (no
    /sys/block here) every device counts, partitions too.
    """
    for line in text.splitlines():
        words = line.split()
        if len(words) < 14 or words[3] == words[7] == b"0":
            continue
        name = words[2].decode("utf-8", "replace")
        if (whole and name not in whole) or name.startswith(_RAM):
            continue
        try:
            numbers = [int(word) for word in words[3:14]]
        except ValueError:
            continue
        reads, _, read_sectors, _, writes, _, written_sectors, _, _, busy_ms, queue_ms = numbers
        yield name, (read_sectors, written_sectors, reads, writes, busy_ms, queue_ms)


class Disks:
    """The node's diskstats, kept open."""

    def __init__(self, host: Host) -> None:
        self._file = KeptFile(host.proc / "diskstats")
        self._raw = b""
        self._seen: list[tuple[str, Numbers]] = []

    def numbers(self, whole: Collection[str]) -> list[tuple[str, Numbers]]:
        """Read the file; unchanged text is not parsed again."""
        raw = self._file.read_all()
        if raw != self._raw:
            self._raw, self._seen = raw, list(parse_diskstats(raw, whole))
        return self._seen

    def close(self) -> None:
        """Close the file."""
        self._file.close()
