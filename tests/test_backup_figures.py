"""The arithmetic of the backup bench: leftovers, medians and the picture, without a disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from backup.simulation.plant import Waited
from bench.backup.figures import HEAD, leftover, lines, middle, picture
from bench.backup.measure import Run, Span, backup_bytes, by_second
from bench.backup.trace import steady, varying

TRACE = steady(10.0)


def run(arm: str, read_bytes: int, p99_s: float = 0.002) -> Run:
    span = Span(10.0, 2500, 0.0006, p99_s, 0.1, 0.001, 0, read_bytes, 4450)
    return Run(arm, TRACE.name, 0.5, (span,), 0)


NONE = [run("none", 36_000_000), run("none", 36_400_000)]


def test_what_is_left_over_is_the_cap_less_the_recorded_foreground() -> None:
    [rate] = leftover(TRACE, NONE)
    assert rate == pytest.approx(56.4e6, rel=0.01)


def test_a_backup_s_bytes_are_all_less_what_the_transactions_read_alone() -> None:
    assert backup_bytes(run("knockon", 536_200_000), NONE) == pytest.approx(500e6, rel=0.01)


def test_a_line_compares_with_idle_and_a_median_has_its_interval() -> None:
    found = lines(TRACE, [*NONE, run("knockon", 536_200_000, 0.003)])
    assert [line.arm for line in found] == ["none", "knockon"]
    assert found[1].share.value == pytest.approx(88.6, abs=1)
    assert found[1].p99_times[0].value == pytest.approx(1.5)
    assert len(found[1].cells()) == len(HEAD)
    spread = middle([1.0, 2.0, 3.0, 4.0, 50.0])
    assert (spread.low, spread.value) <= (spread.value, spread.high)


def test_seconds_of_harm_are_those_beyond_twice_the_idle_phase() -> None:
    seconds = by_second([Waited(7.0 + at, 0.0005) for at in (0.0, 0.4, 1.2)] + [Waited(9.1, 0.05)])
    assert seconds == (0.0005, 0.0005, 0.05)
    harming = run("knockon", 536_200_000)
    harming = replace(harming, spans=(replace(harming.spans[0], p99_by_second_s=seconds),))
    assert lines(TRACE, [*NONE, harming])[1].harm_s.value == 1


def test_a_run_that_was_kept_is_read_again_as_it_was() -> None:
    kept = replace(NONE[0], spans=(replace(NONE[0].spans[0], p99_by_second_s=(0.001, 0.002)),))
    assert Run.from_json(json.loads(json.dumps(kept.as_json()))) == kept


def test_the_picture_names_every_arm_and_nothing_breaks_out_of_it() -> None:
    found = lines(TRACE, [*NONE, run("a <b> & c", 400_000_000, 0.2)])
    drawn = picture(found, "t <x>")
    assert "a &lt;b&gt; &amp; c" in drawn
    assert "<x>" not in drawn


def test_the_varying_trace_ends_on_a_poor_volume() -> None:
    assert varying(20.0).length_s == 60.0
    assert varying(20.0).phases[-1].iops == 600
