"""Two causes with the same symptoms: what tells them apart, and what is not enough to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.diagnosis.diagnose import diagnose
from agent.model import (
    Cause,
    CgroupCounters,
    Diagnosis,
    Fact,
    KillerKind,
    Kind,
    Probe,
    Psi,
    Sample,
)
from tests.said import DOCKER, T0_S, fact, incident, pod

MONITOR = fact(Kind.MONITOR_KILLS_RUNTIME, 0, DOCKER, monitor="kube-docker-monitor.service")
CHANGED = fact(Kind.SANDBOX_CHANGED, 9, pod("pg-0"), source="events")
STOP = fact(Kind.UNIT_STOPPING, -3, DOCKER)
STARTED_LATER = fact(Kind.UNIT_STARTED, 6, DOCKER)


def verdict(*facts: Fact) -> Diagnosis:
    return diagnose(incident(*facts))


def test_a_monitor_that_meets_a_planned_restart_is_not_its_cause() -> None:
    found = verdict(STOP, MONITOR, fact(Kind.UNIT_ENDED_CLEAN, 2, DOCKER), STARTED_LATER, CHANGED)
    assert (found.cause, found.planned) == (Cause.PLANNED_RESTART, True)
    assert found.killer is not None
    assert found.killer.kind is KillerKind.OPERATOR
    assert [v.pod for v in found.victims] == ["pg-0"]
    assert any("health monitor" in step for step in found.advice)


@pytest.mark.parametrize(
    "before",
    [
        fact(Kind.RUNTIME_SLOW, -40, DOCKER),
        fact(Kind.RUNTIME_LOCKED, -200, DOCKER),
        fact(Kind.UNIT_STARTED, -2.5, DOCKER, text="so long ago that it was up"),
    ],
)
def test_who_stops_a_sick_runtime_or_one_that_is_up_again_did_not_plan_the_kill(
    before: Fact,
) -> None:
    late = fact(Kind.MONITOR_KILLS_RUNTIME, 20, DOCKER, monitor="kube-docker-monitor.service")
    found = verdict(before, STOP, late, fact(Kind.UNIT_ENDED_CLEAN, 24, DOCKER), CHANGED)
    assert found.cause is Cause.RUNTIME_HANG
    assert not found.planned


def test_a_slow_answer_before_the_stop_speaks_for_a_hang() -> None:
    asked = [Probe(T0_S - 30, "docker ps", 12.0, answered=False)]
    found = diagnose(incident(STOP, MONITOR, CHANGED), probes=asked)
    assert found.cause is Cause.RUNTIME_HANG


def test_a_monitor_that_stops_the_unit_itself_speaks_first() -> None:
    found = verdict(MONITOR, fact(Kind.UNIT_STOPPING, 0.4, DOCKER), STARTED_LATER, CHANGED)
    assert found.cause is Cause.RUNTIME_HANG


def test_pods_given_up_before_the_node_was_back_are_victims_of_its_loss() -> None:
    given_up = fact(Kind.POD_GIVEN_UP, -400, pod("pg-0"), source="pods")
    found = verdict(given_up, fact(Kind.BOOT, 0), fact(Kind.UNIT_EXITED, 9, DOCKER))
    assert (found.cause, found.planned) == (Cause.NODE_REBOOT, False)
    assert found.killer is not None
    assert found.killer.kind is KillerKind.POWER
    assert [(v.pod, v.harm) for v in found.victims] == [("pg-0", "given up by the cluster")]
    assert "went down without an ordered shutdown" in found.verdict


def test_an_emptied_node_that_is_switched_off_was_switched_off_by_its_operator() -> None:
    drained = (fact(Kind.CORDON, -90), fact(Kind.POD_EVICTED_BY_API, -80, pod("pg-0")))
    found = verdict(*drained, fact(Kind.BOOT, 0))
    assert found.killer is not None
    assert found.killer.kind is KillerKind.OPERATOR
    closed = verdict(fact(Kind.CORDON, -90), fact(Kind.BOOT, 0))  # closed, its pods still there
    assert closed.killer is not None
    assert closed.killer.kind is KillerKind.POWER


def starved_node(used_s: float, *, waited_s: float = 0.0) -> list[Sample]:
    """Tasks wait for processors all along; dockerd uses so much each second of the last twenty."""
    samples = []
    for second in range(-120, 2):
        late = max(0, second + 20)
        group = CgroupCounters(
            owner=DOCKER,
            cpu_s=0.05 * (min(second, -20) + 120) + used_s * late,
            cpu_stalled_s=waited_s * late,
        )
        waited = Psi(0, 0.85 * (second + 120))
        samples.append(Sample(at_s=T0_S + second, cpu=waited, cgroups=(group,)))
    return samples


def test_a_runtime_that_gets_few_turns_is_starved_of_processors() -> None:
    found = diagnose(incident(MONITOR, CHANGED), samples=starved_node(0.03))
    assert found.cause is Cause.CPU_STARVATION
    assert found.offender is None, "it is the one that was starved, if the only one counted"


def test_a_runtime_that_stands_still_beside_busy_processors_is_not_starved() -> None:
    found = diagnose(incident(MONITOR, CHANGED), samples=starved_node(0.0))
    assert found.cause is Cause.RUNTIME_HANG
    starved = next(h for h in found.hypotheses if h.cause is Cause.CPU_STARVATION)
    assert any("did not wait for one" in e.says for e in starved.evidence_against)


def test_a_runtime_whose_own_group_waited_for_a_processor_is_starved_of_it() -> None:
    found = diagnose(incident(MONITOR, CHANGED), samples=starved_node(0.0, waited_s=0.9))
    assert found.cause is Cause.CPU_STARVATION


def test_where_nobody_counts_for_the_runtime_its_standing_still_is_not_seen() -> None:
    uncounted = [replace(s, cgroups=(CgroupCounters(owner=DOCKER),)) for s in starved_node(0.0)]
    found = diagnose(incident(MONITOR, CHANGED), samples=uncounted)
    assert found.cause is Cause.CPU_STARVATION
