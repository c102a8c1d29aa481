"""The plant behaves as the measured disks did: fact for fact, before any law is judged in it."""

from __future__ import annotations

import math

import pytest

from backup.simulation.plant import (
    TCP_BUFFER_BYTES,
    LatencyBound,
    Outcome,
    Phase,
    Setting,
    Stalls,
    TokenBucket,
    Trace,
)
from backup.simulation.rig import Fixed, Rig

STEADY = Trace((Phase(0.0),), 20.0)


SHALLOW = Setting()


def fixed(bytes_per_s: float, trace: Trace = STEADY, setting: Setting = SHALLOW) -> Outcome:
    return Rig(trace, Fixed(bytes_per_s), setting).run()


def test_the_leftover_is_what_was_measured_on_the_capped_volume() -> None:
    assert STEADY.phases[0].leftover_bytes_per_s / 1e6 == pytest.approx(56.3, abs=0.2)


def test_the_knee_is_a_cliff() -> None:
    idle, near, beyond = (fixed(rate).p99_s() for rate in (0.0, 54e6, math.inf))
    assert near < 1.2 * idle + 0.001
    assert 0.07 < beyond < 0.1


def test_a_number_tuned_on_the_first_phase_harms_in_the_third() -> None:
    trace = Trace((Phase(0.0), Phase(10.0, bytes_per_s=20e6, iops=600.0)), 20.0)
    first, second = fixed(40e6, trace).phase_p99_s()
    assert first < 0.003
    assert second > 0.05


def test_a_full_bucket_takes_its_time_in_slices() -> None:
    disk = TokenBucket(Phase(0.0, iops=10.0))
    served = [disk.serve(0.01, 1) for _ in range(4)]
    assert served[0] == 0.01
    assert served[-1] >= 0.1
    assert all(at == pytest.approx(round(at, 1)) for at in served if at > 0.01)


def test_a_deep_socket_buffer_delays_what_a_cut_does() -> None:
    shallow, deep = Setting(), Setting(buffer_bytes=TCP_BUFFER_BYTES)
    assert fixed(10e6, setting=deep).read_bytes <= fixed(10e6, setting=shallow).read_bytes * 1.01
    assert fixed(57e6, setting=deep).p99_s() > fixed(57e6, setting=shallow).p99_s()


def test_a_disk_bound_by_latency_has_no_cliff() -> None:
    trace = Trace((Phase(0.0, tps=20.0, bytes_per_s=120e6, iops=200.0),), 20.0)
    waits = [
        fixed(rate, trace, Setting(disk=LatencyBound)).p99_s() for rate in (0.0, 5e6, 8e6, 12e6)
    ]
    assert waits == sorted(waits)
    assert waits[1] < 2 * waits[0]


def test_stalls_are_counted_once_and_not_ahead_of_time() -> None:
    stalls = Stalls()
    stalls.add(1.0, 2.0)
    stalls.add(1.5, 3.0)
    stalls.add(10.0, 11.0)
    assert stalls.until(10.25) == pytest.approx(2.25)
    assert Stalls().until(5.0) == 0.0


def test_the_same_seed_gives_the_same_run() -> None:
    assert fixed(30e6).waited == fixed(30e6).waited


def test_an_outcome_without_transactions_has_no_p99() -> None:
    assert Outcome(STEADY, 0, (), ()).p99_s() == 0.0
