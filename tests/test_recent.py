"""Ten minutes for the page: shares from totals, gaps that stay gaps, in thirty kilobytes."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from agent.daemon.recent import COLUMNS, LENGTH, Recent, number_asked
from agent.model import Probe
from agent.recorder.frame import MEMORY, PSI, Frame, Key, Row

T0_MS = 1_795_000_000_000


def frame(second: float, *, io_us: int = 0, full_us: int = 0, **more: int) -> Frame:
    rows: dict[Key, Row] = {(PSI, "io"): (0, io_us, 0, full_us)}
    if "available_kib" in more:
        rows[MEMORY,] = (more["available_kib"], 0, 0, 0, 0)
    return Frame(T0_MS + round(second * 1000), rows)


def rows_of(recent: Recent, number: int = -1) -> list[dict[str, Any]]:
    said = recent.since(number)
    return [dict(zip(said["columns"], row, strict=True)) for row in said["rows"]]


def test_pressure_is_the_share_of_the_last_second() -> None:
    recent = Recent()
    recent.take(frame(0, io_us=5_000_000, full_us=1_000_000), ())
    recent.take(frame(1, io_us=5_400_000, full_us=1_250_000), ())
    recent.take(frame(3, io_us=7_400_000, full_us=1_250_000), ())
    first, second, third = rows_of(recent)
    assert first["io_pct"] is None, "one total is no share"
    assert (second["io_pct"], second["io_full_pct"]) == (40.0, 25.0)
    assert (third["io_pct"], third["io_full_pct"]) == (100.0, 0.0), "of two seconds"
    assert second["cpu_pct"] is None, "a kernel without it"


@pytest.mark.parametrize("later_s", [-1.0, 0.0, 60.0])
def test_a_clock_that_is_set_or_a_gap_gives_no_share(later_s: float) -> None:
    recent = Recent()
    recent.take(frame(0, io_us=1_000_000), ())
    recent.take(frame(later_s, io_us=2_000_000), ())
    assert rows_of(recent)[1]["io_pct"] is None


def test_totals_that_begin_anew_give_no_share() -> None:
    recent = Recent()
    recent.take(frame(0, io_us=9_000_000), ())
    recent.take(frame(1, io_us=1_000), ())
    assert rows_of(recent)[1]["io_pct"] is None


def test_probes_stand_beside_what_is_still_waited_for() -> None:
    asked = [
        Probe(1.0, "docker ps", 0.25, answered=True),
        Probe(2.0, "docker ps", 7.5, answered=False),
        Probe(2.0, "cri ListPodSandbox", 0.125, answered=True),
    ]
    recent = Recent()
    recent.take(frame(0, available_kib=2048), asked)
    (row,) = rows_of(recent)
    assert (row["docker_answered_s"], row["docker_waits_s"]) == (0.25, 7.5)
    assert (row["cri_answered_s"], row["cri_waits_s"]) == (0.125, None)
    assert row["available_bytes"] == 2 << 20


def test_only_what_is_new_is_told_again() -> None:
    recent = Recent()
    for second in range(5):
        recent.take(frame(second), ())
    first = recent.since(-1)
    assert (first["from"], first["next"], len(first["rows"])) == (0, 5, 5)
    assert recent.since(5)["rows"] == []
    recent.take(frame(5), ())
    again = recent.since(5)
    assert [row[0] for row in again["rows"]] == [T0_MS / 1000 + 5]
    assert recent.since(700)["from"] == 0, "a number of an agent before this one"


def test_the_oldest_second_makes_room() -> None:
    recent = Recent(length=10)
    for second in range(25):
        recent.take(frame(second), ())
    said = recent.since(0)
    assert (said["from"], said["next"]) == (15, 25)
    assert [row[0] - T0_MS / 1000 for row in said["rows"]] == list(range(15, 25))


def test_ten_minutes_are_thirty_kilobytes() -> None:
    recent = Recent()
    before = sum(map(sys.getsizeof, (recent._times, recent._values)))
    for second in range(2 * LENGTH):
        recent.take(frame(second, io_us=second), ())
    assert sum(map(sys.getsizeof, (recent._times, recent._values))) == before < 30 << 10
    assert len(recent.since(-1)["rows"]) == LENGTH
    assert len(COLUMNS) == len(recent.since(-1)["rows"][0]) - 1


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("since=12", 12),
        ("a=b&since=3", 3),
        ("", -1),
        ("since=", -1),
        ("since=-4", -1),
        ("since=1e9", -1),
        ("since=" + "9" * 400, -1),
        ("since=%31", -1),
    ],
)
def test_what_is_asked_may_be_anything(query: str, number: int) -> None:
    assert number_asked(query) == number
