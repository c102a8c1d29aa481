"""Which incidents of many nodes are one. Pure: incidents in, groups out, nothing else.

Two incidents are joined where they look alike in something that nodes can share, and lie so close
in time that one reason can have made both. That they look alike is what we say; why, only where
the likeness itself says it. Incidents of unknown cause are never joined by their cause.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.fleet.incident import NodeIncident
from agent.model import Cause
from agent.words import cause_words

FEWEST_NODES = 3
"""Two nodes a coincidence makes often enough; three rarely."""

APART_S = 300.0  # at most so far from one node's incident to the next one's
WAVE_APART_S = 1800.0  # an upgrade goes from node to node and waits for each
_STORAGE = frozenset({Cause.IO_SATURATION, Cause.DISK_ERROR, Cause.VOLUME_THROTTLED})
_WAVE = frozenset({Cause.PLANNED_RESTART, Cause.NODE_REBOOT, Cause.NODE_DRAIN})


class Kin(StrEnum):
    """What the incidents of a group have in common."""

    UPGRADE_WAVE = "upgrade_wave"  # planned work that goes from node to node
    STORAGE_OUTAGE = "storage_outage"  # disks of many nodes at once
    SAME_OFFENDER = "same_offender"  # pods of one owner burdened many nodes
    SAME_CAUSE = "same_cause"
    SAME_MOMENT = "same_moment"  # nothing but the time: causes differ or are unknown


@dataclass(frozen=True, slots=True)
class FleetIncident:
    """Incidents of several nodes that belong together, in order of time."""

    id: str
    kin: Kin
    what: str  # the cause, or the offender's owner
    members: tuple[NodeIncident, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """Each node once, in the order in which they were hit."""
        return tuple(dict.fromkeys(one.node for one in self.members))

    @property
    def opened_s(self) -> float:
        """When the first of them opened."""
        return min(one.opened_s or 0.0 for one in self.members)

    @property
    def last_s(self) -> float:
        """When the last of them was told of."""
        return max(one.last_s or 0.0 for one in self.members)

    @property
    def victims(self) -> int:
        """Pods hurt on all nodes."""
        return sum(len(one.victims) for one in self.members)

    @property
    def verdict(self) -> str:
        """One sentence for a person; it claims no more than the members share."""
        nodes, took = len(self.nodes), f"{(self.last_s - self.opened_s) / 60:.0f} min"
        if self.kin is Kin.UPGRADE_WAVE:
            return f"Planned work went over {nodes} nodes within {took}: {self.what}."
        if self.kin is Kin.STORAGE_OUTAGE:
            return f"Storage failed {nodes} nodes within {took}: {self.what}."
        if self.kin is Kin.SAME_OFFENDER:
            return f"Pods of {self.what} burdened {nodes} nodes within {took}."
        if self.kin is Kin.SAME_CAUSE:
            return f"{nodes} nodes had the same kind of incident within {took}: {self.what}."
        return f"{nodes} nodes had incidents within {took}; what they share is not known."


def joined(incidents: Iterable[NodeIncident]) -> tuple[FleetIncident, ...]:
    """Group incidents; each belongs to one group at most, the most telling likeness first."""
    left = sorted((one for one in incidents if one.opened_s is not None), key=_when)
    made: list[FleetIncident] = []
    for kin, alike, apart_s in (
        (Kin.SAME_OFFENDER, _offender, APART_S),
        (Kin.UPGRADE_WAVE, _wave, WAVE_APART_S),
        (Kin.STORAGE_OUTAGE, _storage, APART_S),
        (Kin.SAME_CAUSE, _cause, APART_S),
        (Kin.SAME_MOMENT, _anything, APART_S / 5),
    ):
        by_likeness: dict[str, list[NodeIncident]] = defaultdict(list)
        for one in left:
            by_likeness[alike(one)].append(one)
        for what, same in by_likeness.items():
            if what:
                made += _groups(kin, what, same, apart_s)
        taken = {id(member) for group in made for member in group.members}
        left = [one for one in left if id(one) not in taken]
    return tuple(sorted(made, key=lambda group: -group.opened_s))


def _groups(
    kin: Kin, what: str, same: Sequence[NodeIncident], apart_s: float
) -> Iterator[FleetIncident]:
    run: list[NodeIncident] = []
    for one in same:
        if run and _when(one) - _when(run[-1]) > apart_s:
            yield from _group(kin, what, run)
            run = []
        run.append(one)
    yield from _group(kin, what, run)


def _group(kin: Kin, what: str, run: Sequence[NodeIncident]) -> Iterator[FleetIncident]:
    if len({one.node for one in run}) >= FEWEST_NODES:
        name = hashlib.sha256(f"{kin}\0{what}\0{run[0].id}".encode()).hexdigest()[:10]
        yield FleetIncident(name, kin, what, tuple(run))


def _when(one: NodeIncident) -> float:
    return one.opened_s or 0.0


def _offender(one: NodeIncident) -> str:
    namespace, pod, owner = one.offender
    return f"{namespace}/{owner}" if pod and owner else ""


def _wave(one: NodeIncident) -> str:
    return cause_words(one.cause).name if one.planned and one.cause in _WAVE else ""


def _storage(one: NodeIncident) -> str:
    return cause_words(one.cause).name if one.cause in _STORAGE else ""


def _cause(one: NodeIncident) -> str:
    known = one.cause is not Cause.UNKNOWN and not one.planned
    return cause_words(one.cause).name if known else ""


def _anything(one: NodeIncident) -> str:
    return "" if one.planned else "the moment"
