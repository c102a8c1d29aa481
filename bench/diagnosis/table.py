"""The harness's report as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.diagnosis.report import Baseline, LeftOut, Report
from bench.diagnosis.score import (
    HIGH_CONFIDENCE,
    Outcome,
    Scored,
    Scores,
    Share,
    Threshold,
    expected_word,
)
from bench.rows import text_table


def render(report: Report) -> str:
    """Return the whole report: cases, scores, confusion, calibration, rivals."""
    parts = [
        case_table(report.cases),
        score_table(report.scores),
        "Confusion (truth, answer; right answers left out)\n" + confusion_table(report.scores),
        "Calibration (causes named)\n" + calibration_table(report.scores),
        "Rivals, top-1\n" + rival_table(report.scores, report.baselines),
    ]
    if report.left_out is not None:
        parts.append(_left_out(report.left_out, report.scores.top1))
    if report.unusable:
        parts.append(
            "\n".join(f"not scored: {one.path.name}: {one.why}" for one in report.unusable)
        )
    return "\n\n".join(parts)


def case_table(cases: Sequence[Scored]) -> str:
    """One line a case: what was said, what was true, how it ended."""
    head = ("case", "verdict", "sure", "killer", "truth", "true killer", "ends")
    return text_table(head, [_case_cells(case) for case in cases])


def _case_cells(case: Scored) -> tuple[str, ...]:
    verdict, truth = case.verdict, case.truth
    said = "nothing" if truth.quiet and not verdict.named else verdict.cause
    ends = case.outcome.value if case.outcome is Outcome.OK else case.outcome.value.upper()
    expected = expected_word(truth)
    if truth.sufficient == "no" and not truth.quiet:
        expected += f" (was {truth.cause})" if truth.cause != expected else ""
    killer = verdict.killer or "-"
    sure = f"{verdict.confidence:.2f}"
    return (case.id[:44], said, sure, killer, expected, truth.killer or "-", ends)


def score_table(scores: Scores) -> str:
    """The figures that decide."""
    brier = "none" if scores.brier is None else f"{scores.brier:.3f}"
    named: list[tuple[str, Share | str]] = [
        ("top-1", scores.top1),
        ("top-3", scores.top3),
        ("killer (where the truth names one)", scores.killer),
        ("victims: precision", scores.victim_precision),
        ("victims: recall", scores.victim_recall),
        ("unknown said where it is due (recall)", scores.abstain_recall),
        ("unknown due where it is said (precision)", scores.abstain_precision),
        ("silent on quiet recordings", scores.quiet),
        (f"wrong with confidence >= {HIGH_CONFIDENCE}", scores.wrong_confident),
        ("Brier score of the causes named", brier),
    ]
    return text_table(("figure", "value"), [(name, str(value)) for name, value in named])


def confusion_table(scores: Scores) -> str:
    """Every pair that is not on the diagonal, the most frequent first."""
    pairs = [pair for pair in scores.confusion if pair[0] != pair[1] and pair[0] != "quiet"]
    pairs.sort(key=lambda pair: (-scores.confusion[pair], pair))
    if not pairs:
        return "none"
    cells = [(truth, said, str(scores.confusion[truth, said])) for truth, said in pairs]
    return text_table(("truth", "answer", "cases"), cells)


def calibration_table(scores: Scores) -> str:
    """Five bins: what was promised, what came true."""
    return text_table(("confidence", "mean", "right"), list(_bins(scores)))


def _bins(scores: Scores) -> Iterator[tuple[str, ...]]:
    for one in scores.bins:
        mean = "-" if one.mean_confidence is None else f"{one.mean_confidence:.2f}"
        yield f"{one.low:.1f}-{one.high:.1f}", mean, str(one.right)


def rival_table(scores: Scores, baselines: Sequence[Baseline]) -> str:
    """Chance and the naive baselines beside the diagnosis."""
    rivals = [
        ("this diagnosis", str(scores.top1)),
        *((one.name, str(one.top1)) for one in baselines),
        ("always the most frequent cause", str(scores.chance_frequent)),
        ("a cause at random", f"{100 * scores.chance_uniform:.1f} %"),
    ]
    return text_table(("rival", "top-1"), rivals)


def _left_out(left: LeftOut, plain: Share) -> str:
    lost = "".join(f"\n  lost: {name}" for name in left.lost)
    return (
        "Leave one family out (no case may use a rule that it alone touches)\n"
        f"top-1 {left.top1}; with all rules {plain}\n"
        f"{left.families} families; {len(left.weakened)} cases lost rules, "
        f"{len(left.lost)} of them their right answer{lost}\n\n"
        "The same with other thresholds for naming a cause\n"
        f"{_threshold_table(left.thresholds)}\n\n"
        "Blinded (every case without all rules that its answer rests on)\n"
        f"top-1 {left.blinded_top1}; "
        f"wrong with confidence >= {HIGH_CONFIDENCE} {left.blinded_wrong}"
    )


def _threshold_table(thresholds: Sequence[Threshold]) -> str:
    head = ("named from", "right", "wrong", "unknown where it is due")
    cells = [
        (f"{one.named_from:.2f}", str(one.right), str(one.wrong), str(one.abstained))
        for one in thresholds
    ]
    return text_table(head, cells)
