"""The pacer: exact over time, at once when the rate changes, and without hoarded credit."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from backup.law.pace import CREDIT_S, Pacer

rates = st.floats(1e5, 1e9)
pieces = st.lists(st.integers(1, 1_000_000), min_size=1, max_size=50)


@given(rates, pieces)
def test_reading_as_told_takes_as_long_as_the_rate_says(rate: float, sizes: list[int]) -> None:
    pacer, now_s = Pacer(rate, 0.0), 0.0
    for size in sizes:
        now_s += pacer.grant(size, now_s)
    assert math.isclose(now_s, sum(sizes) / rate, rel_tol=1e-6, abs_tol=2e-6)


@given(rates, pieces, st.floats(0.1, 1000.0))
def test_a_reader_that_slept_gets_no_more_than_the_credit(
    rate: float, sizes: list[int], slept_s: float
) -> None:
    pacer, now_s = Pacer(rate, 0.0), slept_s
    for size in sizes:
        now_s += pacer.grant(size, now_s)
    assert now_s - slept_s >= sum(sizes) / rate - CREDIT_S - 2e-6


def test_a_new_rate_governs_the_wait_that_is_under_way() -> None:
    pacer = Pacer(1e6, 0.0)
    assert pacer.grant(1_000_000, 0.0) == 1.0
    pacer.turn(10e6, 0.5)
    assert math.isclose(pacer.wait_s(0.5), 0.05)


def test_a_pause_lets_nothing_pass_and_forgets_nothing() -> None:
    pacer = Pacer(1e6, 0.0)
    pacer.turn(0.0, 0.0)
    assert pacer.grant(500_000, 0.0) == math.inf
    assert pacer.wait_s(60.0) == math.inf
    pacer.turn(1e6, 60.0)
    assert math.isclose(pacer.wait_s(60.0), 0.5)


def test_infinity_is_no_limit() -> None:
    assert Pacer(math.inf, 0.0).grant(10**12, 1.0) == 0.0


def test_a_clock_that_jumps_back_pays_nothing_off() -> None:
    pacer = Pacer(1e6, 10.0)
    pacer.grant(1_000_000, 10.0)
    assert pacer.wait_s(3.0) == 1.0
