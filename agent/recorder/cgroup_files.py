"""What one control group has used so far: its files kept open, its counters as one row of integers.

Speed comes from three habits. A file whose bytes did not change is not parsed. A group whose vital
files did not change (processor time; time stalled on I/O) is asked for the rest only now and then.
And a row that did not change is the same tuple, which the ring's coder sees at once.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection
from pathlib import Path

from agent.errors import NoData
from agent.recorder.cgroups import Group, Tree, Version
from agent.recorder.keptfile import PAGE_BYTES, KeptFile, number_after
from agent.recorder.memory import refaults
from agent.recorder.psi import some_total_us

Row = tuple[int, ...]
Parse = Callable[[bytes], Row]
_US, _NS = 100, 100_000  # how many of them make the row's unit, a tenth of a millisecond
_SECTOR_BYTES = 512
_ABSENT = frozenset({errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENOTDIR, errno.EACCES})
GONE = frozenset({errno.ENODEV, errno.ENOENT})
IO = slice(2, 6)  # where a row holds bytes and operations read and written
WIDTH = 12
BELOW = "_recursive"  # v1 files that count what lies below as well, on newer kernels

# Where each file's numbers stand in the row: cpu, throttled | read, written bytes and operations |
# memory | refaults, major faults | stalled on cpu, on io, on memory.
_CPU, _THROTTLED, _IO, _MEMORY, _FAULTS, _CPU_PSI, _IO_PSI, _MEMORY_PSI = 0, 1, 2, 6, 7, 9, 10, 11


class Gauge:
    """One file of a group, and what it said last."""

    __slots__ = ("at", "file", "numbers", "parse", "raw")

    def __init__(self, file: KeptFile, at: int, parse: Parse) -> None:
        self.file = file
        self.at = at
        self.parse = parse
        self.raw = b""
        self.numbers: Row = ()

    def changed(self) -> bool:
        """Read the file; say whether its numbers are new."""
        raw = os.pread(self.file.fd, PAGE_BYTES, 0)
        if raw == self.raw:
            return False
        numbers = self.parse(raw)
        self.raw, same = raw, numbers == self.numbers
        self.numbers = numbers
        return not same


class Meter:
    """One control group while it lives."""

    __slots__ = ("_rest", "_vital", "absent", "group", "row")

    def __init__(self, group: Group, tree: Tree, stacked: Collection[bytes]) -> None:
        self.group = group
        self.row: Row = (0,) * WIDTH
        self.absent: set[str] = set()
        vital, rest = _plans(group, tree, stacked)
        self._vital: list[Gauge] = []
        self._rest: list[Gauge] = []
        try:
            self._vital += self._opened(vital)
            self._rest += self._opened(rest)
        except OSError:
            self.close()
            raise
        if not self._vital and not self._rest:
            raise NoData(f"{group.path}: holds no counters")

    def _opened(self, plans: list[tuple[Path, int, Parse]]) -> list[Gauge]:
        opened: list[Gauge] = []
        for path, at, parse in plans:
            gauge = Gauge(KeptFile(path), at, parse)
            try:
                gauge.file.read()
            except OSError as error:
                gauge.file.close()
                if error.errno not in _ABSENT:
                    for one in opened:
                        one.file.close()
                    raise
                self.absent.add(path.name)
            else:
                opened.append(gauge)
        return opened

    def read(self, whole: bool) -> Row:
        """Return the counters so far; ``whole`` asks for all files even when the group sleeps."""
        moved = [gauge for gauge in self._vital if gauge.changed()]
        if moved or whole or not self._vital:
            moved += [gauge for gauge in self._rest if gauge.changed()]
        if moved:
            row = list(self.row)
            for gauge in moved:
                row[gauge.at : gauge.at + len(gauge.numbers)] = gauge.numbers
            self.row = tuple(row)
        return self.row

    @property
    def counts_children_io(self) -> bool:
        """Say whether the I/O of containers is part of this group's own numbers."""
        return f"blkio.throttle.io_service_bytes{BELOW}" not in self.absent

    def close(self) -> None:
        """Close the files."""
        for gauge in (*self._vital, *self._rest):
            gauge.file.close()


_Plans = list[tuple[Path, int, Parse]]


def _plans(group: Group, tree: Tree, stacked: Collection[bytes]) -> tuple[_Plans, _Plans]:
    if tree.version is Version.V2:
        return _plans_v2(tree.index / group.path, not group.container, stacked)
    return _plans_v1(group, tree, stacked)


def _plans_v2(folder: Path, whole: bool, stacked: Collection[bytes]) -> tuple[_Plans, _Plans]:
    def io(text: bytes) -> Row:
        return io_stat(text, stacked)

    vital: _Plans = [(folder / "cpu.stat", _CPU, cpu_stat)]
    rest: _Plans = [(folder / "io.stat", _IO, io), (folder / "memory.current", _MEMORY, pages)]
    if whole:
        vital.append((folder / "io.pressure", _IO_PSI, stalled))
        rest += [
            (folder / "memory.stat", _FAULTS, memory_stat),
            (folder / "cpu.pressure", _CPU_PSI, stalled),
            (folder / "memory.pressure", _MEMORY_PSI, stalled),
        ]
    return vital, rest


def _plans_v1(group: Group, tree: Tree, stacked: Collection[bytes]) -> tuple[_Plans, _Plans]:
    def io(text: bytes) -> Row:
        return blkio(text, stacked, _SECTOR_BYTES)

    def operations(text: bytes) -> Row:
        return blkio(text, stacked, 1)

    path, blk, memory = group.path, tree.io / group.path, tree.memory / group.path
    below = "" if group.container else BELOW
    names = [f"blkio.throttle.{what}{below}" for what in ("io_service_bytes", "io_serviced")]
    vital: _Plans = [(tree.cpuacct / path / "cpuacct.usage", _CPU, nanoseconds)]
    rest: _Plans = [
        (tree.cpu / path / "cpu.stat", _THROTTLED, throttled_time),
        (blk / names[0], _IO, io),
        (blk / names[1], _IO + 2, operations),
        (memory / "memory.usage_in_bytes", _MEMORY, pages),
    ]
    if not group.container:
        if not (blk / names[0]).exists():  # only newer kernels add up what lies below
            rest += [
                (blk / "blkio.throttle.io_service_bytes", _IO, io),
                (blk / "blkio.throttle.io_serviced", _IO + 2, operations),
            ]
        rest.append((memory / "memory.stat", _FAULTS, memory_stat))
    if tree.pressure and not group.container:
        vital.append((tree.pressure / path / "io.pressure", _IO_PSI, stalled))
    return vital, rest


def cpu_stat(text: bytes) -> Row:
    """Read processor time and throttled time of a v2 ``cpu.stat``, in tenths of a millisecond."""
    return (
        number_after(text, b"usage_usec ") // _US,
        number_after(text, b"throttled_usec ") // _US,
    )


def throttled_time(text: bytes) -> Row:
    """Read the throttled time of a v1 ``cpu.stat``."""
    return (number_after(text, b"throttled_time ") // _NS,)


def nanoseconds(text: bytes) -> Row:
    """Read ``cpuacct.usage``."""
    return (int(text) // _NS,)


def pages(text: bytes) -> Row:
    """Read bytes as pages of 4 KiB."""
    return (int(text) // PAGE_BYTES,)


def stalled(text: bytes) -> Row:
    """Read the time in which some task stalled from a pressure file."""
    return (some_total_us(text) // _US,)


def memory_stat(text: bytes) -> Row:
    """Read refaults and major faults; v1 has them with ``total_`` for the group and all below."""
    prefix = b"total_" if b"\ntotal_" in text else b"\n"
    return refaults(text, prefix), number_after(text, prefix + b"pgmajfault ")


def io_stat(text: bytes, stacked: Collection[bytes]) -> Row:
    """Read sectors and operations of a v2 ``io.stat``: ``8:0 rbytes=1 wbytes=2 rios=3 wios=4``.

    A stacked device (LVM, RAID, crypt) may count what the disk below it counts again, so it only
    counts where nothing else does.
    """
    own, above = [0, 0, 0, 0], [0, 0, 0, 0]
    for line in text.splitlines():
        device, _, rest = line.partition(b" ")
        sums = above if device in stacked else own
        for word in rest.split():
            at = _IO_WORDS.get(word[: word.find(b"=")])
            if at is not None:
                sums[at] += int(word[word.find(b"=") + 1 :])
    best = own if any(own) else above
    return best[0] // _SECTOR_BYTES, best[1] // _SECTOR_BYTES, best[2], best[3]


_IO_WORDS = {b"rbytes": 0, b"wbytes": 1, b"rios": 2, b"wios": 3}


def blkio(text: bytes, stacked: Collection[bytes], unit: int) -> Row:
    """Read a v1 ``blkio.throttle`` file: ``8:0 Read 4096``, in units of so many bytes."""
    own, above = [0, 0], [0, 0]
    for line in text.splitlines():
        words = line.split()
        if len(words) != 3 or words[1] not in _BLKIO_WORDS:
            continue
        (above if words[0] in stacked else own)[_BLKIO_WORDS[words[1]]] += int(words[2])
    best = own if any(own) else above
    return best[0] // unit, best[1] // unit


_BLKIO_WORDS = {b"Read": 0, b"Write": 1}
