"""What plain words add to a diagnosis: lines that no rule knows, read by vocabulary alone.

They raise a cause that rules speak for already a little, and name one by themselves only with
moderate confidence: nobody checked these words against the program that prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.diagnosis.case import Case
from agent.diagnosis.weigh import FAIR, HINT, STRONG, WEAK, combine, hypothesis, reason
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind

WEIGHTS = {"strong": STRONG - 0.05, "fair": FAIR + 0.05, "weak": WEAK, "hint": HINT}
MOST_PAIRS = 3
"""Different symptoms of different subjects that add up; more of them are the same story again."""

CAP = 0.7
"""Plain words alone never make an answer more than probable."""


def with_symptoms(case: Case, found: Sequence[Hypothesis]) -> list[Hypothesis]:
    """Add the plain words to the hypotheses of the rules, and raise those nobody else raised."""
    told = case.of(Kind.SYMPTOM, where=_is_whole)
    causes = dict.fromkeys(Cause(fact.detail["cause"]) for fact in told)
    if not causes:
        return list(found)
    of = {c: tuple(f for f in told if f.detail["cause"] == c) for c in causes}
    known = {one.cause for one in found}
    raised = [_alone(cause, of[cause]) for cause in causes if cause not in known]
    return [
        *(_raised(one, of[one.cause]) if one.cause in of else one for one in found),
        *(one for one in raised if one is not None),
    ]


def _is_whole(fact: Fact) -> bool:
    return {"about", "symptom", "cause"} <= fact.detail.keys()


def _raised(known: Hypothesis, told: Sequence[Fact]) -> Hypothesis:
    says = "and lines that no rule knows say the same in plain words"
    evidence = (*known.evidence_for, reason(HINT, says, told))
    return replace(
        known,
        evidence_for=evidence,
        confidence=combine((*evidence, *known.evidence_against)),
    )


def _alone(cause: Cause, told: Sequence[Fact]) -> Hypothesis | None:
    return hypothesis(cause, _evidence(told))


def _evidence(told: Sequence[Fact]) -> list[Evidence]:
    pairs: dict[tuple[str, str], list[Fact]] = {}
    for fact in told:
        pairs.setdefault((fact.detail["about"], fact.detail["symptom"]), []).append(fact)
    ordered = sorted(pairs.items(), key=lambda one: -_weight(one[1][0]))[:MOST_PAIRS]
    evidence: list[Evidence] = []
    for place, ((about, symptom), facts) in enumerate(ordered):
        weight = _weight(facts[0]) if place == 0 else min(_weight(facts[0]), HINT)
        room = 1 - (1 - CAP) / (1 - combine(evidence))
        says = f"plain words tell of {about}: {symptom.replace('-', ' ')}"
        evidence.append(reason(min(weight, room), says, facts))
    return evidence


def _weight(fact: Fact) -> float:
    return WEIGHTS[fact.detail.get("strength", "hint")]
