"""The one view every report is made from, so that terminal, JSON and pages cannot disagree.

Nothing here formats for a medium: times stay seconds, texts stay as they were said. Whoever prints
them makes them safe for his medium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.model import (
    BlindSpot,
    Cause,
    Diagnosis,
    Evidence,
    Fact,
    Hypothesis,
    Killer,
    Link,
    Offender,
    Pod,
    Probe,
    Sample,
    Trust,
    Victim,
)
from agent.report.damage import OwnerDamage, damage
from agent.report.steps import Step, killer_timeout_s, steps
from agent.report.timeline import SHORT, Moment, timeline
from agent.sources.backup_log import Paced
from agent.words import QUOTED_NOTE, Wording, cause_words, confidence_words, counted, killer_words


@dataclass(frozen=True, slots=True)
class Origin:
    """What was read, and what of it nobody could use."""

    name: str  # the bundle's or the log's name, as the user gave it
    node: str = ""
    window: tuple[float | None, float | None] = (None, None)
    pods: tuple[Pod, ...] = ()
    blind: tuple[BlindSpot, ...] = ()
    missing: tuple[str, ...] = ()  # parts the bundle does not have
    quoted: bool = False  # pasted text
    spoofed: int = 0  # lines that claimed to be a trigger, from somebody who may not say so
    before_window: int = 0  # facts older than the journal that was given
    samples: tuple[Sample, ...] = ()
    probes: tuple[Probe, ...] = ()
    paced: tuple[Paced, ...] = ()
    command: str = ""  # what to type to get this answer again


@dataclass(frozen=True, slots=True)
class Asked:
    """The pod a person asked about, and where it was found."""

    namespace: str  # empty: any
    pod: str
    found: bool
    close_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """One reason for or against, with where it comes from."""

    says: str
    weight: float
    at_s: float | None
    source: str  # empty: a conclusion, or something that was looked for and not found
    trusted: bool
    quotes: tuple[str, ...] = ()
    facts: int = 0


@dataclass(frozen=True, slots=True)
class Rival:
    """A hypothesis that lost, and why."""

    cause: Cause
    name: str
    confidence: float
    lost_because: str
    for_it: tuple[Proof, ...]
    against_it: tuple[Proof, ...]


@dataclass(frozen=True, slots=True)
class IncidentView:
    """Everything any report says about one incident."""

    id: str
    node: str
    opened_at_s: float | None
    closed_at_s: float | None
    kill_at_s: float | None  # zero of the timeline's offsets
    planned: bool
    explained: bool
    verdict: str
    killer: Killer | None
    killer_kind: str
    cause: Cause
    cause_words: Wording
    confidence: float
    confidence_words: str
    hypotheses: tuple[tuple[Cause, float], ...]
    victims: tuple[Victim, ...]
    owners: tuple[OwnerDamage, ...]
    offender: Offender | None
    chain: tuple[Link, ...]
    moments: tuple[Moment, ...]
    moments_left_out: int
    evidence_for: tuple[Proof, ...]
    evidence_against: tuple[Proof, ...]
    rivals: tuple[Rival, ...]
    missing: tuple[str, ...]
    blind: tuple[BlindSpot, ...]
    advice: tuple[str, ...]
    steps: tuple[Step, ...]
    facts: tuple[Fact, ...]
    killer_timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to one question: incidents in order of weight, and what they were read from."""

    origin: Origin
    incidents: tuple[IncidentView, ...]
    others: tuple[IncidentView, ...] = ()  # in the same input, but not what was asked for
    asked: Asked | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def quiet(self) -> bool:
        """Nothing happened at all in what was read."""
        return not self.incidents and not self.others

    @property
    def explained(self) -> bool:
        """The weightiest incident has a cause, and the pod asked for is in an incident at all."""
        if self.asked and not self.asked.found:
            return False
        return not self.incidents or self.incidents[0].explained


def report(
    diagnoses: Sequence[Diagnosis],
    origin: Origin,
    *,
    asked: Asked | None = None,
    moments: int = SHORT,
) -> Report:
    """Build the view; with ``asked`` only the pod's incidents are answers, the rest are others."""
    answers: list[IncidentView] = []
    others: list[IncidentView] = []
    for diagnosis in diagnoses:
        shown = incident_view(diagnosis, origin.pods, origin.probes, moments=moments)
        hit = asked is None or (asked.found and concerns(diagnosis, asked.namespace, asked.pod))
        (answers if hit else others).append(shown)
    return Report(origin, tuple(answers), tuple(others), asked, _notes(origin))


def concerns(diagnosis: Diagnosis, namespace: str, pod: str) -> bool:
    """Say whether a pod is a victim or the offender of an incident."""
    named = {(victim.namespace, victim.pod) for victim in diagnosis.victims}
    if diagnosis.offender and diagnosis.offender.kind == "pod":
        named.add((diagnosis.offender.namespace, diagnosis.offender.name))
    return any(name == pod and (not namespace or space == namespace) for space, name in named)


def incident_view(
    diagnosis: Diagnosis,
    pods: Sequence[Pod] = (),
    probes: Sequence[Probe] = (),
    *,
    moments: int = SHORT,
) -> IncidentView:
    """Turn one Diagnosis into what reports say about it."""
    incident, killer = diagnosis.incident, diagnosis.killer
    kill_at_s = killer.at_s if killer and killer.at_s is not None else incident.opened_at_s
    owners = damage(diagnosis.victims, pods)
    shown, left_out = timeline(diagnosis, kill_at_s, moments)
    winner = _winner(diagnosis)
    wording = cause_words(diagnosis.cause)
    return IncidentView(
        id=incident.id,
        node=incident.node,
        opened_at_s=incident.opened_at_s,
        closed_at_s=incident.closed_at_s,
        kill_at_s=kill_at_s,
        planned=diagnosis.planned,
        explained=diagnosis.cause is not Cause.UNKNOWN,
        verdict=diagnosis.verdict or _verdict(diagnosis, wording),
        killer=killer,
        killer_kind=killer_words(killer.kind) if killer else "",
        cause=diagnosis.cause,
        cause_words=wording,
        confidence=diagnosis.confidence,
        confidence_words=confidence_words(diagnosis.confidence, diagnosis.cause),
        hypotheses=tuple((rival.cause, rival.confidence) for rival in diagnosis.hypotheses),
        victims=diagnosis.victims,
        owners=owners,
        offender=diagnosis.offender,
        chain=diagnosis.chain,
        moments=shown,
        moments_left_out=left_out,
        evidence_for=_proofs(winner.evidence_for if winner else (), diagnosis.chain),
        evidence_against=_proofs(winner.evidence_against if winner else (), diagnosis.chain),
        rivals=tuple(_rival(other) for other in diagnosis.hypotheses if other is not winner),
        missing=_once(diagnosis.missing),
        blind=incident.blind,
        advice=diagnosis.advice,
        steps=steps(diagnosis, owners, probes),
        facts=incident.facts,
        killer_timeout_s=killer_timeout_s(diagnosis),
    )


def _winner(diagnosis: Diagnosis) -> Hypothesis | None:
    """Return the hypothesis the diagnosis stands on; none when it says "unknown"."""
    return next((h for h in diagnosis.hypotheses if h.cause is diagnosis.cause), None)


def _verdict(diagnosis: Diagnosis, wording: Wording) -> str:
    """Make one sentence for a diagnosis that came without."""
    hurt = counted(len(diagnosis.victims), "pod was hurt", "pods were hurt")
    by = f" by {diagnosis.killer.name}" if diagnosis.killer and diagnosis.killer.name else ""
    if diagnosis.cause is Cause.UNKNOWN:
        return f"{hurt}{by}, and what can be seen here does not say why."
    return f"{hurt}{by}; the cause was {wording.name}."


def _proofs(evidence: Sequence[Evidence], chain: Sequence[Link] = ()) -> tuple[Proof, ...]:
    """Order evidence by strength; ties stay as the hypothesis gave them."""
    measured = {link.what: link for link in chain}
    strongest = sorted(evidence, key=lambda item: -abs(item.weight))
    return tuple(_proof(item, measured.get(item.says)) for item in strongest)


def _proof(evidence: Evidence, measured: Link | None) -> Proof:
    """Say where evidence comes from; what was measured has no fact, but a link of the chain."""
    facts = evidence.facts
    if measured and not facts:
        return Proof(evidence.says, evidence.weight, measured.at_s, measured.source, trusted=True)
    sources = tuple(dict.fromkeys(fact.source for fact in facts))
    return Proof(
        says=evidence.says,
        weight=evidence.weight,
        at_s=min((fact.at_s for fact in facts if fact.at_s is not None), default=None),
        source=", ".join(sources),
        trusted=all(fact.trust is Trust.TRUSTED for fact in facts),
        quotes=_once([fact.text for fact in facts])[:3],
        facts=len(facts),
    )


def _rival(other: Hypothesis) -> Rival:
    return Rival(
        cause=other.cause,
        name=cause_words(other.cause).name,
        confidence=other.confidence,
        lost_because=other.lost_because,
        for_it=_proofs(other.evidence_for),
        against_it=_proofs(other.evidence_against),
    )


def _notes(origin: Origin) -> tuple[str, ...]:
    notes: list[str] = []
    if origin.quoted:
        notes.append(QUOTED_NOTE)
    if origin.spoofed:
        lines = counted(origin.spoofed, "line")
        notes.append(
            f"{lines} claimed what only the node's own services may say, and was not believed."
            if origin.spoofed == 1
            else f"{lines} claimed what only the node's own services may say; none was believed."
        )
    if origin.before_window:
        older = counted(origin.before_window, "fact is", "facts are")
        notes.append(f"{older} older than the journal given here, and cannot be explained by it.")
    return tuple(notes)


def _once(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))
