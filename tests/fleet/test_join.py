"""Incidents of many nodes become one where they share something, and stay apart where not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from agent.fleet.incident import Incidents
from agent.fleet.join import APART_S, FEWEST_NODES, WAVE_APART_S, Kin, joined
from agent.fleet.told import Role, told_of
from agent.kube.event_body import CONTROLLER
from agent.model import Cause
from tests.fleet.nodes import events, incident, known, planned


def test_an_incident_is_put_together_again_from_its_events() -> None:
    (one,) = known(incident("node-1"))
    assert (one.node, one.cause, one.planned) == ("node-1", Cause.IO_SATURATION, False)
    assert one.killer == ("health_monitor", "kube-docker-monitor.service")
    assert len(one.victims) == 5
    assert one.offender[:2] == ("prod", "backup-7")
    assert one.confidence == 0.82


def test_disks_of_many_nodes_at_once_are_one_storage_outage() -> None:
    told = [incident(f"node-{n}", n * 30, Cause.DISK_ERROR) for n in range(5)]
    (group,) = joined(known(*told))
    assert group.kin is Kin.STORAGE_OUTAGE
    assert group.nodes == tuple(f"node-{n}" for n in range(5))
    assert group.victims == 25
    assert "5 nodes" in group.verdict


def test_planned_reboots_one_node_after_another_are_an_upgrade_wave() -> None:
    told = [planned(f"node-{n}", n * (WAVE_APART_S - 60)) for n in range(4)]
    (group,) = joined(known(*told))
    assert (group.kin, len(group.nodes)) == (Kin.UPGRADE_WAVE, 4)


def test_pods_of_one_owner_on_many_nodes_are_named() -> None:
    (group,) = joined(known(*(incident(f"node-{n}", n * 10) for n in range(3))))
    assert group.kin is Kin.SAME_OFFENDER
    assert group.what.startswith("prod/")


def test_what_lies_too_far_apart_is_not_joined() -> None:
    told = [incident(f"node-{n}", n * (APART_S + 20), Cause.RUNTIME_CRASH) for n in range(4)]
    assert joined(known(*told)) == ()


def test_two_nodes_are_a_coincidence() -> None:
    told = [incident(f"node-{n}", n, Cause.RUNTIME_CRASH) for n in range(FEWEST_NODES - 1)]
    assert joined(known(*told)) == ()


def test_one_node_many_times_is_not_many_nodes() -> None:
    told = [incident("node-1", n * 60, Cause.RUNTIME_CRASH) for n in range(9)]
    assert joined(known(*told)) == ()


def test_unknown_causes_are_joined_by_the_moment_alone_and_that_is_said() -> None:
    told = [incident(f"node-{n}", n, Cause.UNKNOWN) for n in range(4)]
    (group,) = joined(known(*told))
    assert group.kin is Kin.SAME_MOMENT
    assert "not known" in group.verdict


def test_a_group_keeps_its_name_while_it_grows() -> None:
    told = [incident(f"node-{n}", n, Cause.RUNTIME_CRASH) for n in range(6)]
    (early,), (late,) = joined(known(*told[:3])), joined(known(*told))
    assert early.id == late.id


@given(st.integers(0, 2**32))
def test_the_order_of_the_events_changes_nothing(seed: int) -> None:
    told = [incident(f"node-{n}", n * 50, Cause.DISK_ERROR) for n in range(4)]
    mixed = events(*told)
    random.Random(seed).shuffle(mixed)
    made = Incidents()
    for one in mixed:
        read = told_of(one)
        assert read is not None
        made.take(read)
    straight = joined(known(*told))
    shuffled = joined(made)
    assert [(one.id, one.kin, one.nodes) for one in shuffled] == [
        (one.id, one.kin, one.nodes) for one in straight
    ]
    assert [one.victims for one in shuffled] == [one.victims for one in straight]


def test_the_same_events_again_change_nothing() -> None:
    told = [incident(f"node-{n}", n) for n in range(3)]
    assert joined(known(*told, *told)) == joined(known(*told))


def test_memory_is_bounded() -> None:
    made = Incidents(most=10)
    for n in range(50):
        for one in events(incident(f"node-{n}", n)):
            read = told_of(one)
            assert read is not None
            made.take(read)
    assert len(made) == 10
    few = Incidents(most_victims=12)
    for n in range(50):
        for one in events(incident(f"node-{n}", n)):
            read = told_of(one)
            assert read is not None
            few.take(read)
    assert [len(one.victims) for one in few] == [5, 5], "the newest are kept, whole"


def test_an_event_of_anybody_else_is_not_ours() -> None:
    (node, *_) = events(incident("node-1"))
    assert told_of(node) is not None
    assert told_of({**node, "reportingComponent": "kubelet"}) is None
    assert told_of({**node, "metadata": {"name": "x"}}) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["metadata", "involvedObject", "eventTime"]), _JSON))
def test_whatever_stands_in_an_event_is_survived(event: dict[str, object]) -> None:
    marks = {"knockon.dev/incident": "\x1b[31m" + "x" * 99, "knockon.dev/confidence": "nan?"}
    event = {**event, "reportingComponent": CONTROLLER}
    told_of(event)
    said = told_of({**event, "metadata": {"annotations": marks, "name": "e"}})
    assert said is not None
    assert "\x1b" not in said.incident
    assert said.confidence == 0.0
    assert said.role in Role
