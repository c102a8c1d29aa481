"""What is said to whom: Events that a real API server takes, each under one name for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.kube.announce import announcements
from agent.kube.event_body import MAX_NOTE_BYTES, Announcement
from agent.model import Cause, Diagnosis, Killer, KillerKind, Offender, Victim
from tests.fake_events import faults_of
from tests.handmade import KILL_S, NODE, PODS, founding, unknown


def by_reason(diagnosis: Diagnosis) -> dict[str, list[Mapping[str, Any]]]:
    """Bodies of all Events by their reason."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in announcements(diagnosis, PODS, KILL_S):
        body: Mapping[str, Any] = one.body
        found.setdefault(body["reason"], []).append(body)
    return found


def names(diagnosis: Diagnosis) -> set[tuple[str, str]]:
    return {(one.namespace, one.name) for one in announcements(diagnosis, PODS)}


def taken(one: Announcement) -> bool:
    """Whether a real server would take it."""
    return faults_of(one.body, one.namespace) == []


def test_the_founding_incident_is_told_to_everybody_once() -> None:
    told = by_reason(founding())
    assert {reason: len(bodies) for reason, bodies in told.items()} == {
        "ContainerRuntimeKilled": 1,
        "CausedNodeIncident": 1,
        "RestartExplained": 5,
    }
    assert all(taken(one) for one in announcements(founding(), PODS))
    assert next(iter(told)) == "ContainerRuntimeKilled", "the node first: it must not be cut off"


def test_a_victim_reads_killer_cause_numbers_and_incident_in_its_own_description() -> None:
    victim = by_reason(founding())["RestartExplained"][0]
    assert victim["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "prod",
        "name": "pg-0",
        "uid": "uid-pg-0",
    }
    assert victim["related"]["name"] == "backup-7"
    assert victim["related"]["uid"] == "uid-backup"
    assert (victim["type"], victim["action"]) == ("Warning", "Explained")
    assert victim["reportingController"] == "knockon.dev/agent"
    assert victim["reportingInstance"] == NODE
    assert victim["eventTime"] == "2018-05-21T18:02:53.250000Z"
    for said in (
        "This pod: sandbox re-created at 18:02:53 UTC.",
        "kube-docker-monitor.service",
        "disk I/O saturation (82% sure)",
        "74 s before the kill",
        "Incident 7f3a90c1d2.",
    ):
        assert said in victim["note"]
    assert victim["metadata"]["annotations"] == {
        "knockon.dev/incident": "7f3a90c1d2",
        "knockon.dev/cause": "io_saturation",
        "knockon.dev/confidence": "0.82",
        "knockon.dev/killer": "health_monitor",
        "knockon.dev/killer-name": "kube-docker-monitor.service",
        "knockon.dev/owner": "StatefulSet/pg",
    }


def test_the_offender_and_the_node_read_theirs() -> None:
    told = by_reason(founding())
    (offender,), (node,) = told["CausedNodeIncident"], told["ContainerRuntimeKilled"]
    assert offender["regarding"]["name"] == "backup-7"
    assert offender["related"]["kind"] == "Node"
    assert "5 pods" in offender["note"]
    assert node["regarding"] == {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": NODE}
    assert node["metadata"]["namespace"] == "default"
    assert node["related"]["name"] == "backup-7"


def test_saying_it_again_with_more_knowledge_keeps_the_name() -> None:
    grown = replace(
        founding("Another sentence."),
        confidence=0.95,
        victims=(*founding().victims, Victim("web", "late", "u", "", "re-created", KILL_S + 50)),
    )
    assert names(founding()) < names(grown)
    assert len(names(grown)) == len(names(founding())) + 1
    other = replace(founding(), incident=replace(founding().incident, id="other"))
    assert not names(other) & names(founding())


def test_a_pod_hurt_twice_is_told_once() -> None:
    victims = founding().victims
    again = replace(victims[0], uid="a later one", harm="OOM killed")
    told = by_reason(replace(founding(), victims=(*victims, again)))
    assert len(told["RestartExplained"]) == 5


def test_planned_work_is_normal_and_accuses_nobody() -> None:
    told = by_reason(replace(founding(), planned=True, cause=Cause.PLANNED_RESTART))
    assert "CausedNodeIncident" not in told
    assert {body["type"] for bodies in told.values() for body in bodies} == {"Normal"}
    assert "ContainerRuntimeRestarted" in told


def test_what_is_not_explained_is_not_said_to_be() -> None:
    assert announcements(unknown()) == ()
    on_a_node = replace(unknown(), incident=replace(unknown().incident, node=NODE))
    (node,) = announcements(on_a_node, now_s=KILL_S)
    assert node.body["reason"] == "PodsRestarted"
    assert node.body["eventTime"] == "2018-05-21T18:02:41.250000Z"
    assert taken(node)


@pytest.mark.parametrize(
    ("cause", "killer", "reason"),
    [
        (Cause.NODE_REBOOT, KillerKind.OPERATOR, "NodeRebootExplained"),
        (Cause.DISK_FULL, KillerKind.EVICTION, "PodsEvicted"),
        (Cause.RUNTIME_CRASH, KillerKind.CRASH, "ContainerRuntimeCrashed"),
        (Cause.CNI_FAILURE, KillerKind.NONE, "PodsRestarted"),
    ],
)
def test_the_node_is_told_what_happened_to_it(
    cause: Cause, killer: KillerKind, reason: str
) -> None:
    diagnosis = replace(founding(), cause=cause, killer=Killer(killer, "", None))
    assert reason in by_reason(diagnosis)


ODD_NAMES = (("a b", "../c"), ("prod", "x" * 300), ("prod", "p" * 253), ("prod", ".."))
_TEXTS = st.text(max_size=1500)


@given(verdict=_TEXTS, killer=_TEXTS, harm=_TEXTS, node=_TEXTS, incident=st.text(max_size=64))
def test_whatever_is_said_a_server_takes_it(
    verdict: str, killer: str, harm: str, node: str, incident: str
) -> None:
    victims = tuple(replace(one, harm=harm) for one in founding().victims)
    diagnosis = replace(
        founding(verdict),
        incident=replace(founding().incident, id=incident, node=node),
        killer=Killer(KillerKind.CRASH, killer, None),
        victims=(*victims, *(Victim(*odd) for odd in ODD_NAMES)),
        offender=Offender("pod", node, "prod"),
    )
    made = announcements(diagnosis, PODS)
    assert all(taken(one) for one in made)
    for one in made:
        note = str(one.body["note"])
        assert len(note.encode()) <= MAX_NOTE_BYTES
        assert "\n" not in note
        assert note.endswith(".")
