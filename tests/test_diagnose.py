"""Cause and killer are two things; order, depth and sight decide between causes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.causes import HYPOTHESES
from agent.diagnosis.diagnose import diagnose
from agent.diagnosis.weigh import combine, reason
from agent.model import (
    BlindSpot,
    Cause,
    Diagnosis,
    Fact,
    KillerKind,
    Kind,
    Pod,
    Probe,
    Psi,
    Sample,
)
from tests.said import DOCKER, KUBELET, T0_S, fact, incident, pod

MONITOR = fact(Kind.MONITOR_KILLS_RUNTIME, 0, DOCKER, monitor="kube-docker-monitor.service")
CHANGED = fact(Kind.SANDBOX_CHANGED, 9, pod("pg-0"), source="events")


def verdict(*facts: Fact) -> Diagnosis:
    return diagnose(incident(*facts))


def test_a_monitors_kill_is_a_hang_and_the_monitor_is_only_the_killer() -> None:
    found = verdict(MONITOR, fact(Kind.UNIT_ENDED_CLEAN, 4, DOCKER), CHANGED)
    assert found.cause is Cause.RUNTIME_HANG
    assert found.killer is not None
    assert found.killer.kind is KillerKind.HEALTH_MONITOR
    assert [v.pod for v in found.victims] == ["pg-0"]
    assert not found.planned


def test_slow_writes_before_the_kill_explain_the_hang() -> None:
    slow = fact(Kind.IO_SLOW, -20, strength="strong", seconds="7.4")
    found = verdict(slow, MONITOR)
    assert found.cause is Cause.IO_SATURATION
    assert found.killer is not None
    assert found.killer.kind is KillerKind.HEALTH_MONITOR
    lost = next(h for h in found.hypotheses if h.cause is Cause.RUNTIME_HANG)
    assert lost.lost_because == "io_saturation explains it"


def test_slow_writes_after_the_kill_are_a_symptom() -> None:
    slow = fact(Kind.IO_SLOW, 30, strength="strong", seconds="7.4")
    assert verdict(MONITOR, slow).cause is Cause.RUNTIME_HANG


def test_a_stop_job_is_planned_and_names_the_operator() -> None:
    found = verdict(fact(Kind.UNIT_STOPPING, 0, DOCKER), CHANGED)
    assert found.cause is Cause.PLANNED_RESTART
    assert found.planned
    assert found.killer is not None
    assert found.killer.kind is KillerKind.OPERATOR


def test_a_monitor_that_uses_systemctl_restart_only_looks_planned() -> None:
    monitor = fact(Kind.MONITOR_RESTARTS_RUNTIME, 0, DOCKER)
    found = verdict(monitor, fact(Kind.UNIT_STOPPING, 0.2, DOCKER), CHANGED)
    assert found.cause is Cause.RUNTIME_HANG
    assert not found.planned


def test_a_shutdown_explains_the_stop_of_the_runtime() -> None:
    facts = (
        fact(Kind.SHUTDOWN, 0),
        fact(Kind.UNIT_STOPPING, 1, DOCKER),
        fact(Kind.BOOT, 60, boot="boot-2"),
        CHANGED,
    )
    found = verdict(*facts)
    assert found.cause is Cause.NODE_REBOOT
    assert found.planned


def test_a_boot_without_a_shutdown_was_power() -> None:
    found = verdict(fact(Kind.BOOT, 60, boot="boot-2"), CHANGED)
    assert found.cause is Cause.NODE_REBOOT
    assert found.killer is not None
    assert found.killer.kind is KillerKind.POWER
    assert not found.planned


def test_an_expired_certificate_explains_a_kubelet_that_panics() -> None:
    found = verdict(
        fact(Kind.CERT_INVALID, 0, KUBELET),
        fact(Kind.KUBELET_PANIC, 0.1, KUBELET),
        fact(Kind.UNIT_EXITED, 0.2, KUBELET, code="exited", status="255"),
    )
    assert found.cause is Cause.CLOCK_OR_CERT


def test_an_oom_inside_a_pod_is_not_the_nodes() -> None:
    found = verdict(fact(Kind.OOM_AT_LIMIT, 0, pod("hog"), comm="java"))
    assert found.cause is Cause.CONTAINER_OOM
    assert found.killer is not None
    assert found.killer.kind is KillerKind.OOM_KILLER
    assert found.offender is not None
    assert found.offender.name == "hog"


def test_an_oom_of_dockerd_is_the_nodes() -> None:
    facts = (
        fact(Kind.OOM_KILL, 0, DOCKER, comm="dockerd", pid="9"),
        fact(Kind.UNIT_OOM, 0.1, DOCKER),
        fact(Kind.UNIT_EXITED, 0.2, DOCKER, code="killed", status="9/KILL"),
    )
    assert verdict(*facts).cause is Cause.MEMORY_PRESSURE


@pytest.mark.parametrize(
    "facts",
    [
        (CHANGED,),
        (fact(Kind.RUNTIME_SLOW, 0, DOCKER),),
        (fact(Kind.RUNTIME_DOWN, 0, DOCKER),),
        (fact(Kind.HUNG_TASK, 0, comm="containerd"),),
        (fact(Kind.UNIT_EXITED, 0, KUBELET, code="exited", status="255"),),
        (fact(Kind.PACKAGE_CHANGED, 0, package="vim"),),
        (fact(Kind.CNI_NOT_READY, 0),),
    ],
    ids=lambda facts: facts[0].kind.value,
)
def test_a_symptom_alone_is_unknown_and_something_is_missing(facts: tuple[Fact, ...]) -> None:
    found = verdict(*facts)
    assert found.cause is Cause.UNKNOWN
    assert found.confidence == 0


def test_a_lone_sandbox_asks_for_whoever_killed_its_pause() -> None:
    assert "pause" in verdict(CHANGED).missing[0]


def test_repeating_a_line_adds_nothing() -> None:
    once = verdict(fact(Kind.RUNTIME_SLOW, 0, DOCKER))
    often = verdict(*[fact(Kind.RUNTIME_SLOW, float(n), DOCKER) for n in range(50)])
    assert often.hypotheses[0].confidence == once.hypotheses[0].confidence


def test_pasted_text_and_blind_spots_cap_what_we_dare_to_say() -> None:
    sure = (fact(Kind.NODE_REBOOTED, 0), fact(Kind.BOOT, 1), fact(Kind.SHUTDOWN, -9))
    quoted = tuple(fact(f.kind, 0, source="text") for f in sure)
    blind = incident(*sure)
    blind = type(blind)(
        blind.id, blind.node, T0_S, T0_S, blind.facts, "", (BlindSpot("journal", "torn"),)
    )
    assert verdict(*quoted).confidence <= 0.9
    assert diagnose(blind).confidence <= 0.8
    assert verdict(*sure).confidence > 0.9


def steady(at_s: float, io: float, memory: float) -> Sample:
    return Sample(
        at_s=T0_S + at_s,
        io=Psi(0, io, 0, io * 0.8),
        memory=Psi(0, memory * 1.2, 0, memory),
        cpu=Psi(0, 0, 0, 0),
    )


def squeezed_node() -> tuple[list[Sample], list[Probe]]:
    """The disk is full of work from -60 s on, memory runs short at -20 s, the probe hangs then."""
    samples, io, memory = [], 0.0, 0.0
    for second in range(-120, 5):
        io += 0.95 if second >= -60 else 0.01
        memory += 0.2 if second >= -20 else 0.0
        samples.append(steady(second, io, memory))
    probes = [Probe(T0_S + s, "docker ps", 0.1, True) for s in range(-110, -20)]
    return samples, [*probes, Probe(T0_S - 20, "docker ps", 40.0, True)]


def test_a_disk_that_was_busy_while_the_runtime_answered_is_not_to_blame() -> None:
    samples, probes = squeezed_node()
    found = diagnose(incident(MONITOR, CHANGED), samples=samples, probes=probes)
    assert found.cause is Cause.MEMORY_PRESSURE
    disk = next(h for h in found.hypotheses if h.cause is Cause.IO_SATURATION)
    assert any("had answered within" in e.says for e in disk.evidence_against)


def test_a_saturated_disk_with_memory_to_spare_is_to_blame() -> None:
    samples, _ = squeezed_node()
    samples = [Sample(s.at_s, cpu=s.cpu, io=s.io, memory=Psi(0, 0, 0, 0)) for s in samples]
    slow = [Probe(T0_S - 59, "docker ps", 40.0, True)]
    found = diagnose(incident(MONITOR, CHANGED), samples=samples, probes=slow)
    assert found.cause is Cause.IO_SATURATION


def test_a_node_short_of_nothing_speaks_for_the_runtime_itself() -> None:
    calm = [steady(float(s), 0.0, 0.0) for s in range(-120, 5)]
    plain = verdict(MONITOR, CHANGED).confidence
    assert diagnose(incident(MONITOR, CHANGED), samples=calm).confidence > plain


def test_owners_of_victims_come_from_the_pods() -> None:
    pods = (Pod("prod", "pg-0", "u-9", "StatefulSet/pg"),)
    found = diagnose(incident(MONITOR, CHANGED), pods=pods)
    assert found.victims[0].owner == "StatefulSet/pg"
    assert found.victims[0].uid == "u-9"


kinds = st.sampled_from(list(Kind))
facts = st.builds(
    fact,
    kinds,
    st.one_of(st.none(), st.floats(-600, 600)),
    st.sampled_from([DOCKER, KUBELET, pod("pg-0"), pod("web-1")]),
)


@given(st.lists(facts, min_size=1, max_size=12))
def test_any_facts_give_a_bounded_and_repeatable_answer(said: list[Fact]) -> None:
    found = verdict(*said)
    assert found == verdict(*said)
    assert 0 <= found.confidence <= 0.97
    assert all(0 <= h.confidence <= 0.97 for h in found.hypotheses)
    assert found.verdict.endswith(".")


@given(st.lists(st.floats(-0.9, 0.9), max_size=8))
def test_combining_stays_in_bounds(weights: list[float]) -> None:
    assert 0 <= combine([reason(w, "x") for w in weights]) <= 1


def test_every_cause_but_unknown_has_its_hypothesis() -> None:
    named = {h.__name__ for h in HYPOTHESES}
    assert named == {c.value for c in Cause} - {Cause.UNKNOWN.value}
