"""The incidents of all nodes, put together again from the Events that told them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.fleet.told import Role, Told
from agent.model import Cause

MOST_INCIDENTS = 5_000
MOST_VICTIMS = 112  # what a publisher says of one incident


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
    victims: dict[tuple[str, str], Told] = field(default_factory=dict)

    def take(self, told: Told) -> None:
        """Learn from one more Event of the same incident."""
        if told.role is Role.NODE or not self.verdict:
            self.cause, self.planned, self.killer = told.cause, told.planned, told.killer
            self.confidence = told.confidence or self.confidence
            self.verdict = told.note
        if told.role is Role.OFFENDER:
            self.offender = (told.namespace, told.pod, told.owner)
        elif told.role is Role.VICTIM and len(self.victims) < MOST_VICTIMS:
            self.victims[told.namespace, told.pod] = told
        if told.at_s is not None:
            self.opened_s = told.at_s if self.opened_s is None else min(self.opened_s, told.at_s)
            self.last_s = told.at_s if self.last_s is None else max(self.last_s, told.at_s)


class Incidents:
    """A bounded number of them, the newest kept; the same Event heard again changes nothing."""

    def __init__(self, most: int = MOST_INCIDENTS) -> None:
        self._most = most
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
            while len(self._known) > self._most:
                self._known.popitem(last=False)
        found.take(told)
        return found

    def get(self, incident_id: str) -> NodeIncident | None:
        """One incident by its id."""
        return self._known.get(incident_id)
