"""Knock-on itself as the harness's engine: the same calls as ``knockon why``, minus the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from agent.diagnosis.correlate import Scope, correlate
from agent.diagnosis.diagnose import diagnose
from agent.errors import UserError
from agent.model import BlindSpot, Cause, Diagnosis, Fact, Hypothesis, Pod, Probe, Record, Sample
from agent.rules.catalogue import Catalogue
from agent.sources.bundle import open_bundle
from agent.sources.pasted import record_from_event, record_from_line
from agent.sources.stamps import iso_s
from bench.diagnosis.cases import Case
from bench.diagnosis.score import UNREADABLE, Verdict

_AGES_END_S = 1_700_000_000.0  # any moment will do


@dataclass(frozen=True, slots=True)
class _Material:
    """One case as the engine reads it, before any diagnosis."""

    facts: tuple[Fact, ...]
    messages: tuple[str, ...]
    quoted: bool
    node: str = ""
    window: tuple[float | None, float | None] = (None, None)
    pods: tuple[Pod, ...] = ()
    samples: tuple[Sample, ...] = ()
    probes: tuple[Probe, ...] = ()
    blind: tuple[BlindSpot, ...] = ()
    refused: str = ""  # why the engine could not read the case at all


class KnockOn:
    """Diagnoses cases with a catalogue; reads each case once."""

    def __init__(self, catalogue: Catalogue, without: frozenset[str] = frozenset()) -> None:
        self._catalogue = catalogue.without(without) if without else catalogue
        self._without = without
        self._read: dict[tuple[str, str], _Material] = {}

    def verdict(self, case: Case, without: frozenset[str] = frozenset()) -> Verdict:
        """Diagnose the case; the most significant incident is its answer."""
        if without:
            # Read again: a line whose rule is gone may still be understood by its plain words.
            return KnockOn(self._catalogue, without).verdict(case)
        material = self._material(case)
        if material.refused:
            return Verdict(cause=UNREADABLE, named=(UNREADABLE,))
        fired = frozenset(fact.rule for fact in material.facts if fact.rule)
        return _reduced(self.diagnoses(case), fired)

    def diagnoses(self, case: Case) -> list[Diagnosis]:
        """Return what the engine says of every incident of the case, the weightiest first."""
        seen = self._material(case)
        story = correlate(
            [fact for fact in seen.facts if fact.rule not in self._without],
            Scope(seen.node, seen.pods, seen.window, seen.blind, seen.quoted),
        )
        return [
            diagnose(one, pods=seen.pods, samples=seen.samples, probes=seen.probes)
            for one in story.incidents
        ]

    def messages(self, case: Case) -> Sequence[str]:
        """Return every message of the case."""
        return self._material(case).messages

    def samples(self, case: Case) -> Sequence[Sample]:
        """Return the recorder's samples of the case."""
        return self._material(case).samples

    def explain(self, case: Case) -> str:
        """Return the facts and the weighed hypotheses behind the verdict, for a person."""
        facts = [f"  {fact.kind:28} {fact.rule:36} {fact.text[:90]}" for fact in self._shown(case)]
        if refused := self._material(case).refused:
            return f"could not be read: {refused}"
        reasons = [line for found in self.diagnoses(case) for line in _explained(found)]
        return "\n".join([*reasons, "\nfacts", *facts])

    def _shown(self, case: Case) -> tuple[Fact, ...]:
        return self._material(case).facts[:400]

    def _material(self, case: Case) -> _Material:
        key = (str(case.path), case.id)
        if key not in self._read:
            try:
                self._read[key] = self._bundle(case) if case.bundle else self._quoted(case)
            except UserError as error:
                self._read[key] = _Material((), (), quoted=False, refused=error.message)
        return self._read[key]

    def _quoted(self, case: Case) -> _Material:
        records = list(_records(case))
        return _Material(self._facts(records), tuple(one.message for one in records), quoted=True)

    def _bundle(self, case: Case) -> _Material:
        bundle = open_bundle(case.path)
        read = list(bundle.records())
        records = [one for one in read if isinstance(one, Record)]
        unread = [one for one in read if isinstance(one, BlindSpot)]
        return _Material(
            facts=(*self._facts(records), *bundle.pod_facts, *bundle.node_facts),
            messages=tuple(one.message for one in records),
            quoted=False,
            node=bundle.node,
            window=bundle.window,
            pods=bundle.pods,
            samples=bundle.samples,
            probes=bundle.probes,
            blind=(*unread, *bundle.blind),
        )

    def _facts(self, records: Iterable[Record]) -> tuple[Fact, ...]:
        return tuple(fact for record in records for fact in self._catalogue.facts(record))


def _records(case: Case) -> Iterator[Record]:
    for entry in case.entries:
        yield record_from_line(
            entry.text or entry.raw,
            raw=entry.raw or None,
            at_s=iso_s(entry.at),
            source=entry.source or None,
            unit=entry.unit or None,
            identifier=entry.identifier or None,
        )
    # Ages order events among themselves, but not against lines that carry dates.
    now_s = None if case.entries else _AGES_END_S
    for event in case.events:
        yield record_from_event(event, now_s=now_s)


def _reduced(found: Sequence[Diagnosis], fired: frozenset[str]) -> Verdict:
    named = tuple(one.cause.value for one in found if one.cause is not Cause.UNKNOWN)
    if not found:
        return Verdict(cause=Cause.UNKNOWN.value, fired=fired)
    first = found[0]
    return Verdict(
        cause=first.cause.value,
        confidence=first.confidence,
        killer=first.killer.kind.value if first.killer else None,
        ranked=tuple((one.cause.value, one.confidence) for one in first.hypotheses),
        victims=frozenset(f"{one.namespace}/{one.pod}".strip("/") for one in first.victims),
        named=named,
        planned=first.planned,
        fired=fired,
        decisive=_decisive(first),
    )


def _decisive(found: Diagnosis) -> frozenset[str]:
    winners = [one for one in found.hypotheses if one.cause is found.cause][:1]
    proofs = [proof for one in winners for proof in one.evidence_for]
    return frozenset(fact.rule for proof in proofs for fact in proof.facts if fact.rule)


def _explained(found: Diagnosis) -> list[str]:
    head = f"\n{found.cause} {found.confidence:.2f}: {found.verdict}"
    return [head, *(line for one in found.hypotheses for line in _hypothesis(one))]


def _hypothesis(one: Hypothesis) -> list[str]:
    proofs = (*one.evidence_for, *one.evidence_against)
    lost = f" ({one.lost_because})" if one.lost_because else ""
    missing = [f"    missing: {what}" for what in one.missing]
    return [
        f"  {one.cause} {one.confidence:.2f}{lost}",
        *(f"    {proof.weight:+.2f} {proof.says}" for proof in proofs),
        *missing,
    ]
