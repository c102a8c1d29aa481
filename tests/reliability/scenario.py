"""What a scenario is: what is done, how it was done, and the truth that must be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.reliability.stage import Stage

WRITTEN = "real agent, journal written"
RECORDED = "real agent, journal recorded in the box"

PAGE, NOTICE, SILENT = "critical", "warning", "none"


@dataclass(frozen=True, slots=True)
class Expected:
    """One incident that must be told, once, and how loudly."""

    causes: frozenset[str]
    killer: str
    pods: frozenset[str]
    alert: str
    planned: bool = False
    offender: str = ""
    never: frozenset[str] = frozenset()
    """Names that must not be its offender."""
    says: tuple[str, ...] = ()
    """What its report must contain: the difference between a quorum and an outage, say."""
    events: frozenset[str] | None = None
    """Pods that must be sent an Event; the pods hurt, unless said otherwise."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, and what must be told of it."""

    says: str
    act: Callable[[Stage], None]
    expected: tuple[Expected, ...] = ()
    how: str = WRITTEN
    killable: bool = True
    """Whether the same must be told when the agent is killed in it."""
    journal_bytes: int = 0
    """The size of the journal's partition, where it is one of its own."""


def incident(*causes: str, killer: str, pods: tuple[str, ...], alert: str) -> Expected:
    """Make the usual incident; ``dataclasses.replace`` adds what is special."""
    return Expected(frozenset(causes), killer, frozenset(pods), alert)
