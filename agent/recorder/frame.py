"""A Sample as integers: rows of counters under keys, as the recorder takes and the ring keeps them.

A frame costs a dictionary of tuples a second; Samples with their names and units are only made when
somebody reads. Every column has a quantum: the stored integer times it is the Sample's number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, overload

from agent.model import CgroupCounters, DiskCounters, Psi, Sample, Subject, SubjectKind

Key: TypeAlias = tuple[str, ...]
Row: TypeAlias = tuple[int, ...]
PodName: TypeAlias = tuple[str, str]  # namespace, name

PSI, MEMORY, DISK, GROUP, PART = "psi", "memory", "disk", "group", "part"
WIDTHS: Mapping[str, int] = {PSI: 4, MEMORY: 5, DISK: 6, GROUP: 12, PART: 12}
_LENGTHS: Mapping[str, int] = {PSI: 2, MEMORY: 1, DISK: 2, GROUP: 5, PART: 6}
_KINDS = frozenset(str(kind) for kind in SubjectKind)
_KIB, _SECTOR, _PAGE = 1024, 512, 4096
_TENTH_MS = 1e-4


@dataclass(frozen=True, slots=True)
class Frame:
    """One second: rows by key. An unchanged row is the same tuple as the second before."""

    at_ms: int
    rows: Mapping[Key, Row] = field(default_factory=dict)


def group_key(owner: Subject, container: str = "") -> Key:
    """Give the key of a control group: a pod is its uid, whatever it is called.

    >>> group_key(Subject(SubjectKind.UNIT, "docker.service"))
    ('group', 'unit', 'docker.service', '', '')
    """
    name, namespace = ("", "") if owner.uid else (owner.name, owner.namespace)
    head: Key = (PART if container else GROUP, str(owner.kind), name, namespace, owner.uid)
    return (*head, container) if container else head


def is_key(key: Key) -> bool:
    """Say whether a key is one of ours: rings come from strangers, too."""
    if not key or _LENGTHS.get(key[0]) != len(key):
        return False
    return key[0] not in (GROUP, PART) or key[1] in _KINDS


class Rows(Mapping[Key, Row]):
    """The rows of one frame as two columns: neighbours share the keys, and mostly the rows."""

    __slots__ = ("names", "rows")

    def __init__(self, names: tuple[Key, ...], rows: tuple[Row, ...]) -> None:
        self.names, self.rows = names, rows

    @classmethod
    def of(cls, rows: Mapping[Key, Row]) -> Rows:
        """Give any rows in this form."""
        return rows if isinstance(rows, Rows) else cls(tuple(rows), tuple(rows.values()))

    def __getitem__(self, key: Key) -> Row:
        try:
            return self.rows[self.names.index(key)]
        except ValueError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[Key]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Groups(Sequence[CgroupCounters]):
    """The control groups of one second, each made when it is looked at: an hour has 400,000."""

    __slots__ = ("_keys", "_maker", "_rows")

    def __init__(self, keys: tuple[Key, ...], rows: tuple[Row, ...], maker: GroupMaker) -> None:
        self._keys = keys
        self._rows = rows
        self._maker = maker

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, place: int) -> CgroupCounters: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[CgroupCounters, ...]: ...
    def __getitem__(self, place: int | slice) -> CgroupCounters | tuple[CgroupCounters, ...]:
        if isinstance(place, slice):
            return tuple(map(self._maker.group, self._keys[place], self._rows[place]))
        return self._maker.group(self._keys[place], self._rows[place])

    def __iter__(self) -> Iterator[CgroupCounters]:
        return map(self._maker.group, self._keys, self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(self._rows)


class GroupMaker:
    """Makes counters of control groups; what did not change since it was made is not made again."""

    def __init__(self, names: Mapping[str, PodName]) -> None:
        self._names = names
        self._owners: dict[Key, Subject] = {}
        self._made: dict[Key, tuple[Row, CgroupCounters]] = {}

    def group(self, key: Key, row: Row) -> CgroupCounters:
        """Give the counters of one row."""
        known = self._made.get(key)
        if known and known[0] is row:
            return known[1]
        made = CgroupCounters(
            owner=self._owner(key),
            cpu_s=row[0] * _TENTH_MS,
            throttled_s=row[1] * _TENTH_MS,
            read_bytes=row[2] * _SECTOR,
            write_bytes=row[3] * _SECTOR,
            reads=row[4],
            writes=row[5],
            memory_bytes=row[6] * _PAGE,
            refaults=row[7],
            major_faults=row[8],
            cpu_stalled_s=row[9] * _TENTH_MS,
            io_stalled_s=row[10] * _TENTH_MS,
            memory_stalled_s=row[11] * _TENTH_MS,
            container=key[5] if len(key) > 5 else "",
        )
        self._made[key] = (row, made)
        return made

    def _owner(self, key: Key) -> Subject:
        owner = self._owners.get(key)
        if owner is None:
            kind, name, namespace, uid = key[1:5]
            namespace, name = self._names.get(uid, (namespace, name))
            owner = self._owners[key] = Subject(SubjectKind(kind), name, namespace, uid)
        return owner


class Samples:
    """Turns frames into Samples; where each row stands is found out once for all that are alike."""

    def __init__(self, names: Mapping[str, PodName] | None = None) -> None:
        self._maker = GroupMaker(names or {})
        self._known: tuple[Key, ...] | None = None
        self._places: dict[Key, int] = {}
        self._disks: tuple[tuple[str, int], ...] = ()
        self._groups: tuple[Key, ...] = ()
        self._parts: tuple[Key, ...] = ()

    def sample(self, frame: Frame) -> Sample:
        """Make the Sample of one frame."""
        named = Rows.of(frame.rows)
        if named.names is not self._known:
            self._learn(named.names)
        rows = named.rows
        memory = self._row(rows, (MEMORY,))
        return Sample(
            at_s=frame.at_ms / 1000,
            cpu=_psi(self._row(rows, (PSI, "cpu"))),
            io=_psi(self._row(rows, (PSI, "io"))),
            memory=_psi(self._row(rows, (PSI, "memory"))),
            memory_available_bytes=memory[0] * _KIB if memory else None,
            disks=tuple(_disk(name, rows[place]) for name, place in self._disks),
            cgroups=self._grouped(self._groups, rows),
            containers=self._grouped(self._parts, rows) if self._parts else (),
            memory_dirty_bytes=memory[1] * _KIB if memory else None,
            memory_writeback_bytes=memory[2] * _KIB if memory else None,
            major_faults=memory[3] if memory else None,
            refaults=memory[4] if memory else None,
        )

    def _learn(self, names: tuple[Key, ...]) -> None:
        self._known = names
        self._places = {key: place for place, key in enumerate(names)}
        self._disks = tuple((key[1], at) for key, at in self._places.items() if key[0] == DISK)
        self._groups = tuple(key for key in names if key[0] == GROUP)
        self._parts = tuple(key for key in names if key[0] == PART)

    def _row(self, rows: tuple[Row, ...], key: Key) -> Row | None:
        place = self._places.get(key)
        return None if place is None else rows[place]

    def _grouped(self, keys: tuple[Key, ...], rows: tuple[Row, ...]) -> Groups:
        places = map(self._places.__getitem__, keys)
        return Groups(keys, tuple(map(rows.__getitem__, places)), self._maker)


def _psi(row: Row | None) -> Psi | None:
    return Psi(row[0] / 100, row[1] / 1e6, row[2] / 100, row[3] / 1e6) if row else None


def _disk(name: str, row: Row) -> DiskCounters:
    read, written, reads, writes, busy_ms, queue_ms = row
    moved = (read * _SECTOR, written * _SECTOR, reads, writes)
    return DiskCounters(name, *moved, busy_ms / 1000, queue_ms / 1000)
