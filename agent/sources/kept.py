"""A whole Diagnosis as plain JSON values, and back: so that it is told elsewhere as it is here.

Reports are made from a Diagnosis, and from the pods and probes beside it. What a node keeps of an
incident is therefore all of them, and not one of its reports.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from agent.model import (
    BlindSpot,
    Cause,
    Diagnosis,
    Evidence,
    Fact,
    Hypothesis,
    Incident,
    Killer,
    KillerKind,
    Link,
    Offender,
    Pod,
    Probe,
    Victim,
)
from agent.sources.fact_rows import fact_of, fact_row

FORM = 1
MOST_FACTS = 2000
MOST_OF_A_KIND = 1000
MOST_PODS = 500
_MOST_BYTES = 64 << 20
_LARGEST = 1e11  # seconds since 1970: the year 5138
_PROBED_BEFORE_S, _PROBED_AFTER_S = 300.0, 30.0

_Plain = TypeVar("_Plain", Victim, Link, BlindSpot, Pod, Probe, Offender)


@dataclass(frozen=True, slots=True)
class Kept:
    """An incident's Diagnosis, with the pods and probes that its reports speak of."""

    diagnosis: Diagnosis
    pods: tuple[Pod, ...] = ()
    probes: tuple[Probe, ...] = ()
    facts_left_out: int = 0


def kept(diagnosis: Diagnosis, pods: Sequence[Pod] = (), probes: Sequence[Probe] = ()) -> Kept:
    """Choose what is kept: all that evidence stands on, and so many facts of each kind."""
    chosen = _chosen(diagnosis)
    incident = replace(diagnosis.incident, facts=chosen)
    return Kept(
        diagnosis=replace(diagnosis, incident=incident),
        pods=_kin(diagnosis.victims, pods),
        probes=tuple(one for one in probes if _is_near(one, diagnosis)),
        facts_left_out=len(diagnosis.incident.facts) - len(chosen),
    )


def packed(one: Kept) -> bytes:
    """Give it as it is stored and sent: lines of one kind resemble each other, so it is packed."""
    row = json.dumps(kept_row(one), separators=(",", ":"), allow_nan=False)
    return zlib.compress(row.encode(), 1)


def unpacked(raw: bytes) -> Kept | None:
    """Read it; none when it is torn, too large, or of another version."""
    try:
        unzip = zlib.decompressobj()
        row = json.loads(unzip.decompress(raw, _MOST_BYTES), parse_constant=_refused)
        return kept_of(row) if unzip.eof else None
    except (zlib.error, ValueError, RecursionError):
        return None


def kept_row(one: Kept) -> dict[str, Any]:
    """Give it as plain values; evidence names its facts by their place in the list."""
    diagnosis, incident = one.diagnosis, one.diagnosis.incident
    facts = list(dict.fromkeys(map(id, (*incident.facts, *_told(diagnosis)))))
    by_id = {id(fact): fact for fact in (*incident.facts, *_told(diagnosis))}
    place = {name: number for number, name in enumerate(facts)}
    killer = diagnosis.killer
    return {
        "form": FORM,
        "incident": [incident.id, incident.node, incident.opened_at_s, incident.closed_at_s],
        "boot": incident.boot,
        "facts": [fact_row(by_id[name]) for name in facts],
        "own": len(incident.facts),
        "left_out": one.facts_left_out,
        "blind": _rows(incident.blind),
        "cause": str(diagnosis.cause),
        "confidence": diagnosis.confidence,
        "planned": diagnosis.planned,
        "killer": killer and [str(killer.kind), killer.name, killer.at_s],
        "offender": diagnosis.offender and _row(diagnosis.offender),
        "victims": _rows(diagnosis.victims),
        "chain": _rows(diagnosis.chain),
        "hypotheses": [_hypothesis_row(each, place) for each in diagnosis.hypotheses],
        "missing": list(diagnosis.missing),
        "verdict": diagnosis.verdict,
        "advice": list(diagnosis.advice),
        "pods": _rows(one.pods),
        "probes": _rows(one.probes),
    }


def kept_of(row: Any) -> Kept | None:  # noqa: ANN401 - comes from a node
    """Read it; none when an older or newer agent meant something else by it."""
    try:
        return _read(row) if row["form"] == FORM else None
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _read(row: Mapping[str, Any]) -> Kept:
    read = [_sane(fact_of(one)) for one in row["facts"]]
    own = tuple(fact for fact in read[: row["own"]] if fact is not None)
    name, node, opened_at_s, closed_at_s = row["incident"]
    incident = Incident(
        id=str(name),
        node=str(node),
        opened_at_s=_time(opened_at_s),
        closed_at_s=_time(closed_at_s),
        facts=own,
        boot=str(row["boot"]),
        blind=_of(BlindSpot, row["blind"]),
    )
    diagnosis = Diagnosis(
        incident=incident,
        cause=Cause(row["cause"]),
        confidence=_number(row["confidence"]),
        planned=bool(row["planned"]),
        killer=None if row["killer"] is None else _killer_of(*row["killer"]),
        offender=None if row["offender"] is None else _of(Offender, [row["offender"]])[0],
        victims=_of(Victim, row["victims"]),
        chain=_of(Link, row["chain"]),
        hypotheses=tuple(_hypothesis_of(one, read) for one in row["hypotheses"]),
        missing=_texts(row["missing"]),
        verdict=str(row["verdict"]),
        advice=_texts(row["advice"]),
    )
    unknown = sum(fact is None for fact in read)
    left_out = int(row["left_out"]) + unknown
    return Kept(diagnosis, _of(Pod, row["pods"]), _of(Probe, row["probes"]), left_out)


def _chosen(diagnosis: Diagnosis) -> tuple[Fact, ...]:
    """Keep the order of time; a flood of one kind leaves room for the others."""
    needed = {id(fact) for fact in _told(diagnosis)}
    seen: Counter[str] = Counter()
    chosen: list[Fact] = []
    room = MOST_FACTS - sum(id(fact) in needed for fact in diagnosis.incident.facts)
    for fact in diagnosis.incident.facts:
        if id(fact) not in needed:
            seen[fact.kind] += 1
            if seen[fact.kind] > MOST_OF_A_KIND or room <= 0:
                continue
            room -= 1
        chosen.append(fact)
    return tuple(chosen)


def _told(diagnosis: Diagnosis) -> Iterable[Fact]:
    """Every fact that some evidence stands on, bounded for each."""
    for hypothesis in diagnosis.hypotheses:
        for one in (*hypothesis.evidence_for, *hypothesis.evidence_against):
            yield from one.facts[:MOST_OF_A_KIND]


def _kin(victims: Sequence[Victim], pods: Sequence[Pod]) -> tuple[Pod, ...]:
    owners = {(one.namespace, one.owner) for one in victims if one.owner}
    names = {(one.namespace, one.pod) for one in victims}
    related = (
        pod
        for pod in pods
        if (pod.namespace, pod.owner) in owners or (pod.namespace, pod.name) in names
    )
    return tuple(pod for _, pod in zip(range(MOST_PODS), related, strict=False))


def _is_near(probe: Probe, diagnosis: Diagnosis) -> bool:
    killer = diagnosis.killer
    at_s = killer.at_s if killer and killer.at_s is not None else diagnosis.incident.opened_at_s
    return at_s is not None and -_PROBED_AFTER_S <= at_s - probe.at_s <= _PROBED_BEFORE_S


def _hypothesis_row(one: Hypothesis, place: Mapping[int, int]) -> dict[str, Any]:
    return {
        "cause": str(one.cause),
        "confidence": one.confidence,
        "for": [_evidence_row(each, place) for each in one.evidence_for],
        "against": [_evidence_row(each, place) for each in one.evidence_against],
        "missing": list(one.missing),
        "lost": one.lost_because,
    }


def _hypothesis_of(row: Mapping[str, Any], facts: Sequence[Fact | None]) -> Hypothesis:
    return Hypothesis(
        cause=Cause(row["cause"]),
        confidence=_number(row["confidence"]),
        evidence_for=tuple(_evidence_of(one, facts) for one in row["for"]),
        evidence_against=tuple(_evidence_of(one, facts) for one in row["against"]),
        missing=_texts(row["missing"]),
        lost_because=str(row["lost"]),
    )


def _evidence_row(one: Evidence, place: Mapping[int, int]) -> list[Any]:
    return [one.weight, one.says, [place[id(fact)] for fact in one.facts[:MOST_OF_A_KIND]]]


def _evidence_of(row: Sequence[Any], facts: Sequence[Fact | None]) -> Evidence:
    weight, says, places = row
    found = (facts[int(place)] for place in places)
    return Evidence(_number(weight), str(says), tuple(fact for fact in found if fact is not None))


def _row(one: object) -> list[Any]:
    return [getattr(one, field.name) for field in fields(one)]  # type: ignore[arg-type]


def _rows(some: Iterable[object]) -> list[list[Any]]:
    return [_row(one) for one in some]


def _of(kind: type[_Plain], rows: Iterable[Sequence[Any]]) -> tuple[_Plain, ...]:
    """Read rows of a class of plain values; each must be of the type its default or word says."""
    return tuple(kind(*(_checked(kind, n, value) for n, value in enumerate(row))) for row in rows)


def _checked(kind: type[_Plain], number: int, value: Any) -> Any:  # noqa: ANN401
    wanted = str(fields(kind)[number].type)
    for name, accepted in _TYPES.items():
        if wanted == name:
            if isinstance(value, accepted):
                is_number = wanted.startswith("float") and value is not None
                return _number(value) if is_number else value
            raise TypeError(f"{kind.__name__}: {value!r:.60} is no {name}")
    raise TypeError(f"{kind.__name__} is not made of plain values")


_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "float | None": (int, float, type(None)),
    "bool | None": (bool, type(None)),
}


def _killer_of(kind: str, name: str, at_s: float | None) -> Killer:
    return Killer(KillerKind(kind), str(name), _time(at_s))


def _texts(some: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(one) for one in some)


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number of ours")


def _time(at_s: Any) -> float | None:  # noqa: ANN401
    return None if at_s is None else _number(at_s)


def _number(value: Any) -> float:  # noqa: ANN401
    """Times, weights and seconds are all far from where arithmetic ends."""
    number = float(value)
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{number} is no number of ours")
    return number


def _sane(fact: Fact | None) -> Fact | None:
    at_s = fact.at_s if fact else None
    return fact if at_s is None or abs(at_s) <= _LARGEST else None
