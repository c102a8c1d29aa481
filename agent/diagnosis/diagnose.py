"""Rank the hypotheses of one Incident and say what it means. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.diagnosis.case import Case
from agent.diagnosis.causes import HYPOTHESES, MADE_BY
from agent.diagnosis.chain import build_chain
from agent.diagnosis.impact import find_victims
from agent.diagnosis.killer import find_killer
from agent.diagnosis.offender import find_offender
from agent.diagnosis.symptoms import with_symptoms
from agent.diagnosis.verdict import advice_for, sentence, what_is_missing
from agent.diagnosis.weigh import LATE_FACTOR, NAMED_FROM, combine
from agent.model import (
    Cause,
    Diagnosis,
    Evidence,
    Hypothesis,
    Incident,
    Kind,
    Pod,
    Probe,
    Sample,
)

DEEPER_FROM = 0.6
"""How sure we must be of a deeper cause before it explains a shallower one away."""

EXPLAINED = 0.5
HINTED_FROM = 0.25
HINTED_CAP = 0.78
"""A deeper cause that is only hinted at may still be the answer."""

TOO_CLOSE = 0.05
UNDECIDED = 0.9
QUOTED_CAP = 0.9
BLIND_CAP = 0.8
SURE_CAP = 0.97

MUST_PRECEDE = frozenset(
    {
        Cause.IO_SATURATION,
        Cause.CPU_STARVATION,
        Cause.MEMORY_PRESSURE,
        Cause.DISK_FULL,
        Cause.DISK_ERROR,
        Cause.CNI_FAILURE,
        Cause.CONFIG_MISMATCH,
        Cause.CLOCK_OR_CERT,
        Cause.RUNTIME_CRASH,
    }
)
"""Causes that are conditions or failures: what shows only afterwards is a symptom of the blow."""


def diagnose(
    incident: Incident,
    *,
    pods: Sequence[Pod] = (),
    samples: Sequence[Sample] = (),
    probes: Sequence[Probe] = (),
) -> Diagnosis:
    """Return what the incident means: cause, killer, victims, chain, and how sure we are."""
    case = Case(incident, samples, probes)
    ranked = rank(case)
    winner = ranked[0] if ranked and ranked[0].confidence >= NAMED_FROM else None
    cause = winner.cause if winner else Cause.UNKNOWN
    killer = find_killer(case, cause)
    victims = find_victims(case, cause, pods)
    planned = is_planned(case, cause)
    diagnosis = Diagnosis(
        incident=incident,
        cause=cause,
        confidence=round(winner.confidence, 2) if winner else 0.0,
        planned=planned,
        killer=killer,
        offender=find_offender(case, cause, pods),
        victims=victims,
        chain=build_chain(case, winner, killer, victims),
        hypotheses=tuple(ranked),
        missing=what_is_missing(case, winner, ranked),
        verdict="",
    )
    return replace(diagnosis, verdict=sentence(case, diagnosis), advice=advice_for(case, diagnosis))


def is_planned(case: Case, cause: Cause) -> bool:
    """Say whether somebody meant it: restart, drain, or a reboot with an orderly shutdown."""
    if cause in (Cause.PLANNED_RESTART, Cause.NODE_DRAIN):
        return True
    ordered = case.has(Kind.SHUTDOWN, Kind.REBOOT_REQUIRED)
    return cause is Cause.NODE_REBOOT and ordered and not case.has(Kind.KERNEL_FAULT)


def rank(case: Case) -> list[Hypothesis]:
    """Return all hypotheses that anything speaks for, the best first."""
    found = [h for hypothesis in HYPOTHESES if (h := hypothesis(case)) is not None]
    weighed = [_capped(case, _discount_late(case, h)) for h in with_symptoms(case, found)]
    ranked = sorted(_explain_away(weighed), key=lambda h: (-h.confidence, h.cause))
    return _say_why_lost(_split_decision(ranked))


def _discount_late(case: Case, hypothesis: Hypothesis) -> Hypothesis:
    if hypothesis.cause not in MUST_PRECEDE:
        return hypothesis
    evidence = tuple(_discounted(case, e) for e in hypothesis.evidence_for)
    return replace(
        hypothesis,
        evidence_for=evidence,
        confidence=combine((*evidence, *hypothesis.evidence_against)),
    )


def _discounted(case: Case, evidence: Evidence) -> Evidence:
    if not evidence.facts or not all(case.is_late(f) for f in evidence.facts):
        return evidence
    return replace(
        evidence,
        weight=evidence.weight * LATE_FACTOR,
        says=f"{evidence.says} (seen only afterwards)",
    )


def _capped(case: Case, hypothesis: Hypothesis) -> Hypothesis:
    cap = QUOTED_CAP if case.quoted else SURE_CAP
    if case.incident.blind or case.has(Kind.JOURNAL_GAP):
        cap = min(cap, BLIND_CAP)
    return replace(hypothesis, confidence=min(hypothesis.confidence, cap))


def _explain_away(hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
    return [_beside(hypothesis, hypotheses) for hypothesis in hypotheses]


def _beside(hypothesis: Hypothesis, others: Sequence[Hypothesis]) -> Hypothesis:
    """Weigh a hypothesis anew beside those that could bring it about."""
    makers = MADE_BY.get(hypothesis.cause, frozenset())
    deeper = [h for h in others if h.cause in makers and h.confidence >= HINTED_FROM]
    sure = [h for h in deeper if h.confidence >= DEEPER_FROM]
    if sure:
        return _explained_by(hypothesis, sure)
    if deeper:
        return replace(hypothesis, confidence=min(hypothesis.confidence, HINTED_CAP))
    return hypothesis


def _explained_by(hypothesis: Hypothesis, deeper: Sequence[Hypothesis]) -> Hypothesis:
    by = max(deeper, key=lambda h: h.confidence).cause
    return replace(
        hypothesis,
        confidence=hypothesis.confidence * EXPLAINED,
        lost_because=f"{by.value} explains it",
    )


def _split_decision(ranked: list[Hypothesis]) -> list[Hypothesis]:
    """Causes as well supported as each other make none of them certain."""
    if len(ranked) < 2 or ranked[0].confidence - ranked[1].confidence > TOO_CLOSE:
        return ranked
    close_to = ranked[0].confidence - TOO_CLOSE
    return [
        replace(h, confidence=h.confidence * UNDECIDED) if h.confidence >= close_to else h
        for h in ranked
    ]


def _say_why_lost(ranked: list[Hypothesis]) -> list[Hypothesis]:
    if not ranked:
        return ranked
    best = ranked[0]
    rest = [
        h
        if h.lost_because
        else replace(h, lost_because=f"less evidence than for {best.cause.value}")
        for h in ranked[1:]
    ]
    if best.confidence < NAMED_FROM:
        best = replace(best, lost_because="not enough evidence to name it")
    return [best, *rest]
