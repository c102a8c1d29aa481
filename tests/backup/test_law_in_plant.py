"""The law in the plant: what it must reach, and what it must never do, whatever the disk does."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import Phase as Step
from hypothesis import strategies as st

from backup.law.guards import AHEAD_S, Deadline, Guards, Notice, Progress
from backup.law.law import INTERVAL_S, WINDUP, Law, State
from backup.simulation.plant import LatencyBound, Outcome, Own, Phase, Setting, Trace, quantile
from backup.simulation.rig import Fixed, Governed, Rig

LAW = Law(ceiling_bytes_per_s=200e6)
SEEDS = range(1, 15)
STEADY = Trace((Phase(0.0),), 60.0)
VARYING = Trace(
    (Phase(0.0), Phase(20.0, tps=500.0), Phase(40.0, bytes_per_s=20e6, iops=600.0)), 60.0
)
# A run is a tenth of a second: too long to shrink, short enough to draw two dozen.
few = settings(
    max_examples=25,
    phases=[Step.explicit, Step.reuse, Step.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def governed(trace: Trace, setting: Setting, law: Law = LAW) -> tuple[Outcome, list[State]]:
    arm = Governed(law)
    return Rig(trace, arm, setting).run(), arm.states


def idle(trace: Trace, setting: Setting) -> Outcome:
    return Rig(trace, Fixed(0.0), setting).run()


def middle(values: list[float]) -> float:
    return quantile(values, 0.5)


def test_steady_load_94_percent_and_nobody_notices() -> None:
    """One per cent short of what is wanted: the price of not believing a busy processor."""
    runs = [governed(STEADY, Setting(seed=seed))[0] for seed in SEEDS]
    quiet = middle([idle(STEADY, Setting(seed=seed)).p99_s() for seed in SEEDS])
    assert middle([run.efficiency for run in runs]) >= 0.94
    assert middle([run.p99_s() for run in runs]) <= 1.2 * quiet + 0.001


@pytest.mark.parametrize(("counted", "share"), [(False, 0.90), (True, 0.90)])
def test_varying_load_and_p99_within_twice_idle_in_each_phase(counted: bool, share: float) -> None:
    runs = [governed(VARYING, Setting(seed=seed, counted=counted))[0] for seed in SEEDS]
    quiet = [idle(VARYING, Setting(seed=seed)).phase_p99_s() for seed in SEEDS]
    assert middle([run.efficiency for run in runs]) >= share
    for phase in range(3):
        ours = middle([run.phase_p99_s()[phase] for run in runs])
        assert ours <= 2 * middle([one[phase] for one in quiet]), phase


def test_counters_keep_a_steady_run_under_the_knee() -> None:
    """Once measured, the limit is met again only to see whether it has risen."""
    _, states = governed(Trace((Phase(0.0),), 120.0), Setting(seed=3))
    cuts = [state.at_s for state in states if state.cut_at_s == state.at_s]
    assert len([at_s for at_s in cuts if at_s > 20.0]) <= 6
    measured = states[-1].volume.bytes.measured
    assert measured == pytest.approx(60e6, rel=0.08)


def test_half_as_much_again_as_the_best_fixed_rate_in_hindsight() -> None:
    setting = Setting(seed=2)
    run, _ = governed(VARYING, setting)
    allowed = [2 * p99_s for p99_s in idle(VARYING, setting).phase_p99_s()]
    tried = [Rig(VARYING, Fixed(rate * 1e6), setting).run() for rate in range(8, 60, 2)]
    harmless = [
        one.read_bytes
        for one in tried
        if all(p <= most for p, most in zip(one.phase_p99_s(), allowed, strict=True))
    ]
    assert run.read_bytes >= 1.5 * max(harmless)


@st.composite
def plants(draw: st.DrawFn) -> tuple[Trace, Setting]:
    """Any capacity, delay, noise and steps that a volume may show in 40 s."""
    phases = []
    for number in range(draw(st.integers(1, 3))):
        capacity = draw(st.floats(10e6, 150e6))
        iops = draw(st.floats(400, 4000))
        tps = draw(st.floats(0.02, 0.5)) * iops / 1.78
        phases.append(Phase(number * 40 / 3, tps, capacity, iops))
        assume(phases[-1].leftover_bytes_per_s > 2e6)  # else the foreground harms itself
    setting = Setting(
        buffer_bytes=draw(st.sampled_from([160_000, 1_000_000, 4_000_000])),
        probe_delay_s=draw(st.floats(0, 0.02)),
        noise=draw(st.floats(0.1, 0.8)),
        seed=draw(st.integers(1, 10**6)),
    )
    return Trace(tuple(phases), 40.0), setting


CUT_TO_A_TENTH = Trace(
    (
        Phase(0.0, 784.0, 140e6, 3709.0),
        Phase(40 / 3, 91.4, 122e6, 1530.0),
        Phase(80 / 3, 488.0, 10e6, 2628.0),
    ),
    40.0,
)


CUT_AGAIN = Trace(
    (
        Phase(0.0, 76.5, 131e6, 729.0),
        Phase(40 / 3, 99.0, 67.6e6, 3525.0),
        Phase(80 / 3, 561.0, 14.4e6, 3849.0),
    ),
    40.0,
)


@given(plants(), st.floats(1e6, 300e6))
@example(
    (
        CUT_TO_A_TENTH,
        Setting(buffer_bytes=1_000_000, probe_delay_s=0.0078, noise=0.25, seed=184566),
    ),
    165e6,
)
@example(
    (CUT_AGAIN, Setting(buffer_bytes=4_000_000, probe_delay_s=0.0115, noise=0.33, seed=881)),
    207e6,
)
@few
def test_the_rate_is_bounded_and_never_winds_up(
    plant: tuple[Trace, Setting], ceiling: float
) -> None:
    outcome, states = governed(*plant, Law(ceiling))
    assert all(0 < state.rate_bytes_per_s <= ceiling for state in states)
    assert all(state.allowed_bytes_per_s <= state.rate_bytes_per_s for state in states)
    for at, state in enumerate(states[60:], 60):
        lately = max(achieved for _, _, achieved in outcome.rates[at - 60 : at + 1])
        assert state.rate_bytes_per_s <= WINDUP * max(lately, 4e6) + 1


@given(plants())
@few
def test_it_harms_no_longer_than_the_budget(plant: tuple[Trace, Setting]) -> None:
    trace, setting = plant
    outcome, states = governed(trace, setting)
    flat_out = Rig(trace, Fixed(math.inf), setting).run()
    limit_s = 2 * idle(trace, setting).p99_s() + 0.005
    # Set from what was seen, not from a promise: the worst of hundreds of plants (a volume that
    # drops to a few per cent of what it was, behind a deep socket buffer) came to a quarter.
    assert outcome.late_share(limit_s) <= 0.35 * flat_out.late_share(limit_s) + 0.01
    assert sum(state.harmed for state in states) * INTERVAL_S <= 0.15 * trace.length_s


def test_on_most_plants_harm_is_rare() -> None:
    """The usual case, with the seeds named: shallow buffer, one step in 40 s."""
    late = []
    for seed in range(1, 21):
        random = Random(seed)
        phases = [Phase(at, 200.0, random.uniform(20e6, 120e6), 1500.0) for at in (0.0, 20.0)]
        trace, setting = Trace(tuple(phases), 40.0), Setting(seed=seed)
        limit_s = 2 * idle(trace, setting).p99_s() + 0.005
        late.append(governed(trace, setting)[0].late_share(limit_s))
    assert middle(late) <= 0.005
    assert quantile(late, 0.9) <= 0.02


@given(plants())
@few
def test_it_converges_to_a_useful_rate(plant: tuple[Trace, Setting]) -> None:
    trace, setting = plant
    steady = Trace((trace.phases[0],), 40.0)
    outcome, _ = governed(steady, setting)
    leftover = min(steady.phases[0].leftover_bytes_per_s, 130e6)
    assert outcome.achieved_bytes_per_s(20.0, 40.0) >= 0.6 * leftover


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_the_knee_again_when_capacity_returns(seed: int) -> None:
    poor = Phase(20.0, bytes_per_s=20e6, iops=600.0)
    trace = Trace((Phase(0.0), poor, Phase(50.0)), 120.0)
    outcome, _ = governed(trace, Setting(seed=seed))
    assert outcome.achieved_bytes_per_s(95.0, 120.0) >= 0.9 * trace.phases[0].leftover_bytes_per_s


def test_a_disk_bound_by_latency_is_shared_too() -> None:
    trace = Trace((Phase(0.0, tps=20.0, bytes_per_s=120e6, iops=200.0),), 40.0)
    seeded = [Setting(disk=LatencyBound, seed=seed) for seed in range(1, 9)]
    ours = [governed(trace, setting)[0] for setting in seeded]
    flat_out = [Rig(trace, Fixed(math.inf), setting).run() for setting in seeded]
    assert min(outcome.read_bytes for outcome in ours) > 100e6
    assert middle([one.p99_s() for one in ours]) <= 0.95 * middle([o.p99_s() for o in flat_out])


@pytest.mark.parametrize("own_bytes_per_s", [8e6, 30e6])
def test_our_own_slowness_is_no_knee(own_bytes_per_s: float) -> None:
    """A reader that compresses and uploads as fast as it can is never slowed further."""
    setting = Setting(own=Own(own_bytes_per_s, stall_s=0.3))
    outcome, states = governed(STEADY, setting)
    per_part = setting.own.stall_every_bytes
    possible = per_part / (per_part / own_bytes_per_s + setting.own.stall_s)
    assert outcome.achieved_bytes_per_s(10.0, 60.0) >= 0.9 * possible
    assert not any(state.harmed for state in states)


@given(
    st.floats(0.0, 0.06),
    st.floats(0.005, 0.05),
    st.floats(10e6, 200e6),
    st.floats(0.0, 0.5),
    st.integers(1, 10**6),
)
@few
def test_busy_processors_do_not_hold_it_down(
    late_share: float, late_s: float, own_bytes_per_s: float, stall_s: float, seed: int
) -> None:
    """The run that crept at 0.5 MB/s: late probes, slow pipeline, held-up uploads, a free disk."""
    own = Own(own_bytes_per_s, stall_s, late_share=late_share, late_s=late_s)
    outcome, _ = governed(STEADY, Setting(seed=seed, own=own))
    fast = min(own_bytes_per_s, STEADY.phases[0].leftover_bytes_per_s)
    possible = own.stall_every_bytes / (own.stall_every_bytes / fast + stall_s)
    # Set from what was seen: of 41 such nodes the worst reached 0.49, the mean 0.92.
    assert outcome.achieved_bytes_per_s(20.0, 60.0) >= 0.4 * possible


@pytest.mark.parametrize("counted", [True, False])
def test_other_disks_of_the_node_do_not_hold_it_down(counted: bool) -> None:
    """Pressure of the whole node and now and then a late probe: a loaded node crept at 1 %."""
    own = Own(late_share=0.05, pressed_share=0.4)
    runs = [governed(STEADY, Setting(seed=seed, own=own, counted=counted))[0] for seed in SEEDS]
    assert middle([run.efficiency for run in runs]) >= 0.9
    assert min(run.efficiency for run in runs) >= 0.5


def test_a_volume_cut_half_way_is_announced_as_a_miss_half_an_hour_ahead() -> None:
    """What was on time becomes late, and the WAL kept back until then too much: both are said."""
    cut_at_s, deadline_s, wal_per_s = 120.0, 3000.0, 1_000_000
    trace = Trace((Phase(0.0), Phase(cut_at_s, bytes_per_s=20e6, iops=600.0)), 400.0)
    outcome, _ = governed(trace, Setting(seed=4))
    guards, done, next_s = Guards(Deadline(deadline_s, keep=False)), 0.0, 0.0
    notices: list[Notice] = []
    for at_s, _, achieved in outcome.rates:
        done += achieved * INTERVAL_S
        if at_s >= next_s:  # the governor asks each second
            next_s += 1.0
            wal = int(wal_per_s * at_s)
            progress = Progress(at_s, int(done), 110 * 10**9, wal, 7_000 * wal_per_s)
            notices += guards.check(progress)[1]
    said = {notice.kind: notice.at_s for notice in notices}
    assert set(said) == {"deadline", "wal"}
    assert all(at_s > cut_at_s for at_s in said.values())
    assert deadline_s - said["deadline"] >= AHEAD_S
    assert 3500.0 - said["wal"] >= AHEAD_S
