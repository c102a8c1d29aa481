"""Recorded incidents from end to end: what `knockon why` says must be what really happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.commands.why import Question, answer
from agent.report.jsonform import as_json
from bench.diagnosis.cases import Case, discover

STORIES = Path(__file__).parent / "stories"
TOLD = sorted(path.name for path in STORIES.iterdir() if (path / "truth.json").is_file())


def told(bundle: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(as_json(answer(Question(bundle=bundle))))
    return document


def truth_of(name: str) -> dict[str, Any]:
    truth: dict[str, Any] = json.loads((STORIES / name / "truth.json").read_text())
    return truth


@pytest.mark.parametrize("name", TOLD)
def test_a_story_is_told_as_it_happened(name: str) -> None:
    truth, found = truth_of(name), told(STORIES / name)
    assert found["quiet"] is truth["quiet"]
    if truth["quiet"]:
        assert found["incidents"] == []
        return
    assert len(found["incidents"]) == 1
    only = found["incidents"][0]
    assert only["cause"] == (truth["cause"] or "unknown")
    assert (only["killer"] or {"kind": "none"})["kind"] == truth["killer"]
    assert {v["pod"] for v in only["victims"]} == {v["pod"] for v in truth["victims"]}
    assert only["planned"] is (truth["killer"] == "operator")


def test_a_third_of_the_stories_have_nobody_to_blame() -> None:
    assert len(TOLD) >= 10
    innocent = [n for n in TOLD if truth_of(n)["killer"] in ("none", "operator")]
    assert 3 * len(innocent) >= len(TOLD)


def test_forged_kill_lines_are_counted() -> None:
    report = answer(Question(bundle=STORIES / "spoofed-kill"))
    assert report.origin.spoofed >= 5


def test_an_ungoverned_backup_is_named_and_the_cure_comes_first() -> None:
    (only,) = told(STORIES / "unthrottled-backup")["incidents"]
    assert only["verdict"].endswith("(by the base backup of default/pg-0).")
    assert "knockon backup run" in only["advice"][0]


def test_the_same_bundle_gives_the_same_answer_twice() -> None:
    assert told(STORIES / "founding-incident") == told(STORIES / "founding-incident")


def test_recordings_beside_the_checkout_are_told_as_they_happened(shared: Path) -> None:
    cases, unusable = discover([shared / "recordings"])
    assert cases
    assert not unusable
    wrong = {case.id: said for case in cases if (said := _wrong(case))}
    assert wrong == {}


def _wrong(case: Case) -> str:
    found = told(case.path)
    truth = case.truth
    if truth.quiet:
        return "" if found["quiet"] else "an incident on a quiet node"
    if not found["incidents"]:
        return "nothing reported"
    first = found["incidents"][0]
    if first["cause"] != truth.cause:
        return f"{first['cause']} instead of {truth.cause}"
    return ""
