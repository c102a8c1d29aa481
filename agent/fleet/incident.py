"""The incidents of all nodes, put together again from the Events that told them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.fleet.told import Role, Told
from agent.model import Cause

MOST_INCIDENTS = 5_000
MOST_VICTIMS = 112  # what a publisher says of one incident
MOST_VICTIMS_IN_ALL = 100_000  # some 40 MB


@dataclass(frozen=True, slots=True)
class Victim:
    """What is kept of a pod that was hurt, beside its name: there may be many."""

    uid: str
    owner: str


@dataclass(slots=True)
class NodeIncident:
    """One incident of one node, as far as its Events have told."""

    id: str
    node: str
    cause: Cause = Cause.UNKNOWN
    confidence: float = 0.0
    planned: bool = False
    killer: tuple[str, str] = ("", "")
    opened_s: float | None = None
    last_s: float | None = None
    verdict: str = ""
    offender: tuple[str, str, str] = ("", "", "")  # namespace, pod, owner
    victims: dict[tuple[str, str], Victim] = field(default_factory=dict)

    def take(self, told: Told) -> None:
        """Learn from one more Event of the same incident."""
        if told.role is Role.NODE or not self.verdict:
            self.cause, self.planned, self.killer = told.cause, told.planned, told.killer
            self.confidence = told.confidence or self.confidence
            self.verdict = told.note
        if told.role is Role.OFFENDER:
            self.offender = (told.namespace, told.pod, told.owner)
        elif told.role is Role.VICTIM and len(self.victims) < MOST_VICTIMS:
            self.victims[told.namespace, told.pod] = Victim(told.uid, told.owner)
        if told.at_s is not None:
            self.opened_s = told.at_s if self.opened_s is None else min(self.opened_s, told.at_s)
            self.last_s = told.at_s if self.last_s is None else max(self.last_s, told.at_s)


class Incidents:
    """A bounded number of them, the newest kept; the same Event heard again changes nothing."""

    def __init__(self, most: int = MOST_INCIDENTS, most_victims: int = MOST_VICTIMS_IN_ALL) -> None:
        self._most, self._most_victims = most, most_victims
        self._victims = 0
        self._known: OrderedDict[str, NodeIncident] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[NodeIncident]:
        return iter(self._known.values())

    def take(self, told: Told) -> NodeIncident:
        """Take one Event in."""
        found = self._known.get(told.incident)
        if found is None:
            found = self._known[told.incident] = NodeIncident(told.incident, told.node)
        before = len(found.victims)
        found.take(told)
        self._grown(len(found.victims) - before)
        return found

    def keep(self, one: NodeIncident) -> None:
        """Take in an incident that was put together elsewhere."""
        self._known[one.id] = one
        self._grown(len(one.victims))

    def _grown(self, by: int) -> None:
        self._victims += by
        while len(self._known) > 1 and self._too_many():
            _, oldest = self._known.popitem(last=False)
            self._victims -= len(oldest.victims)

    def _too_many(self) -> bool:
        return len(self._known) > self._most or self._victims > self._most_victims

    def get(self, incident_id: str) -> NodeIncident | None:
        """One incident by its id."""
        return self._known.get(incident_id)
