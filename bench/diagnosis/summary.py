"""The diagnosis's figures as rows of ``python -m bench``, over the cases of this repository."""

from __future__ import annotations

from pathlib import Path

from agent.rules.catalogue import Catalogue
from bench.diagnosis.cases import discover
from bench.diagnosis.engine import KnockOn
from bench.diagnosis.harness import run
from bench.diagnosis.report import Report
from bench.rows import Row

_TESTS = Path(__file__).resolve().parent.parent.parent / "tests"
FOLDERS = (_TESTS / "cases", _TESTS / "stories")


def bench(smoke: bool) -> list[Row]:
    """Score tests/cases and tests/stories; a smoke run leaves out leave-one-family-out."""
    folders = [folder for folder in FOLDERS if folder.is_dir()]
    cases, unusable = discover(folders)
    if not cases:
        return [
            Row("diagnosis", "cases", "skipped", note="tests/cases and tests/stories are empty")
        ]
    report = run(cases, KnockOn(Catalogue.load()), unusable, leave_out=not smoke)
    return rows_of(report)


def rows_of(report: Report) -> list[Row]:
    """The figures that decide, with chance and the naive rivals beside top-1."""
    scores = report.scores
    frequent = f"{scores.chance_frequent} always the most frequent"
    rows = [
        Row("diagnosis", "top-1", str(scores.top1), frequent),
        *(
            Row("diagnosis", "top-1", str(scores.top1), f"{one.top1} {one.name}")
            for one in report.baselines
        ),
        Row("diagnosis", "top-3", str(scores.top3)),
        Row("diagnosis", "killer", str(scores.killer)),
        Row("diagnosis", "unknown said where due", str(scores.abstain_recall)),
        Row("diagnosis", "silent on quiet recordings", str(scores.quiet)),
        Row("diagnosis", "wrong with high confidence", str(scores.wrong_confident)),
    ]
    if report.left_out is not None:
        left = report.left_out
        note = f"{len(left.weakened)} cases lost rules they alone touch"
        rows.append(Row("diagnosis", "top-1, one family left out", str(left.top1), note=note))
    return rows
