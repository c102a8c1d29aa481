"""Events, Pods and Nodes as kubectl prints them, and as nobody should."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import BlindSpot, Kind, Trust
from agent.sources.kubectl import event_record, kind_of, node_of, owner_of, pods_of, read_objects
from agent.sources.object_facts import node_facts, pod_facts
from agent.sources.stamps import iso_s

CORE_EVENT: dict[str, object] = {
    "kind": "Event",
    "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "u1"},
    "reason": "SandboxChanged",
    "message": "Pod sandbox changed, it will be killed and re-created.",
    "type": "Normal",
    "count": 3,
    "firstTimestamp": "2026-11-23T11:40:00Z",
    "lastTimestamp": "2026-11-23T11:46:36Z",
    "eventTime": None,
    "source": {"component": "kubelet", "host": "node-1"},
    "metadata": {"creationTimestamp": "2026-11-23T11:40:00Z"},
}
NEW_EVENT: dict[str, object] = {
    "apiVersion": "events.k8s.io/v1",
    "regarding": {"kind": "Node", "name": "node-1"},
    "reason": "containerd",
    "note": "Containerd is unhealthy",
    "type": "Warning",
    "eventTime": "2026-11-23T11:40:00.123456Z",
    "series": {"count": 7, "lastObservedTime": "2026-11-23T11:50:00.000000Z"},
    "reportingController": "gardener-node-agent",
    "metadata": {"creationTimestamp": "2026-11-23T11:40:00Z"},
}


def pod(**status: object) -> dict[str, object]:
    return {
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "name": "web-5786c87b97-x",
            "uid": "u1",
            "labels": {"pod-template-hash": "5786c87b97"},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "web-5786c87b97", "controller": True}
            ],
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "web", "image": "web:1"}]},
        "status": status,
    }


def objects_in(raw: str) -> list[object]:
    return list(read_objects(raw.encode(), "f"))


def test_a_core_event() -> None:
    record = event_record(CORE_EVENT, "events.json#1")
    assert record.at_s == iso_s("2026-11-23T11:46:36Z")
    assert record.since_s == iso_s("2026-11-23T11:40:00Z")
    assert (record.count, record.source, record.trust) == (3, "events", Trust.TRUSTED)
    assert record.fields == {
        "EVENT_REASON": "SandboxChanged",
        "EVENT_TYPE": "Normal",
        "EVENT_COMPONENT": "kubelet",
        "OBJECT_KIND": "Pod",
        "OBJECT_NAMESPACE": "shop",
        "OBJECT_NAME": "web-1",
        "OBJECT_UID": "u1",
        "NODE": "node-1",
    }


def test_an_event_of_the_newer_api() -> None:
    record = event_record(NEW_EVENT, "")
    assert record.message == "Containerd is unhealthy"
    assert record.at_s == iso_s("2026-11-23T11:50:00Z")
    assert record.since_s == iso_s("2026-11-23T11:40:00.123456Z")
    assert record.count == 7
    assert record.fields["EVENT_COMPONENT"] == "gardener-node-agent"
    assert record.fields["NODE"] == "node-1"


def test_an_event_of_which_only_the_creation_is_dated() -> None:
    created = {"metadata": {"creationTimestamp": "2026-11-23T11:40:00Z"}, "reason": "x"}
    assert event_record(created, "").at_s == iso_s("2026-11-23T11:40:00Z")


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"kind": "List", "items": [CORE_EVENT, NEW_EVENT]}),
        json.dumps({"kind": "EventList", "items": [CORE_EVENT, NEW_EVENT]}, indent=4),
        json.dumps(CORE_EVENT) + "\n" + json.dumps(NEW_EVENT) + "\n",
        json.dumps([CORE_EVENT, NEW_EVENT]),
        json.dumps(CORE_EVENT, indent=2) + "\n" + json.dumps(NEW_EVENT, indent=2),
        "\n".join(json.dumps({"type": "ADDED", "object": one}) for one in (CORE_EVENT, NEW_EVENT)),
    ],
)
def test_every_form_of_a_listing(raw: str) -> None:
    found = [one for one in objects_in(raw) if isinstance(one, dict)]
    assert [kind_of(one) for one in found] == ["Event", "Event"]


def test_a_list_cut_short_gives_its_whole_items() -> None:
    raw = json.dumps({"kind": "List", "items": [CORE_EVENT, CORE_EVENT, CORE_EVENT]}, indent=4)
    *whole, blind = objects_in(raw[:-700])
    assert len(whole) == 2
    assert isinstance(blind, BlindSpot)
    assert "f is not whole" in blind.why


@pytest.mark.parametrize(
    ("labels", "owner", "expected"),
    [
        ({"pod-template-hash": "57"}, {"kind": "ReplicaSet", "name": "web-57"}, "Deployment/web"),
        ({}, {"kind": "ReplicaSet", "name": "web-57"}, "ReplicaSet/web-57"),
        ({}, {"kind": "Job", "name": "backup-29067840"}, "CronJob/backup"),
        ({}, {"kind": "Job", "name": "migrate"}, "Job/migrate"),
        ({}, {"kind": "StatefulSet", "name": "pg"}, "StatefulSet/pg"),
        ({}, {"kind": "Node", "name": "node-1"}, "Node/node-1"),
        ({}, {"kind": 5, "name": None}, ""),
    ],
)
def test_owners(labels: dict[str, str], owner: dict[str, object], expected: str) -> None:
    assert owner_of({"metadata": {"labels": labels, "ownerReferences": [owner]}}) == expected


def test_one_nodes_pods_do_not_tell_how_many_an_owner_has() -> None:
    assert [one.replicas_hint for one in pods_of([pod(), pod()])] == [0, 0]


def test_a_pod_with_its_siblings() -> None:
    elsewhere = pod() | {"spec": {"nodeName": "node-2"}}
    first, second = pods_of([pod(conditions=[{"type": "Ready", "status": "False"}]), elsewhere])
    assert (first.owner, first.replicas_hint, first.node) == ("Deployment/web", 2, "node-1")
    assert (first.ready, second.ready) == (False, None)
    assert first.image_hint == "web:1"


def test_how_containers_ended() -> None:
    oom = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-23T11:46:27Z"}
    done = {"exitCode": 0, "reason": "Completed", "finishedAt": "2026-11-23T11:46:27Z"}
    error = {"exitCode": 1, "reason": "Error", "finishedAt": None}
    found = list(
        pod_facts(
            pod(
                containerStatuses=[{"name": "web", "lastState": {"terminated": oom}}],
                initContainerStatuses=[
                    {"name": "a", "state": {"terminated": done}},
                    {"name": "b", "state": {"terminated": error}},
                ],
            )
        )
    )
    assert [fact.kind for fact in found] == [Kind.CONTAINER_EXITED, Kind.CONTAINER_OOM]
    assert found[0].at_s is None
    assert found[1].at_s == iso_s("2026-11-23T11:46:27Z")
    assert found[1].detail["exit_code"] == "137"
    assert str(found[1].subject) == "pod/shop/web-5786c87b97-x"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"phase": "Failed", "reason": "Evicted"}, Kind.POD_EVICTED_FOR_PRESSURE),
        ({"phase": "Failed", "reason": "NodeShutdown"}, Kind.SHUTDOWN),
        ({"phase": "Failed", "reason": "Preempting"}, Kind.POD_EVICTED_BY_API),
        (
            {
                "conditions": [
                    {
                        "type": "DisruptionTarget",
                        "status": "True",
                        "reason": "EvictionByEvictionAPI",
                        "lastTransitionTime": "2026-11-23T11:46:27Z",
                    }
                ]
            },
            Kind.POD_EVICTED_BY_API,
        ),
    ],
)
def test_why_a_pod_failed(status: dict[str, object], kind: Kind) -> None:
    (fact,) = pod_facts(pod(**status))
    assert fact.kind is kind


def test_what_is_wrong_with_a_node() -> None:
    since = "2026-11-23T11:46:27Z"
    node = {
        "metadata": {"name": "node-1"},
        "spec": {
            "unschedulable": True,
            "taints": [
                {"key": "node.kubernetes.io/unschedulable", "timeAdded": since},
                {"key": "ToBeDeletedByClusterAutoscaler", "value": "1795434346"},
            ],
        },
        "status": {
            "conditions": [
                {"type": "Ready", "status": "Unknown", "lastTransitionTime": since, "message": "m"},
                {"type": "DiskPressure", "status": "True", "lastTransitionTime": since},
                {"type": "MemoryPressure", "status": "False", "lastTransitionTime": since},
            ],
            "nodeInfo": {"bootID": "8efd4630-7d4b", "containerRuntimeVersion": "docker://20"},
        },
    }
    found = list(node_facts(node))
    kinds = [Kind.NODE_NOT_READY, Kind.DISK_SHORT, Kind.CORDON, Kind.SCALE_DOWN]
    assert [fact.kind for fact in found] == kinds
    assert found[0].at_s == iso_s(since)
    assert found[3].at_s == 1795434346
    assert (node_of(node).boot, node_of(node).runtime) == ("8efd46307d4b", "docker://20")


# -- hostile shapes --------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
keys = st.sampled_from(
    [
        "kind",
        "metadata",
        "name",
        "namespace",
        "labels",
        "ownerReferences",
        "spec",
        "taints",
        "key",
        "value",
        "status",
        "conditions",
        "type",
        "reason",
        "containerStatuses",
        "lastState",
        "state",
        "terminated",
        "exitCode",
        "finishedAt",
        "items",
        "object",
        "series",
        "involvedObject",
        "source",
        "count",
        "lastTimestamp",
        "nodeInfo",
        "bootID",
        "containers",
        "phase",
        "message",
    ]
)
shapes = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=25
)


@given(shapes)
def test_wrong_types_never_raise(shape: object) -> None:
    for one in read_objects(json.dumps(shape).encode(), "f"):
        if isinstance(one, BlindSpot):
            continue
        kind_of(one)
        event_record(one, "")
        pods_of([one])
        node_of(one)
        list(pod_facts(one))
        list(node_facts(one))


@given(st.binary(max_size=300), st.integers(0, 900))
def test_torn_or_foreign_bytes_never_raise(junk: bytes, cut: int) -> None:
    raw = json.dumps({"kind": "List", "items": [CORE_EVENT, NEW_EVENT]}).encode()
    list(read_objects(raw[:cut] + junk, "f"))
    list(read_objects(junk, "f"))


def test_deep_nesting_is_no_crash() -> None:
    (blind,) = read_objects(b'{"a":' * 100_000, "f")
    assert isinstance(blind, BlindSpot)
