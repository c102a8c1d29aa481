"""Scenarios of the cluster: a node drained on purpose, and the same node lost."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from tests.agents import NODE
from tests.fake_pods import leaving, node, pod, stamp
from tests.node_tree import uid
from tests.reliability.recorded import booting, journal_of, quiet_of
from tests.reliability.scenario import PAGE, SILENT, Expected, Scenario
from tests.reliability.stage import Stage
from tests.replay import play

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A pod of the article's cluster: by whom it is owned and where it runs."""

    name: str
    kind: str
    owner: str
    node: str = NODE


MEMBERS = (
    Member("rabbitmq-0", "StatefulSet", "rabbitmq", "node-2"),
    Member("rabbitmq-1", "StatefulSet", "rabbitmq"),
    Member("rabbitmq-2", "StatefulSet", "rabbitmq", "node-3"),
    Member("celery-5d4f9c-aaaaa", "ReplicaSet", "celery-5d4f9c"),
    Member("celery-5d4f9c-bbbbb", "ReplicaSet", "celery-5d4f9c"),
    Member("celery-5d4f9c-ccccc", "ReplicaSet", "celery-5d4f9c", "node-2"),
    Member("postgres-0", "StatefulSet", "postgres"),
)
HERE = tuple(one.name for one in MEMBERS if one.node == NODE)


def _object(one: Member, number: int, *, at: str = "") -> Object:
    thing = pod(one.name, node=at or one.node, uid=uid(number + (100 if at else 20)))
    (owner,) = thing["metadata"]["ownerReferences"]
    replaced = {**owner, "kind": one.kind, "name": one.owner, "uid": f"uid-{one.owner}"}
    return {**thing, "metadata": {**thing["metadata"], "ownerReferences": [replaced]}}


def _peopled(stage: Stage) -> None:
    for known in stage.api.store.everything("pods")[1]:
        stage.api.store.delete("pods", "prod", known["metadata"]["name"])
    for number, one in enumerate(MEMBERS):
        stage.api.store.put("pods", _object(one, number))
    time.sleep(2.0)


def _drain(stage: Stage) -> None:
    """``kubectl drain``: cordon, evictions, and every pod starts again somewhere else."""
    _peopled(stage)
    taint = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    taint["timeAdded"] = stamp(time.time())
    spec = {"unschedulable": True, "taints": [taint]}
    stage.api.store.put("nodes", {**node(NODE), "spec": spec})
    stage.event(
        "NodeNotSchedulable",
        f"Node {NODE} status is now: NodeNotSchedulable",
        {"kind": "Node", "name": NODE, "uid": NODE},
    )
    for number, one in enumerate(MEMBERS):
        if one.node == NODE:
            known = stage.api.store.get("pods", "prod", one.name)
            assert known is not None
            stage.api.store.put(
                "pods", leaving(known, time.time() + 30, 30, "EvictionByEvictionAPI")
            )
            about = {"kind": "Pod", "namespace": "prod", "name": one.name}
            about["uid"] = known["metadata"]["uid"]
            stage.event("Killing", "Stopping container main", about)
            if number == 1:
                stage.strikes()
    time.sleep(2.0)
    _move(stage)


def _move(stage: Stage) -> None:
    for number, one in enumerate(MEMBERS):
        if one.node == NODE:
            stage.api.store.delete("pods", "prod", one.name)
            again = one.name if one.kind == "StatefulSet" else f"{one.name[:-5]}z{number:04}"
            moved = Member(again, one.kind, one.owner, "node-3")
            stage.api.store.put("pods", _object(moved, number, at="node-3"))


def _lost(stage: Stage) -> None:
    """Power goes; the cluster gives the node's pods up; minutes later (here: seconds) it boots."""
    _peopled(stage)
    entries = journal_of("reboot")
    stage.journal.write([quiet_of(entries[0])])
    time.sleep(1.0)
    stage.agent.kill()
    about = {"kind": "Node", "name": NODE, "uid": NODE}
    said = f"Node {NODE} status is now: NodeNotReady"
    stage.event("NodeNotReady", said, about, by="node-controller")
    for one in MEMBERS:
        if one.node == NODE:
            known = stage.api.store.get("pods", "prod", one.name)
            assert known is not None
            stage.api.store.put(
                "pods", leaving(known, time.time() + 30, 30, "DeletionByTaintManager")
            )
            about = {"kind": "Pod", "namespace": "prod", "name": one.name}
            about["uid"] = known["metadata"]["uid"]
            said = f"Marking for deletion Pod prod/{one.name}"
            stage.event("TaintManagerEviction", said, about, by="taint-eviction-controller")
    time.sleep(2.0)
    second = [one for one in entries if one.get("_BOOT_ID") != entries[0].get("_BOOT_ID")]
    for number, _ in enumerate(play(stage.journal, booting(second, 0.5, 4.0))):
        if number == len(second) // 2:
            stage.agent.start()
    stage.strikes()
    about = {"kind": "Node", "name": NODE, "uid": NODE}
    stage.event("Rebooted", f"Node {NODE} has been rebooted, boot id: x", about)
    time.sleep(2.0)
    _move(stage)


_OUTAGE, _QUORUM = "outage: its only member", "1 of at least 2 members hurt"
CLUSTER = {
    "planned drain": Scenario(
        "one of three RabbitMQ members, two of three Celery workers, a Postgres primary: "
        "cordoned, evicted, moved",
        _drain,
        (
            Expected(
                frozenset({"node_drain"}), "operator", frozenset(HERE), SILENT, planned=True,
                says=(_OUTAGE, _QUORUM),
            ),
        ),
    ),
    "node lost": Scenario(
        "the same node without a drain: power goes, its pods are given up, it boots",
        _lost,
        (
            Expected(
                frozenset({"node_reboot"}), "power", frozenset(HERE), PAGE,
                says=(_OUTAGE, _QUORUM),
            ),
        ),
    ),
}  # fmt: skip
