"""The processes that moved most between two looks, and how the ring keeps them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agent.model import Subject, SubjectKind
from agent.recorder.varint import Cursor, put, put_text

MOST_PROCESSES = 20
_KINDS = tuple(SubjectKind)  # by place in the ring: append only
_PodNames = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ProcessIo:
    """What one process read from disks and wrote between two looks, by its own counters."""

    pid: int
    name: str
    read_bytes: int
    write_bytes: int
    owner: Subject | None = None  # its pod, container or unit; none: it runs outside of them

    @property
    def moved_bytes(self) -> int:
        """Read and written together."""
        return self.read_bytes + self.write_bytes


@dataclass(frozen=True, slots=True)
class TopProcesses:
    """Who moved most in the ``span_s`` seconds before ``at_s``, the busiest first."""

    at_s: float
    span_s: float
    moved_bytes: int  # by all processes that can be seen
    processes: tuple[ProcessIo, ...]
    hidden: int = 0  # processes whose counters may not be read

    def with_names(self, names: _PodNames) -> TopProcesses:
        """Give the same with the pods called by their names, as far as those are known."""
        return replace(self, processes=tuple(_named(one, names) for one in self.processes))


def owner_title(owner: Subject) -> str:
    """Give the name of whom a process belongs to, as a sentence says it.

    >>> owner_title(Subject(SubjectKind.POD, "pg-0", "prod", "1a2b"))
    'pod prod/pg-0'
    """
    name = f"{owner.namespace}/{owner.name}" if owner.namespace else owner.name or owner.uid
    return name if owner.kind is SubjectKind.UNIT else f"{owner.kind} {name}"


def packed(top: TopProcesses) -> bytes:
    """Give what the ring keeps, behind its first byte."""
    out = bytearray()
    shown = top.processes[:MOST_PROCESSES]
    at_ms, span_ms = (max(round(1000 * seconds), 0) for seconds in (top.at_s, top.span_s))
    for number in (at_ms, span_ms, top.moved_bytes, top.hidden, len(shown)):
        put(out, number)
    for one in shown:
        owner = one.owner or Subject(SubjectKind.PROCESS, "")
        for number in (one.pid, one.read_bytes, one.write_bytes, _KINDS.index(owner.kind)):
            put(out, number)
        put_text(out, one.name[:64])
        put_text(out, (owner.uid or owner.name)[:250])
    return bytes(out)


def unpacked(data: bytes) -> TopProcesses:
    """Read what ``packed`` made; raises Damaged when it is something else."""
    cursor = Cursor(data)
    at_ms, span_ms, moved, hidden = (cursor.number() for _ in range(4))
    count = cursor.below(MOST_PROCESSES + 1)
    processes = tuple(_process(cursor) for _ in range(count))
    return TopProcesses(at_ms / 1000, span_ms / 1000, moved, processes, hidden)


def _process(cursor: Cursor) -> ProcessIo:
    pid, read, written = (cursor.number() for _ in range(3))
    kind = _KINDS[cursor.below(len(_KINDS))]
    name, whose = cursor.text(), cursor.text()
    if kind is SubjectKind.POD:
        return ProcessIo(pid, name, read, written, Subject(kind, "", uid=whose))
    return ProcessIo(pid, name, read, written, Subject(kind, whose) if whose else None)


def _named(one: ProcessIo, names: _PodNames) -> ProcessIo:
    known = names.get(one.owner.uid) if one.owner else None
    if one.owner is None or known is None:
        return one
    namespace, name = known
    return replace(one, owner=replace(one.owner, name=name, namespace=namespace))
