"""The processes that move most: looked at every few seconds, recorded, and stated as a Fact.

Control groups say more and are asked first; this is for what they do not see: buffered writes on
cgroup v1, and whoever runs outside of pods and services. Looking has a thread of its own, so that
a process whose files do not answer holds up neither the recorder nor the loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.model import Fact, Kind, Subject, SubjectKind, Trust
from agent.recorder.processes import Processes
from agent.recorder.top_processes import ProcessIo, TopProcesses, owner_title

SAY_AGAIN_S = 15.0
FROM_BYTES_S = 5e6
MANY_HIDDEN = 10
HIDDEN = (
    "most processes do not show what they read and write: that takes user 0 with CAP_SYS_PTRACE"
)
_MOST_TOLD = 3
_MOST_CHARS = 600


@dataclass(frozen=True, slots=True)
class ProcessSource:
    """Looks every few seconds, and gives what it saw to the recorder and to the loop."""

    processes: Processes
    every_s: float
    record: Callable[[TopProcesses], None]
    inbox: Inbox
    log: Log

    def work(self, stop: threading.Event) -> None:
        """Look until told to stop."""
        while not stop.is_set():
            top = self.processes.look(time.time(), time.monotonic())  # noqa: TID251 - the edge
            if top is not None:
                self.record(top)
                self.inbox.put("processes", top)
                if top.hidden >= MANY_HIDDEN:  # a few always are: sandboxes, other user namespaces
                    self.log.complain(HIDDEN)
            stop.wait(self.every_s)


@dataclass(slots=True)
class Loads:
    """States who moves most, now and then, while something waits for the disk, or may."""

    _stated_s: float = float("-inf")

    def facts(self, top: TopProcesses, *, strained: bool) -> tuple[Fact, ...]:
        """Return a Fact about the busiest process, or nothing."""
        if not strained or not top.processes:
            return ()
        if top.processes[0].moved_bytes < FROM_BYTES_S * top.span_s:
            return ()
        if 0 <= top.at_s - self._stated_s < SAY_AGAIN_S:
            return ()
        self._stated_s = top.at_s
        return (fact_of_load(top),)


def fact_of_load(top: TopProcesses) -> Fact:
    """State what the busiest processes moved in the last seconds; the Fact is about the first."""
    first, *others = top.processes[:_MOST_TOLD]
    share = _share(first, top)
    detail = {
        "pid": str(first.pid),
        "bytes_s": f"{first.moved_bytes / top.span_s:.0f}",
        "share": f"{share:.3f}",
        **_home(first.owner),
    }
    seen = f"{share:.0%} of what all processes moved"
    hidden = f" ({top.hidden} could not be seen)" if top.hidden else ""
    then = "; ".join(f"{_who(one)} {_rate(one, top)}" for one in others)
    return Fact(
        kind=Kind.PROCESS_LOAD,
        at_s=round(top.at_s, 3),
        subject=Subject(SubjectKind.PROCESS, first.name),
        source="processes",
        trust=Trust.TRUSTED,
        text=(
            f"{_who(first)} moves {_rate(first, top)}, {seen}{hidden}"
            f"{f'; then {then}' if then else ''}"
        )[:_MOST_CHARS],
        detail=detail,
    )


def _share(one: ProcessIo, top: TopProcesses) -> float:
    return one.moved_bytes / top.moved_bytes if top.moved_bytes else 0.0


def _rate(one: ProcessIo, top: TopProcesses) -> str:
    return f"{one.moved_bytes / top.span_s / 1e6:.0f} MB/s"


def _who(one: ProcessIo) -> str:
    """Name a process as people look for it: by its number, and by whose it is."""
    whose = f" of {owner_title(one.owner)}" if one.owner else ""
    return f"{one.name} (pid {one.pid}{whose})"


def _home(owner: Subject | None) -> dict[str, str]:
    if owner is None:
        return {}
    if owner.kind is SubjectKind.POD:
        return {"pod_uid": owner.uid}
    word = "unit" if owner.name.endswith(".service") else "scope"
    return {word: owner.name}
