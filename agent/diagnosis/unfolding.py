"""Incidents while they happen: told once when they open, and once when they have settled.

Pure: records go in through the rules elsewhere, Facts come in here, and the time is an argument.
Correlation is done again over the last quarter of an hour whenever there is something new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.diagnosis.correlate import AWAY_S, GAP_S, Scope, correlate
from agent.diagnosis.setting_aside import (
    Correlating,
    correlate_what_can_be,
    incident_of_fault,
)
from agent.model import BlindSpot, Fact, Incident, Kind, Pod

WINDOW_S = 900.0
MOST_FACTS = 20_000  # of a storm, the newest are kept
MOST_BLIND = 200

_OF_OBJECTS = frozenset({"events", "pods", "nodes"})
FactKey = tuple[Kind, float | None, str, str]


class Stage(StrEnum):
    """Where an incident is in its life."""

    OPENED = "opened"
    SETTLED = "settled"
    GREW = "grew"  # after it had settled: somebody was heard late


@dataclass(frozen=True, slots=True)
class Told:
    """Something to tell: an incident that has just opened, or one in which nothing more happens."""

    stage: Stage
    incident: Incident


@dataclass(frozen=True, slots=True)
class Remembered:
    """What outlives a restart of an incident that was told: its id, and what it is known by."""

    id: str
    keys: frozenset[FactKey]
    settled: bool


@dataclass(slots=True)
class _Followed:
    """An incident that was told; it keeps its first id, whatever is learnt later."""

    id: str
    keys: frozenset[FactKey]
    incident: Incident | None  # none: told by an agent before us, not correlated again so far
    settled: bool = False


def _loudly(_facts: Sequence[Fact], error: Exception) -> None:
    raise error


class Live:
    """A bounded window of Facts, and what was already told about them."""

    def __init__(  # noqa: PLR0913 - all by name, each with a default
        self,
        *,
        window_s: float = WINDOW_S,
        settle_s: float = GAP_S,
        node: str = "",
        pods: Callable[[], Sequence[Pod]] = tuple,
        most_facts: int = MOST_FACTS,
        late: frozenset[Kind] = frozenset(),
        failed: Callable[[Sequence[Fact], Exception], None] = _loudly,
        correlating: Correlating = correlate,
    ) -> None:
        self._late = late  # kinds of Facts for which a settled incident is told once more
        self._failed = failed  # told of Facts that our own code stumbles over
        self._correlating = correlating
        self._most_facts = most_facts
        self._window_s = window_s
        self._settle_s = settle_s
        self.node = node
        self._pods = pods
        self._facts: list[Fact] = []
        self._blind: list[BlindSpot] = []
        self._followed: list[_Followed] = []
        self._changed = False
        self.dropped = 0

    @property
    def open(self) -> tuple[Incident, ...]:
        """Incidents that have not settled, the latest first."""
        followed = reversed(self._followed)
        return tuple(one.incident for one in followed if one.incident and not one.settled)

    @property
    def facts(self) -> int:
        """How many Facts are in the window."""
        return len(self._facts)

    @property
    def window(self) -> tuple[Fact, ...]:
        """The Facts themselves."""
        return tuple(self._facts)

    @property
    def remembered(self) -> tuple[Remembered, ...]:
        """What a successor must know, so that nothing is told twice."""
        return tuple(Remembered(one.id, one.keys, one.settled) for one in self._followed)

    def restore(self, facts: Sequence[Fact], told: Sequence[Remembered]) -> None:
        """Go on where a predecessor stopped."""
        self._facts = list(facts)
        self._followed = [_Followed(one.id, one.keys, None, one.settled) for one in told]
        self._changed = bool(facts)

    def add(self, facts: Iterable[Fact]) -> None:
        """Take Facts in, in any order."""
        before = len(self._facts)
        self._facts.extend(facts)
        self._changed = self._changed or len(self._facts) > before

    def add_blind(self, spot: BlindSpot) -> None:
        """Take in that a source could not see."""
        self._blind = [*self._blind[1 - MOST_BLIND :], spot]
        self._changed = True

    def tell(self, now_s: float, *, settling: bool = True) -> tuple[Told, ...]:
        """What is to be told at this moment; nothing is told twice."""
        told: list[Told] = []
        if self._changed:
            self._changed = False
            self._forget(now_s)
            told += self._correlate()
        return (*told, *(self._settle(now_s) if settling else ()))

    def finish(self) -> tuple[Told, ...]:
        """Settle what is open, since nobody will look any longer."""
        opened = self._correlate() if self._changed else []
        self._changed = False
        return (*opened, *self._settle(float("inf")))

    def _forget(self, now_s: float) -> None:
        """Drop what is too old to matter, but nothing of an incident that is still open."""
        kept = {key for one in self._followed if not one.settled for key in one.keys}
        oldest_s = now_s - self._window_s
        oldest_given_up_s = now_s - max(AWAY_S, self._window_s)
        facts = [
            f
            for f in self._facts
            if f.at_s is None
            or f.at_s >= (oldest_given_up_s if f.kind is Kind.POD_GIVEN_UP else oldest_s)
            or key_of(f) in kept
        ]
        self.dropped += max(0, len(facts) - self._most_facts)
        self._facts = facts[-self._most_facts :]
        self._blind = [s for s in self._blind if s.to_s is None or s.to_s >= oldest_s]
        living = {key_of(fact) for fact in self._facts}
        self._followed = [f for f in self._followed if not f.settled or f.keys & living]

    def _correlate(self) -> list[Told]:
        scope = Scope(node=self.node, pods=tuple(self._pods()), blind=tuple(self._blind))
        survived = correlate_what_can_be(self._facts, scope, self._correlating)
        incidents = survived.correlation.incidents
        told = [one for incident in incidents for one in self._follow(incident)]
        if survived.error is not None:
            told += self._set_aside(survived.aside, survived.error)
        return told

    def _set_aside(self, aside: Sequence[Fact], error: Exception) -> list[Told]:
        """Look at these Facts no more, but tell that something happened."""
        self._failed(aside, error)
        dropped = set(map(id, aside))
        self._facts = [fact for fact in self._facts if id(fact) not in dropped]
        incident = incident_of_fault(aside, self.node, error)
        return [] if incident is None else self._follow(incident)

    def _follow(self, incident: Incident) -> list[Told]:
        """Recognise an incident by the facts it shares with one that was told."""
        keys = frozenset(map(key_of, incident.facts))
        akin = [one for one in self._followed if one.keys & keys or one.id == incident.id]
        if not akin:
            self._followed.append(_Followed(incident.id, keys, incident))
            return [Told(Stage.OPENED, incident)]
        known = max(akin, key=lambda one: len(one.keys & keys))
        for one in akin:
            one.settled = one.settled or one is not known  # two have turned out to be one
        if not known.settled:
            known.keys = keys
            known.incident = replace(incident, id=known.id)
            return []
        if incident.fault or not any(key[0] in self._late for key in keys - known.keys):
            return []
        known.keys = keys
        return [Told(Stage.GREW, replace(incident, id=known.id))]

    def _settle(self, now_s: float) -> list[Told]:
        told = []
        for one in self._followed:
            if one.incident is None:  # its facts were lost: nothing is left to be told of it
                one.settled = True
                continue
            newest_s = one.incident.closed_at_s
            if not one.settled and (newest_s is None or now_s - newest_s >= self._settle_s):
                one.settled = True
                told.append(Told(Stage.SETTLED, one.incident))
        return told


def key_of(fact: Fact) -> FactKey:
    """What makes a fact the same one when it is correlated again.

    The subject of a line may get a name later; that of an object has it, and the API server says
    the same words of many pods within one second.
    """
    whose = f" {fact.subject}" if fact.source in _OF_OBJECTS else ""
    return (fact.kind, fact.at_s, f"{fact.source}{whose}", fact.text)
