"""Which processes move most, by their own counters: what control groups of v1 cannot tell.

``/proc/PID/io`` counts a buffered write when the page is made dirty, by whoever made it so. Reading
it of others takes CAP_SYS_PTRACE and the node's ``/proc``; without them nobody is seen. psutil
reads it. Names are read by us: psutil asks for the command line of a process with a long name, and
that question waits as long as the process waits for its disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from agent.errors import UserError
from agent.model import Subject, SubjectKind
from agent.recorder.host import Host
from agent.recorder.top_processes import ProcessIo, TopProcesses
from agent.rules.subjects import subject_of_cgroup

TOP = 5
_LEAST_BYTES_S = 100_000  # below that nobody is worth room in the ring
_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Moved:
    """What a process has read from disks and written in its life, and who its parent is."""

    read_bytes: int
    write_bytes: int
    parent: int = 0

    @property
    def both(self) -> int:
        """Read and written together."""
        return self.read_bytes + self.write_bytes

    def is_below(self, later: Moved) -> bool:
        """Whether it can have become ``later``; else that is another process with this id."""
        return self.read_bytes <= later.read_bytes and self.write_bytes <= later.write_bytes

    def less(self, other: Moved) -> Moved:
        """Take away what somebody moved; never below nought."""
        read = max(self.read_bytes - other.read_bytes, 0)
        written = max(self.write_bytes - other.write_bytes, 0)
        return replace(self, read_bytes=read, write_bytes=written)


class Processes:
    """Compares one look with the one before. Raises UserError where psutil is not installed."""

    def __init__(self, host: Host, top: int = TOP) -> None:
        try:
            import psutil  # only for those who ask for this; loaded before anything is recorded
        except ImportError as error:
            hint = "pip install 'knockon[agent]'"
            raise UserError("processes.enabled needs psutil", hint) from error
        psutil.PROCFS_PATH = str(host.proc)
        self._host, self._top, self._psutil = host, top, psutil
        self._before: dict[int, Moved] = {}
        self._before_s: tuple[float, float] | None = None  # by the wall, by the steady clock

    def look(self, now_s: float, steady_s: float) -> TopProcesses | None:
        """Return who moved most since the look before; none the first time, or when nobody did.

        Where some would not tell, that much is returned.
        """
        before_s, self._before_s = self._before_s, (now_s, steady_s)
        if before_s is None or steady_s <= before_s[1]:
            self._before = self._moved(now_s)[0]
            return None
        now, hidden = self._moved(before_s[0])
        grown, self._before = grown_between(self._before, now), now
        span_s = steady_s - before_s[1]
        busy = [pid for pid, moved in grown.items() if moved.both >= _LEAST_BYTES_S * span_s]
        busy.sort(key=lambda pid: -grown[pid].both)
        found = [self._named(pid, grown[pid]) for pid in busy[: self._top]]
        processes = tuple(one for one in found if one)
        if not processes and not hidden:
            return None
        whole = sum(moved.both for moved in grown.values())
        return TopProcesses(now_s, span_s, whole, processes, hidden)

    def _moved(self, before_s: float) -> tuple[dict[int, Moved], int]:
        """Ask every process; also give how many would not tell."""
        psutil, before = self._psutil, self._before
        found: dict[int, Moved] = {}
        hidden = 0
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, OSError, RuntimeError, ValueError):
                try:
                    io = process.io_counters()
                except psutil.AccessDenied:
                    hidden += 1
                    continue
                known, moved = before.get(process.pid), (io.read_bytes, io.write_bytes)
                if known and (known.read_bytes, known.write_bytes) == moved:
                    found[process.pid] = known  # most of them, and its parent is not asked for
                    continue
                found[process.pid] = made = Moved(*moved, process.ppid())
                if known is None and process.create_time() < before_s:
                    before[process.pid] = made  # not new, only not seen: when it moved is unknown
        return found, hidden

    def _named(self, pid: int, moved: Moved) -> ProcessIo | None:
        """Add name and owner; none for a process that has just ended."""
        folder = self._host.proc / str(pid)
        with suppress(OSError):
            name = (folder / "comm").read_text("utf-8", "replace").strip()[:_NAME_CHARS]
            return ProcessIo(pid, name, moved.read_bytes, moved.write_bytes, owner_of(folder))
        return None


def grown_between(before: Mapping[int, Moved], now: Mapping[int, Moved]) -> dict[int, Moved]:
    """Give what each process moved between two looks, as far as it moved anything.

    Who was not there before has moved all of it since. A parent's counters take in those of a
    child that it waited for: what the child had moved before the first look is not of this time.
    """
    grown: dict[int, Moved] = {}
    for pid, moved in now.items():
        known = before.get(pid)
        if known is moved:
            continue  # nearly all of them
        grown[pid] = moved.less(known) if known and known.is_below(moved) else moved
    for pid, moved in before.items():
        if pid not in now and moved.parent in grown:
            grown[moved.parent] = grown[moved.parent].less(moved)
    return grown


def owner_of(folder: Path) -> Subject | None:
    """Give the pod, container or unit of the process whose ``/proc/PID`` this is."""
    groups = (folder / "cgroup").read_text("utf-8", "replace").splitlines()
    owners = [subject_of_cgroup(line.partition(":")[2].partition(":")[2]) for line in groups]
    by_kind = {owner.kind: owner for owner in reversed(owners)}
    kinds = (SubjectKind.POD, SubjectKind.CONTAINER, SubjectKind.UNIT)
    return next((by_kind[kind] for kind in kinds if kind in by_kind), None)


def home_of(folder: Path) -> tuple[str, str]:
    """Give the uid of the pod a process belongs to, or else its service; each may be empty."""
    owner = owner_of(folder)
    if owner is None or owner.kind is SubjectKind.POD:
        return owner.uid if owner else "", ""
    return "", owner.name if owner.name.endswith(".service") else ""
