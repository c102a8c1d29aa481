"""The law step by step: what one reading after the other makes of the state."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.law.law import (
    INTERVAL_S,
    LEAST_BYTES_PER_S,
    WINDUP,
    Law,
    Reading,
    State,
    begin,
    queue_limit_s,
    step,
)

LAW = Law(ceiling_bytes_per_s=200e6)


def calm(
    now_s: float,
    achieved: float,
    queue_s: float | None = 0.0,
    psi_stalled_share: float | None = 0.0,
    killer_grade: bool = False,
) -> Reading:
    return Reading(now_s, queue_s, 0.0002, psi_stalled_share, achieved, killer_grade, 0.001)


def climbed(state: State, seconds: float, law: Law = LAW) -> State:
    for _ in range(round(seconds / INTERVAL_S)):
        now_s = state.at_s + INTERVAL_S
        state = step(state, calm(now_s, state.allowed_bytes_per_s), law)
    return state


def test_slow_start_is_steep_and_ends_at_the_first_cut() -> None:
    state = climbed(begin(0.0, LAW), 0.5)
    assert state.rate_bytes_per_s == pytest.approx(4e6 * 1.35**5, rel=0.12)
    state = step(state, calm(0.55, state.rate_bytes_per_s, queue_s=0.02), LAW)
    assert not state.starting
    assert state.knee is not None


def test_one_cut_each_reaction_time() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    cuts = set()
    for tick in range(1, 21):
        state = step(state, calm(1.0 + tick * INTERVAL_S, 1e6, queue_s=0.05), LAW)
        cuts.add(state.cut_at_s)
    assert len(cuts) <= 4


def test_a_killer_grade_miss_pauses_at_once_and_longer_each_time() -> None:
    state, holds = begin(0.0, LAW), []
    for _ in range(9):
        state = step(state, calm(state.at_s + INTERVAL_S, 1e6, killer_grade=True), LAW)
        assert state.allowed_bytes_per_s == 0.0
        holds.append(state.paused_until_s - state.at_s)
        while state.paused:
            state = step(state, calm(state.at_s + INTERVAL_S, 0.0), LAW)
        assert state.allowed_bytes_per_s > 0.0
    assert [round(hold) for hold in holds] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_pause_is_not_deferred_to_the_next_interval() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    assert step(state, calm(state.at_s, 1e6, killer_grade=True), LAW).paused


def test_the_hold_is_short_again_after_a_calm_minute() -> None:
    state = step(begin(0.0, LAW), calm(0.05, 0.0, killer_grade=True), LAW)
    state = climbed(replace(state, hold_s=32.0), 70.0)
    state = step(state, calm(state.at_s + 0.05, 0.0, killer_grade=True), LAW)
    assert state.hold_s == 1.0


def test_each_minute_it_stands_aside_for_a_moment() -> None:
    state, aside_s = begin(0.0, LAW), 0.0
    for tick in range(1, round(185 / INTERVAL_S)):
        state = step(state, calm(tick * INTERVAL_S, state.allowed_bytes_per_s), LAW)
        aside_s += INTERVAL_S * (state.reason == "planned slowdown")
    assert 3 * 0.3 <= aside_s <= 3 * 0.5


def test_the_floor_is_kept_through_cuts_and_slowdowns_but_not_through_a_pause() -> None:
    law = Law(200e6, floor_bytes_per_s=20e6)
    state = begin(0.0, law)
    for tick in range(1, 2000):
        state = step(state, calm(tick * INTERVAL_S, 20e6, queue_s=0.05), law)
        assert state.allowed_bytes_per_s >= 20e6
    state = step(state, calm(state.at_s + 0.05, 20e6, killer_grade=True), law)
    assert state.allowed_bytes_per_s == 0.0


def test_the_ceiling_beats_the_floor() -> None:
    assert climbed(begin(0.0, Law(10e6, 50e6)), 5.0, Law(10e6, 50e6)).rate_bytes_per_s == 10e6


def test_pressure_alone_steers_only_where_nothing_can_be_asked() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    now_s, rate = state.at_s + INTERVAL_S, state.rate_bytes_per_s
    asked = step(state, calm(now_s, rate, psi_stalled_share=0.8), LAW)
    assert asked.rate_bytes_per_s >= rate
    assert asked.curious
    blind = step(state, calm(now_s, rate, psi_stalled_share=0.8, queue_s=None), LAW)
    assert blind.rate_bytes_per_s < rate


def starved(state: State, law: Law = LAW, wanting: float = 1.0, share: float | None = 0.6) -> State:
    for _ in range(3):
        now_s, got = state.at_s + INTERVAL_S, 0.4 * state.rate_bytes_per_s
        reading = calm(now_s, got, psi_stalled_share=share)
        state = step(state, replace(reading, wanting=wanting), law)
    return state


def test_bytes_that_do_not_come_beside_pressure_are_the_knee() -> None:
    state = starved(climbed(begin(0.0, LAW), 1.0))
    assert state.knee is not None
    assert state.rate_bytes_per_s <= WINDUP * 40e6


def test_bytes_that_do_not_come_without_pressure_are_not() -> None:
    assert starved(climbed(begin(0.0, LAW), 1.0), share=0.0).knee is None


def test_bytes_that_a_busy_reader_did_not_take_are_not() -> None:
    assert starved(climbed(begin(0.0, LAW), 1.0), wanting=0.0).knee is None


def test_a_server_on_another_node_shows_its_disk_by_our_progress_alone() -> None:
    law = Law(LAW.ceiling_bytes_per_s, elsewhere=True)
    assert starved(climbed(begin(0.0, law), 1.0, law), law, share=0.0).knee is not None


def test_one_late_probe_of_five_without_pressure_cuts_nothing_and_makes_curious() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    late = calm(state.at_s + INTERVAL_S, state.rate_bytes_per_s, queue_s=0.03)
    alone = step(state, replace(late, usual_queue_s=0.0), LAW)
    assert alone.knee is None
    assert alone.curious
    assert not alone.harmed
    assert step(state, replace(late, usual_queue_s=0.03), LAW).harmed
    assert step(state, replace(late, usual_queue_s=0.0, psi_stalled_share=0.4), LAW).harmed


def test_weak_signs_are_yielded_to_at_once_and_believed_only_when_they_repeat() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    state = step(state, calm(state.at_s + INTERVAL_S, state.rate_bytes_per_s, queue_s=0.02), LAW)
    state = climbed(state, 5.0)
    knee, before = state.knee, state.rate_bytes_per_s
    once = starved(state, share=0.3)
    assert once.allowed_bytes_per_s <= 0.3 * before
    assert once.knee == knee
    assert climbed(once, 3.0).rate_bytes_per_s >= 0.9 * before
    for _ in range(2):
        once = starved(climbed(once, 0.5), share=0.3)
    assert once.knee != knee


def test_a_pause_stays_below_what_the_server_bears() -> None:
    law = Law(200e6, longest_pause_s=2.5)
    state = begin(0.0, law)
    for _ in range(200):
        state = step(state, calm(state.at_s + INTERVAL_S, 0.0, killer_grade=True), law)
        assert state.paused_until_s - state.at_s <= 2.5


def test_a_reader_that_stands_still_on_a_calm_disk_is_no_knee() -> None:
    state = climbed(begin(0.0, LAW), 1.0)
    for _ in range(100):
        state = step(state, calm(state.at_s + INTERVAL_S, 0.0), LAW)
    assert state.starting
    assert state.knee is None


@given(
    st.lists(
        st.tuples(
            st.floats(-1, 100), st.floats(0, 10), st.floats(0, 1), st.floats(0, 1e10), st.booleans()
        ),
        max_size=60,
    )
)
def test_no_reading_whatever_breaks_it(
    readings: list[tuple[float, float, float, float, bool]],
) -> None:
    state, now_s = begin(0.0, LAW), 0.0
    for passed_s, queue_s, share, achieved, killer_grade in readings:
        now_s += passed_s
        reading = Reading(now_s, queue_s, 0.0, share, achieved, killer_grade)
        state = step(state, reading, LAW)
        assert LEAST_BYTES_PER_S <= state.rate_bytes_per_s <= LAW.ceiling_bytes_per_s
        assert queue_limit_s(reading) > 0
