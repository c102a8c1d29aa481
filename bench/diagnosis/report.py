"""The harness's report as one value; the tables and --json are views of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.diagnosis.cases import Unusable
from bench.diagnosis.score import Scored, Scores, Share, Threshold, expected_word

SCHEMA = "knockon-bench/v1"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a naive rival reached on the same cases."""

    name: str
    top1: Share


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Top-1 when every case is diagnosed without the rules that no other case touches."""

    top1: Share
    families: int
    weakened: tuple[str, ...]  # ids of the cases that lost a rule
    lost: tuple[str, ...]  # ids that were right with all rules and no longer are
    thresholds: tuple[Threshold, ...]  # what other thresholds would have done, under the same loss
    blinded_top1: Share  # every case without all rules that its answer rests on
    blinded_wrong: Share  # and then wrong with high confidence: does it fail silently or loudly?


@dataclass(frozen=True, slots=True)
class Report:
    """One run of the harness."""

    cases: tuple[Scored, ...]
    scores: Scores
    baselines: tuple[Baseline, ...]
    unusable: tuple[Unusable, ...] = ()
    left_out: LeftOut | None = None


def below_thresholds(report: Report, min_top1: float, min_abstain: float) -> list[str]:
    """Say which figures are under what was asked; a figure over no case asks nothing."""
    scores = report.scores
    asked = (
        ("top-1", scores.top1, min_top1),
        ("unknown said where it is due", scores.abstain_recall, min_abstain),
        ("silent on quiet recordings", scores.quiet, min_abstain),
    )
    return [
        f"{name}: {share} is below {least:.2f}"
        for name, share, least in asked
        if share.value is not None and share.value < least
    ]


def as_json(report: Report, failures: Sequence[str] = ()) -> dict[str, Any]:
    """Return the machine-readable form, with the words of ``knockon why --json``."""
    return {
        "schema": SCHEMA,
        "cases": [_case(case) for case in report.cases],
        "scores": _scores(report.scores),
        "baselines": {one.name: _share(one.top1) for one in report.baselines},
        "leave_one_family_out": _left_out(report.left_out),
        "unusable": [{"path": str(one.path), "why": one.why} for one in report.unusable],
        "below_thresholds": list(failures),
    }


def _case(case: Scored) -> dict[str, Any]:
    truth, verdict = case.truth, case.verdict
    killer = None if verdict.killer is None else {"kind": verdict.killer}
    return {
        "id": case.id,
        "outcome": case.outcome.value,
        "cause": verdict.cause,
        "confidence": verdict.confidence,
        "killer": killer,
        "planned": verdict.planned,
        "quiet": not verdict.named,
        "hypotheses": [{"cause": cause, "confidence": sure} for cause, sure in verdict.ranked],
        "victims": [_victim(name) for name in sorted(verdict.victims)],
        "rules": sorted(verdict.decisive),
        "truth": {
            "cause": truth.cause,
            "expected": expected_word(truth),
            "sufficient": truth.sufficient,
            "killer": None if truth.killer is None else {"kind": truth.killer},
            "victims": None
            if truth.victims is None
            else [_victim(v) for v in sorted(truth.victims)],
            "quiet": truth.quiet,
        },
    }


def _victim(name: str) -> dict[str, str]:
    namespace, _, pod = name.rpartition("/")
    return {"namespace": namespace, "pod": pod}


def _scores(scores: Scores) -> dict[str, Any]:
    bins = [asdict(one) | {"right": _share(one.right)} for one in scores.bins]
    confusion = [
        {"truth": truth, "cause": cause, "cases": count}
        for (truth, cause), count in sorted(scores.confusion.items())
    ]
    shares = {
        name: _share(value)
        for name in Scores.__dataclass_fields__
        if isinstance(value := getattr(scores, name), Share)
    }
    return shares | {
        "brier": scores.brier,
        "reliability": bins,
        "chance_uniform": scores.chance_uniform,
        "confusion": confusion,
    }


def _share(share: Share) -> dict[str, float | int | None]:
    return {"hits": share.hits, "of": share.of, "share": share.value}


def _left_out(left: LeftOut | None) -> dict[str, Any] | None:
    if left is None:
        return None
    return asdict(left) | {
        "top1": _share(left.top1),
        "blinded_top1": _share(left.blinded_top1),
        "blinded_wrong": _share(left.blinded_wrong),
        "thresholds": [
            asdict(one) | {"right": _share(one.right), "abstained": _share(one.abstained)}
            for one in left.thresholds
        ],
    }
