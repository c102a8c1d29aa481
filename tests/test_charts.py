"""Tracks and their drawing: what was recorded is what is drawn, peaks and gaps included."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import CgroupCounters, DiskCounters, Probe, Psi, Sample, Subject, SubjectKind
from agent.report.page.charts import (
    BUCKETS,
    HEIGHT,
    LEVELS,
    levels,
    packed,
    path,
    plot,
    quantity,
    sentence,
)
from agent.report.page.charts import told as told_of
from agent.report.page.movers import MOST_SHOWN, movers
from agent.report.page.span import Span, Steps, round_up, span_around
from agent.report.page.strip import lane_of, strip
from agent.report.page.tracks import Recorded, Series, Track, tracks
from agent.sources.backup_log import Paced
from tests.full_node import FROM_S, an_hour
from tests.handmade import KILL_S, MONITOR, SANDBOXES

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
LEVEL = st.one_of(st.none(), st.integers(0, LEVELS))


def span(cells: int = 10) -> Span:
    return Span(1000.0, 1.0, cells)


def track_of(key: str, recorded: Recorded, cells: int = 10) -> Track:
    return next(track for track in tracks(span(cells), recorded) if track.key == key)


def psi(stalled_s: float, full_s: float = 0.0) -> Psi:
    return Psi(0.0, stalled_s, 0.0, full_s)


@given(st.lists(LEVEL, max_size=50))
def test_packed_levels_come_back(found: list[int | None]) -> None:
    text = packed(found)
    assert len(text) == 2 * len(found)
    pairs = [text[i : i + 2] for i in range(0, len(text), 2)]
    back = [None if p == ".." else DIGITS.index(p[0]) * 64 + DIGITS.index(p[1]) for p in pairs]
    assert back == found


@given(st.lists(LEVEL, min_size=1, max_size=4 * BUCKETS))
def test_no_peak_is_lost_in_the_drawing(found: list[int | None]) -> None:
    heights = [int(y) for y in re.findall(r"V(\d+)", path(found, "area"))]
    seen = [level for level in found if level is not None]
    if not seen:
        assert heights == []
        return
    top = HEIGHT - (max(seen) * HEIGHT + LEVELS // 2) // LEVELS
    assert min(heights) == top


def test_line_keeps_the_lowest_too() -> None:
    found = [*[LEVELS] * BUCKETS, 0, *[LEVELS] * (BUCKETS - 1)]
    assert f"V{HEIGHT}" in path(found, "line")
    assert f"V{HEIGHT}" not in path([LEVELS for _ in range(BUCKETS)], "line")


def test_gap_is_a_gap() -> None:
    assert path([5, None, 5], "area").count("M") == 2
    assert path([None, None], "area") == ""


def test_level_line_is_one_stroke() -> None:
    assert path([LEVELS] * BUCKETS, "area") == f"M0 {HEIGHT}V0H1200V{HEIGHT}Z"


def test_time_is_logarithmic_and_clipped() -> None:
    track = Track("probe", "", "wait", 100.0, (Series("", (0.0, 0.01, 1.0, 100.0, 999.0)),))
    assert levels(track.series[0], track) == [0, 0, LEVELS // 2 + 1, LEVELS, LEVELS]


def test_pressure_is_the_change_of_the_totals() -> None:
    samples = [Sample(1000.5 + s, io=psi(s * 0.25, s * 0.1)) for s in range(5)]
    track = track_of("psi-io", Recorded(samples))
    some, full = track.series
    assert list(some.values[:4]) == pytest.approx([25.0] * 4)
    assert list(full.values[:4]) == pytest.approx([10.0] * 4)
    assert some.values[4:] == (None,) * 6


def test_nothing_is_drawn_across_a_gap_or_backwards() -> None:
    times = [1000.0, 1001.0, 1007.0, 1008.0]
    totals = [5.0, 5.5, 9.0, 0.0]
    samples = [Sample(at_s, io=psi(t)) for at_s, t in zip(times, totals, strict=True)]
    values = track_of("psi-io", Recorded(samples)).series[0].values
    assert values[0] == pytest.approx(50)
    assert values[1:7] == (None,) * 6
    assert values[7] == 0


def test_late_sample_leaves_no_hole() -> None:
    times = [1000.1, 1001.1, 1003.0, 1004.0]
    samples = [Sample(at_s, memory_available_bytes=10**9, io=psi(at_s)) for at_s in times]
    for key in ("memory", "psi-io"):
        values = track_of(key, Recorded(samples)).series[0].values
        assert None not in values[:4]


def test_sparse_recording_is_still_a_line() -> None:
    samples = [Sample(1000.0 + s, io=psi(s)) for s in range(0, 50, 5)]
    values = track_of("psi-io", Recorded(samples), 50).series[0].values
    assert None not in values[:45]


def test_busiest_disk_is_the_one_shown() -> None:
    def disks(second: int) -> tuple[DiskCounters, ...]:
        slow = DiskCounters("vda", second * 10, 0, 0, 0, 0.0, 0.0)
        return slow, DiskCounters("vdb", second * 10**6, second * 5, 0, 0, 0.0, 0.0)

    samples = [Sample(1000.0 + s, disks=disks(s)) for s in range(5)]
    track = track_of("disk", Recorded(samples))
    assert track.title == "Disk vdb"
    assert track.series[0].values[0] == pytest.approx(1e6)
    assert track.series[1].values[0] == pytest.approx(5)


def test_movers_are_ranked_and_the_offender_stands_out() -> None:
    samples = an_hour(seconds=60, pods=20)
    owner = Subject(SubjectKind.POD, "backup", "prod", "b")
    samples = tuple(
        replace(s, cgroups=(*s.cgroups, CgroupCounters(owner, write_bytes=n << 30)))
        for n, s in enumerate(samples)
    )
    cells = Span(FROM_S, 1.0, 60)
    found = movers(Steps.of(cells, samples))
    assert found[0].owner == owner
    assert len(found) == MOST_SHOWN
    assert found[0].values[0] == pytest.approx(1 << 30)
    drawn = tracks(cells, Recorded(samples, offender=("prod", "backup")))
    assert (drawn[0].title, drawn[0].series[0].style) == ("prod/backup", "mark")


def test_probe_fills_the_time_it_waited() -> None:
    asked = (Probe(1000.2, "ps", 0.02, True), Probe(1002.0, "ps", 4.5, False))
    track = track_of("probe", Recorded((), asked, timeout_s=60.0))
    assert track.limit == (60.0, "the killer's usual timeout")
    assert track.top == 90
    assert track.series[0].values[:2] == (0.02, None)
    assert track.series[1].values == (None, None, *[4.5] * 5, None, None, None)


def test_backup_rates_hold_until_the_next() -> None:
    paced = (Paced(1001.0, 2e6, 1e6), Paced(1004.0, 4e6, 3e6))
    achieved, allowed = track_of("backup", Recorded(paced=paced)).series
    assert achieved.values[:6] == (None, 1e6, 1e6, 1e6, 3e6, None)
    assert allowed.values[:6] == (None, 2e6, 2e6, 2e6, 4e6, None)


def test_tracks_without_anything_are_left_out() -> None:
    assert tracks(span(), Recorded()) == ()
    assert [
        t.key for t in tracks(span(), Recorded((Sample(1001.0, memory_available_bytes=5),)))
    ] == ["memory"]


def test_span_is_at_most_an_hour_around_the_kill() -> None:
    samples = [Sample(KILL_S + at_s) for at_s in range(-9000, 9000, 10)]
    found = span_around(KILL_S, [KILL_S, KILL_S + 60], samples)
    assert found
    assert found.step_s == 1
    assert found.from_s == pytest.approx(KILL_S - 2700, abs=3)
    assert found.to_s == pytest.approx(KILL_S + 900, abs=3)


def test_span_of_facts_alone_and_of_nothing() -> None:
    found = span_around(None, [5.0, 8.5], ())
    assert found
    assert found.from_s <= 5.0
    assert found.to_s >= 8.5
    assert span_around(KILL_S, (), ()) is None
    far = span_around(KILL_S, [KILL_S, 0.0, 1e12], ())
    assert far
    assert far.cells < 20


def test_numbers_behind_a_chart() -> None:
    series = Series("read", (None, 1e6, 5e6, 2e6))
    track = Track("disk", "Disk vda", "rate", 1e7, (series,))
    told = told_of(series, span(4), 1003.2)
    assert told
    assert (told.low, told.typical, told.high, told.at_kill) == (1e6, 2e6, 5e6, 2e6)
    assert sentence([told], track) == (
        "Disk vda: read: typically 2.0 MB/s, at most 5.0 MB/s at 00:16:42."
    )
    assert told_of(Series("x", (None,)), span(1), None) is None


def test_plot_says_what_it_shows_and_marks_the_kill() -> None:
    track = Track("disk", "Disk", "rate", 1e7, (Series("read", (1e6,)),), limit=(5e6, "limit"))
    drawn = plot(track, "<told>", 0.5).text
    assert 'aria-label="&lt;told&gt;"' in drawn
    assert 'class="limit"' in drawn
    assert '<line x1="600" x2="600"' in drawn


def test_strip_puts_each_source_in_its_lane() -> None:
    facts = list(enumerate((MONITOR, *SANDBOXES)))
    cells = Span(KILL_S - 10, 1.0, 60)
    drawn = strip(facts, cells, "i0-", KILL_S).text
    assert drawn.count('class="mark"') == 5
    assert drawn.count('class="mark kill"') == 1
    assert {lane_of(fact) for _, fact in facts} == {"journal", "events"}
    assert lane_of(replace(MONITOR, source="</svg>")) == "other"


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (42.4, "pct", "42 %"),
        (0.031, "wait", "0.03 s"),
        (61.0, "wait", "1 min 1 s"),
        (5e8, "rate", "500 MB/s"),
        (2.4e10, "bytes", "24 GB"),
        (12.0, "rate", "12 B/s"),
    ],
)
def test_quantities_carry_their_unit(value: float, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_scales_end_above_the_value(value: float) -> None:
    assert value <= round_up(value) <= 2.5 * value * 1.001
