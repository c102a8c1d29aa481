"""Which nodes nobody watches: only those that somebody should, and only once it has lasted."""

from __future__ import annotations

import pytest

from agent.fleet.roster import AgentLooks, NodeLook, NodeLooks, Roster
from tests.fake_pods import Object, node, pod

LABELS = {"app.kubernetes.io/component": "agent"}


def labelled(thing: Object, **labels: str) -> Object:
    return {**thing, "metadata": {**thing["metadata"], "labels": labels}}


def agent(name: str, *, ready: bool = True, ours: bool = True) -> Object:
    made = pod(f"agent-{name}", node=name, namespace="knockon")
    made["metadata"]["labels"] = LABELS if ours else {}
    made["status"]["conditions"][0]["status"] = str(ready)
    return made


def roster(*agents: Object) -> Roster:
    made = Roster()
    looks = NodeLooks({})
    made.list_nodes(tuple(looks(node(f"node-{n}")) for n in range(3)))
    made.list_agents(tuple(AgentLooks(LABELS)(one) for one in agents))
    return made


@pytest.mark.parametrize(
    ("thing", "wanted"),
    [
        (node("a"), True),
        (labelled(node("a"), **{"kubernetes.io/os": "linux"}), True),
        (labelled(node("a"), **{"kubernetes.io/os": "windows"}), False),
        (labelled(node("a"), type="virtual-kubelet"), False),
    ],
)
def test_only_nodes_that_can_have_an_agent_lack_one(thing: Object, wanted: bool) -> None:
    assert NodeLooks({})(thing) == NodeLook("a", wanted)


def test_nodes_outside_the_node_selector_lack_nothing() -> None:
    looks = NodeLooks({"pool": "db"})
    assert not looks(node("a")).wanted
    assert looks(labelled(node("a"), pool="db")).wanted


def test_a_node_is_named_once_it_has_lasted() -> None:
    made = roster(agent("node-0"), agent("node-1", ready=False), agent("node-2", ours=False))
    made.look(100.0)
    assert made.without(100.0, 60.0) == {}
    made.look(170.0)
    assert made.without(170.0, 60.0) == {"node-1": 100.0, "node-2": 100.0}


def test_an_agent_that_came_back_begins_anew() -> None:
    made = roster(agent("node-0"), agent("node-1"))
    made.look(0.0)
    made.touch_agent("MODIFIED", AgentLooks(LABELS)(agent("node-2")))
    made.look(50.0)
    made.touch_agent("DELETED", AgentLooks(LABELS)(agent("node-2")))
    made.look(90.0)
    assert made.without(100.0, 60.0) == {}
    assert made.without(151.0, 60.0) == {"node-2": 90.0}


def test_before_both_lists_are_there_nobody_is_accused() -> None:
    made = Roster()
    made.list_nodes((NodeLook("a", wanted=True),))
    made.look(0.0)
    assert made.without(9e9, 0.0) == {}


def test_a_deleted_node_lacks_nothing() -> None:
    made = roster(agent("node-0"), agent("node-1"))
    made.look(0.0)
    made.touch_node("DELETED", NodeLook("node-2", wanted=True))
    made.look(100.0)
    assert made.without(100.0, 0.0) == {}
