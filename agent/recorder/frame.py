"""A Sample as integers: rows of counters under keys, as the recorder takes and the ring keeps them.

A frame costs a dictionary of tuples a second; Samples with their names and units are only made when
somebody reads. Every column has a quantum: the stored integer times it is the Sample's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

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


class Samples:
    """Turns frames into Samples; what did not change since the last frame is not made again."""

    def __init__(self, names: Mapping[str, PodName] | None = None, parts: bool = True) -> None:
        self._names = names or {}
        self._parts = parts
        self._made: dict[Key, tuple[Row, DiskCounters | CgroupCounters]] = {}

    def sample(self, frame: Frame) -> Sample:
        """Make the Sample of one frame."""
        psi: dict[str, Psi] = {}
        memory: Row | None = None
        disks: list[DiskCounters] = []
        groups: list[CgroupCounters] = []
        containers: list[CgroupCounters] = []
        made, self._made = self._made, {}
        for key, row in frame.rows.items():
            what = key[0]
            if what == PSI:
                psi[key[1]] = Psi(row[0] / 100, row[1] / 1e6, row[2] / 100, row[3] / 1e6)
            elif what == MEMORY:
                memory = row
            elif what != PART or self._parts:
                known = made.get(key)
                one = known[1] if known and known[0] is row else self._counters(key, row)
                self._made[key] = (row, one)
                if isinstance(one, DiskCounters):
                    disks.append(one)
                else:
                    (containers if one.container else groups).append(one)
        return Sample(
            at_s=frame.at_ms / 1000,
            cpu=psi.get("cpu"),
            io=psi.get("io"),
            memory=psi.get("memory"),
            memory_available_bytes=memory[0] * _KIB if memory else None,
            disks=tuple(disks),
            cgroups=tuple(groups),
            containers=tuple(containers),
            memory_dirty_bytes=memory[1] * _KIB if memory else None,
            memory_writeback_bytes=memory[2] * _KIB if memory else None,
            major_faults=memory[3] if memory else None,
            refaults=memory[4] if memory else None,
        )

    def _counters(self, key: Key, row: Row) -> DiskCounters | CgroupCounters:
        if key[0] == DISK:
            read, written, reads, writes, busy_ms, queue_ms = row
            name = key[1]
            moved = (read * _SECTOR, written * _SECTOR, reads, writes)
            return DiskCounters(name, *moved, busy_ms / 1000, queue_ms / 1000)
        return CgroupCounters(
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

    def _owner(self, key: Key) -> Subject:
        kind, name, namespace, uid = key[1:5]
        if uid in self._names:
            namespace, name = self._names[uid]
        return Subject(SubjectKind(kind), name, namespace, uid)
