"""Turn evidence into a confidence: independent reasons add up, repetition does not.

``1 - prod(1 - w)`` over reasons that speak for a cause (each kind of statement once), times
``prod(1 + w)`` over reasons that speak against it (their weights are negative).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import prod

from agent.model import Cause, Evidence, Fact, Hypothesis

DECISIVE = 0.85
"""The one who knows says so in words that mean nothing else."""
STRONG = 0.7
"""Hard to explain otherwise, with another cause just possible."""
FAIR = 0.5
"""More likely than not, taken alone."""
WEAK = 0.35
"""A symptom that this cause has, and others too."""
HINT = 0.2

LATE_FACTOR = 0.3
"""What was first seen after the blow is a symptom until something earlier says otherwise."""

_NUMBER = re.compile(r"[0-9a-f]*\d[0-9a-f]*")

NAMED_FROM = 0.5
"""Below this the answer is "unknown": more likely wrong than right."""


def combine(evidence: Iterable[Evidence]) -> float:
    """Return the confidence in 0..1 that this evidence gives."""
    evidence = tuple(evidence)
    doubt = prod(1 - e.weight for e in evidence if e.weight > 0)
    against = prod(1 + e.weight for e in evidence if e.weight < 0)
    return (1 - doubt) * against


def reason(weight: float, says: str, facts: Sequence[Fact] = ()) -> Evidence:
    """Return one reason; a negative weight speaks against."""
    return Evidence(weight=weight, says=says, facts=tuple(facts)[:12])


def of_strength(strength: str, facts: Sequence[Fact], *, default: str = "weak") -> tuple[Fact, ...]:
    """Return the facts whose rule gives them this strength (``strong``, ``medium``, ``weak``)."""
    return tuple(f for f in facts if f.detail.get("strength", default) == strength)


def told_again(facts: Sequence[Fact]) -> tuple[Evidence, ...]:
    """Return a hint when a weak statement is made in more than one way: by rule or by speaker."""
    ways = {(fact.rule, fact.detail.get("speaker", "")) for fact in facts}
    return (reason(HINT, "and that is told in more than one way", facts),) if len(ways) > 1 else ()


def borne_out(told: Sequence[Fact], consequences: Sequence[Fact]) -> tuple[Evidence, ...]:
    """Return what lifts a plain statement above one line of text, which proves little alone.

    Either what it would bring about is seen as well, or somebody else, or another line in other
    words, says the same.
    """
    if consequences:
        return (reason(FAIR, "and what follows from that is seen as well", consequences),)
    ways = {(f.rule, f.subject, f.detail.get("speaker", ""), _NUMBER.sub("", f.text)) for f in told}
    if len(ways) > 1:
        return (reason(WEAK, "and that is said more than once, in different words", told),)
    return ()


def hypothesis(
    cause: Cause, evidence: Sequence[Evidence], missing: Sequence[str] = ()
) -> Hypothesis | None:
    """Return the hypothesis, or None when nothing speaks for it."""
    if not any(e.weight > 0 for e in evidence):
        return None
    return Hypothesis(
        cause=cause,
        confidence=combine(evidence),
        evidence_for=tuple(e for e in evidence if e.weight > 0),
        evidence_against=tuple(e for e in evidence if e.weight < 0),
        missing=tuple(missing),
    )


def in_words(confidence: float) -> str:
    """Return the word that goes with the number."""
    for floor, word in ((0.9, "almost certain"), (0.75, "likely"), (NAMED_FROM, "probable")):
        if confidence >= floor:
            return word
    return "possible" if confidence >= 0.25 else "unlikely"
