"""The counts of the faults table cannot flatter, and the table says each failure in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.reliability.counting import Heard, count
from tests.reliability.page import into, table
from tests.reliability.play import Row
from tests.reliability.scenario import PAGE, incident

KILL = replace(
    incident("io_saturation", killer="health_monitor", pods=("pg-0",), alert=PAGE),
    offender="backup-1",
    says=("outage",),
)


def told(**other: Any) -> dict[str, Any]:
    usual = {
        "id": "7f",
        "cause": "io_saturation",
        "killer": {"kind": "health_monitor"},
        "planned": False,
        "victims": [{"pod": "pg-0"}],
        "offender": {"name": "backup-1"},
    }
    return {**usual, **other}


def heard(*incidents: dict[str, Any], **other: Any) -> Heard:
    usual: dict[str, Any] = {
        "incidents": incidents,
        "events": [("7f", "pg-0")],
        "notes": [("7f", "ContainerRuntimeKilled")],
        "alerts": {"7f": PAGE},
        "reports": {"7f": "pg: outage"},
    }
    return Heard(**{**usual, **other})


def counts(said: Heard) -> tuple[int, int, int]:
    found = count([KILL], said)
    return found.lost, found.duplicated, found.wrong


def test_told_once_and_right_is_all_zero() -> None:
    assert counts(heard(told())) == (0, 0, 0)


def test_silence_and_a_missing_event_are_losses() -> None:
    assert counts(heard(events=[])) == (1, 0, 0)
    assert counts(heard(told(), events=[])) == (1, 0, 0)


def test_a_second_incident_or_a_second_event_of_the_same_is_told_twice() -> None:
    assert counts(heard(told(), told(id="80"))) == (0, 1, 0)
    assert counts(heard(told(), events=[("7f", "pg-0")] * 2)) == (0, 1, 0)


@pytest.mark.parametrize(
    "other",
    [
        {"cause": "runtime_hang"},
        {"killer": {"kind": "crash"}},
        {"planned": True},
        {"victims": [{"pod": "pg-0"}, {"pod": "web-1"}]},
        {"offender": {"name": "web-1"}},
        {"offender": None},
    ],
)
def test_every_difference_is_wrong(other: dict[str, Any]) -> None:
    assert counts(heard(told(**other))) == (0, 0, 1)


def test_too_quiet_an_alert_or_a_report_without_its_words_is_wrong() -> None:
    assert counts(heard(told(), alerts={})) == (0, 0, 1)
    assert counts(heard(told(), reports={})) == (0, 0, 1)


def test_what_nobody_did_is_wrong_to_tell() -> None:
    assert count([], heard(told())).wrong == 1


def test_the_table_adds_runs_up_and_says_what_went_wrong() -> None:
    good = Row("near miss", False, "how", 1, 1, 0, 0, 0, 1.0, 3.0, (), ())
    bad = replace(good, wrong=1, worst_gap_s=2.5, complaints=("cause unknown",))
    text = table([good, bad], "a Friday")
    assert "| how | 2 | 2 | 2 | 0 | 0 | 1 | 2.5 | 3.0 |" in text
    assert "- near miss: cause unknown" in text


def test_the_table_goes_between_its_marks() -> None:
    page = "a\n<!-- scenarios -->\nold\n<!-- /scenarios -->\nb\n"
    assert into(page, "new\n") == "a\n<!-- scenarios -->\nnew\n<!-- /scenarios -->\nb\n"
