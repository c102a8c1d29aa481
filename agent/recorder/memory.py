"""Collector: how much memory the node has left, and how many pages come back from disk.

Documentation/filesystems/proc.rst. A page that was evicted and is read again counts as a refault
(``workingset_refault_file`` since 5.9, ``workingset_refault`` before). psutil is not asked: it has
neither dirty pages nor faults nor refaults.
"""

from __future__ import annotations

from agent.errors import NoData
from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile, number_after

Numbers = tuple[int, int, int, int, int]


def parse_memory(meminfo: bytes, vmstat: bytes) -> Numbers:
    """Return available, dirty and writeback KiB, and major faults and refaults since boot."""
    plain = meminfo.replace(b" kB", b"")
    available_kib = number_after(plain, b"MemAvailable:", -1)
    if available_kib < 0:
        raise NoData("no MemAvailable: kernel < 3.14")
    return (
        available_kib,
        number_after(plain, b"\nDirty:"),
        number_after(plain, b"\nWriteback:"),
        number_after(vmstat, b"\npgmajfault "),
        refaults(vmstat),
    )


def refaults(stat: bytes, prefix: bytes = b"") -> int:
    """Add up the refaults of a vmstat or memory.stat, whatever the kernel calls them."""
    whole = number_after(stat, prefix + b"workingset_refault ", -1)
    if whole >= 0:
        return whole
    file = number_after(stat, prefix + b"workingset_refault_file ")
    return file + number_after(stat, prefix + b"workingset_refault_anon ")


class Memory:
    """The node's meminfo and vmstat, kept open."""

    def __init__(self, host: Host) -> None:
        self._meminfo = KeptFile(host.proc / "meminfo")
        self._vmstat = KeptFile(host.proc / "vmstat")

    def numbers(self) -> Numbers:
        """Read both files."""
        return parse_memory(self._meminfo.read(), self._vmstat.read_all())

    def close(self) -> None:
        """Close the files."""
        self._meminfo.close()
        self._vmstat.close()
