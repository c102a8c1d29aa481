"""Correlation that survives its own mistakes: the Facts it stumbles over are set aside.

A bug of ours that one odd Fact brings to light must not silence a node. The shortest run of Facts
that cannot be correlated is looked for by halves, its last Fact is set aside, and so on until the
rest goes through. What was set aside makes an Incident of its own that says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.diagnosis.correlate import Correlation, Scope, correlate
from agent.diagnosis.openers import POD_OPENERS, opens_for_node
from agent.model import Fact, Incident

MOST_ASIDE = 16  # one after the other; beyond it everything in the window is
Correlating = Callable[[Sequence[Fact], Scope], Correlation]


@dataclass(frozen=True, slots=True)
class Survived:
    """What could be correlated, what could not, and what was raised about it."""

    correlation: Correlation
    aside: tuple[Fact, ...] = ()
    error: Exception | None = None


def correlate_what_can_be(
    facts: Sequence[Fact], scope: Scope, correlating: Correlating = correlate
) -> Survived:
    """Correlate; whatever raises is set aside instead of being raised."""
    rest, aside = list(facts), list[Fact]()
    first: Exception | None = None
    while True:
        try:
            return Survived(correlating(rest, scope), tuple(aside), first)
        except Exception as error:  # noqa: BLE001 - one poisonous fact must not silence the node
            first = first or error
            if len(aside) >= MOST_ASIDE or not rest:
                return Survived(Correlation(()), (*aside, *rest), first)
            aside.append(rest.pop(_shortest_that_fails(rest, scope, correlating) - 1))


def _shortest_that_fails(rest: Sequence[Fact], scope: Scope, correlating: Correlating) -> int:
    """How many Facts from the start it takes; all of them are known to be too many."""
    good, bad = 0, len(rest)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            correlating(rest[:middle], scope)
        except Exception:  # noqa: BLE001 - it is being looked for
            bad = middle
        else:
            good = middle
    return bad


def incident_of_fault(aside: Sequence[Fact], node: str, error: Exception) -> Incident | None:
    """An Incident of what was set aside; none where it was only the background of others.

    Nothing is asked of these Facts but when they were seen and what was said: anything else may be
    what the code stumbles over.
    """
    opening = [fact for fact in aside if _may_open(fact)]
    if not opening:
        return None
    at_s = opening[0].at_s
    name = hashlib.sha256(f"{opening[0].boot}|{opening[0].text}|{at_s}".encode()).hexdigest()[:10]
    closed_s, fault = opening[-1].at_s, type(error).__name__
    return Incident(name, node, at_s, closed_s, tuple(aside), opening[0].boot, fault=fault)


def _may_open(fact: Fact) -> bool:
    try:
        return opens_for_node(fact) or fact.kind in POD_OPENERS
    except Exception:  # noqa: BLE001 - better an incident too many than one kept silent
        return True
