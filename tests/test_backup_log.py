"""What a governed backup was allowed, read back from the lines it really writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commands.why import Question, answer
from agent.report.html import as_html
from agent.sources.backup_log import Paced, read_backup_log
from backup.run.progress import Sight, log_line
from tests.command import KILL_US, killed_bundle
from tests.pages import read_page

KILL_S = KILL_US / 1e6


def line(at_s: float, allowed: float, achieved: float) -> str:
    return log_line(Sight(at_s, "reading", 5 << 30, 9 << 30, achieved, allowed, "io waits"))


def test_the_lines_of_a_run_give_its_rates() -> None:
    said = [
        '{"at_s": 1.0, "message": "no counters on this volume"}',
        line(120.0, 8e7, 7.5e7),
        line(60.0, 1.2e8, 1.1e8),
    ]
    assert read_backup_log(said) == (Paced(60.0, 1.2e8, 1.1e8), Paced(120.0, 8e7, 7.5e7))


@pytest.mark.parametrize(
    "broken",
    [
        '{"allowed_bytes_per_s": 1, "achieved_bytes_per_s": 1}',
        '{"at_s": "x", "allowed_bytes_per_s": 1, "achieved_bytes_per_s": 1}',
        '{"at_s": 1e999, "allowed_bytes_per_s": 1, "achieved_bytes_per_s": 1}',
        '{"at_s": 1, "allowed_bytes_per_s": -1, "achieved_bytes_per_s": 1}',
        '{"at_s": 1, "allowed_bytes_per_s": [], "achieved_bytes_per_s": 1}',
        '{"allowed_bytes_per_s": ' + "[" * 3000,
    ],
)
def test_a_line_that_is_none_is_passed_over(broken: str) -> None:
    assert read_backup_log([broken, line(1.0, 2.0, 3.0)]) == (Paced(1.0, 2.0, 3.0),)


@given(st.lists(st.text().map(lambda text: f'{{"allowed_bytes_per_s": {text}')))
def test_any_text_in_no_traceback_out(lines: list[str]) -> None:
    read_backup_log(lines)


def test_a_log_in_the_bundle_is_a_chart_of_the_page(tmp_path: Path) -> None:
    bundle = killed_bundle(tmp_path / "bundle")
    lines = [line(KILL_S - 300 + 60 * n, 1e8 / (n + 1), 9e7 / (n + 1)) for n in range(5)]
    (bundle / "pg-backup.log").write_text("+ exec knockon backup run\n" + "\n".join(lines) + "\n")
    answered = answer(Question(bundle=bundle))
    assert [one.allowed_bytes_s for one in answered.origin.paced] == [
        1e8,
        5e7,
        33333333,
        2.5e7,
        2e7,
    ]
    labels = read_page(as_html(answered)).values("aria-label")
    assert any(
        said.startswith("Backup: achieved: typically") and "allowed: typically" in said
        for said in labels
    )


def test_the_same_words_in_a_journal_stay_a_journal(tmp_path: Path) -> None:
    bundle = killed_bundle(tmp_path / "bundle")
    quoted = line(KILL_S, 1e8, 9e7)
    (bundle / "more.export").write_text(
        f"__REALTIME_TIMESTAMP={KILL_US}\n_BOOT_ID={'a' * 32}\nMESSAGE={quoted}\n\n"
    )
    assert answer(Question(bundle=bundle)).origin.paced == ()
