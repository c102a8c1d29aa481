"""The process that moves most while the disk is what others wait for, stated as a Fact.

Control groups say more and are asked first; this is for what they do not see: buffered writes on
cgroup v1, and whoever runs outside of pods and services.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.daemon.affairs import Moment
from agent.model import Fact, Kind, Subject, SubjectKind, Trust
from agent.recorder.processes import Busiest, Processes

LOOK_EVERY_S = 5.0
SAY_AGAIN_S = 15.0
FROM_BYTES_S = 5e6


@dataclass(slots=True)
class Loads:
    """Looks every few seconds while something waits for the disk, or may."""

    processes: Processes
    _looked_s: float = float("-inf")
    _stated_s: float = float("-inf")

    def look(self, moment: Moment, *, strained: bool) -> tuple[Fact, ...]:
        """Return a Fact about the busiest process, now and then."""
        if not strained:
            self.processes.forget()
            self._looked_s = float("-inf")
            return ()
        if moment.steady_s - self._looked_s < LOOK_EVERY_S:
            return ()
        self._looked_s = moment.steady_s
        found = self.processes.look(moment.steady_s)
        if found is None or found.bytes_s < FROM_BYTES_S:
            return ()
        if moment.steady_s - self._stated_s < SAY_AGAIN_S:
            return ()
        self._stated_s = moment.steady_s
        return (fact_of_load(found, moment.now_s),)


def fact_of_load(one: Busiest, now_s: float) -> Fact:
    """State what a process moved in the last seconds."""
    detail = {
        "pid": one.pid,
        "bytes_s": f"{one.bytes_s:.0f}",
        "share": f"{one.share:.3f}",
        "pod_uid": one.pod_uid,
        "unit": one.unit,
    }
    moved = f"{one.bytes_s / 1e6:.0f} MB/s, {one.share:.0%} of what all processes moved"
    return Fact(
        kind=Kind.PROCESS_LOAD,
        at_s=round(now_s, 3),
        subject=Subject(SubjectKind.PROCESS, one.name),
        source="processes",
        trust=Trust.TRUSTED,
        text=f"{one.name} (pid {one.pid}) moves {moved}",
        detail={name: value for name, value in detail.items() if value},
    )
