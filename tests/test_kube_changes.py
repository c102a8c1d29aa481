"""What a change of a pod says, and where re-created sandboxes are told."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from agent.kube.answers import Refusal, Trouble
from agent.kube.http import Api
from agent.kube.pod_changes import Change
from agent.kube.source import (
    SandboxEvents,
    sandbox_events_mode,
    sandbox_events_of,
    watch_sandbox_events,
    who_keeps_pods_off,
)
from agent.model import Kind, Pod, Record
from tests.fake_api import FakeApi
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import STARTED_S, ended, leaving, node, pod, sandbox_event, stamp
from tests.kube_agent import END, NODE, Agent, Waits, quick


def test_an_out_of_memory_kill_is_told_once(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("db-0"))
    killed = ended(STARTED_S + 30, "OOMKilled", 137)
    with closing(Agent(api, waits)) as agent:
        agent.until("db-0")
        dying = pod("db-0", restarts=0)
        dying["status"]["containerStatuses"][0]["state"] = killed
        api.store.put("pods", dying)
        for restarts in (1, 1, 1):
            api.store.put("pods", pod("db-0", restarts=restarts, last=killed))
        api.store.put("pods", pod(END))
        agent.until(END)
    assert agent.kinds() == {Kind.CONTAINER_OOM: 1}
    assert len(agent.told) == 6


def test_a_sandbox_that_falls_and_is_made_anew(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("db-0"))
    with closing(Agent(api, waits)) as agent:
        agent.until("db-0")
        api.store.put("pods", pod("db-0", sandbox=False, sandbox_since_s=STARTED_S + 10))
        api.store.put("pods", pod("db-0", sandbox=True, sandbox_since_s=STARTED_S + 20))
        late = pod("db-0", restarts=1, last=ended(STARTED_S + 9), sandbox_since_s=STARTED_S + 20)
        api.store.put("pods", late)
        api.store.put("pods", pod(END))
        agent.until(END)
    found = [fact for told in agent.told for fact in told.facts]
    assert [(fact.kind, fact.at_s) for fact in found] == [
        (Kind.SANDBOX_LOST, STARTED_S + 10),
        (Kind.SANDBOX_CHANGED, STARTED_S + 20),
        (Kind.CONTAINER_EXITED, STARTED_S + 9),
    ]


def test_a_sandbox_made_anew_before_we_looked_is_seen_in_one_look(
    api: FakeApi, waits: Waits
) -> None:
    api.store.put("pods", pod(END, last=ended(STARTED_S - 5), restarts=1))
    with closing(Agent(api, waits)) as agent:
        agent.until(END)
    assert agent.kinds() == {Kind.CONTAINER_EXITED: 1, Kind.SANDBOX_CHANGED: 1}


def test_a_first_start_is_no_new_sandbox(api: FakeApi, waits: Waits) -> None:
    young = pod("db-0", sandbox=False)
    del young["status"]["containerStatuses"]
    api.store.put("pods", young)
    with closing(Agent(api, waits)) as agent:
        agent.until("db-0")
        api.store.put("pods", pod("db-0", sandbox=True, sandbox_since_s=STARTED_S + 3))
        agent.until("db-0", Change.CHANGED)
    assert not agent.kinds()


def test_a_deletion_says_when_it_was_asked_for_and_why(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("db-0"))
    with closing(Agent(api, waits)) as agent:
        agent.until("db-0")
        gone = leaving(pod("db-0"), STARTED_S + 60, 30, "EvictionByEvictionAPI")
        api.store.put("pods", gone)
        api.store.put("pods", leaving(pod("db-0"), STARTED_S + 31, 1, "EvictionByEvictionAPI"))
        api.store.delete("pods", "prod", "db-0")
        agent.until("db-0", Change.DELETED)
    facts = [fact for told in agent.told for fact in told.facts]
    deleted = [fact for fact in facts if fact.kind is Kind.POD_DELETED]
    assert [(fact.at_s, fact.detail["because"]) for fact in deleted] == [
        (STARTED_S + 30, "EvictionByEvictionAPI")
    ]
    assert Kind.SANDBOX_LOST not in agent.kinds()


def test_a_pod_whose_node_did_not_answer_was_given_up(api: FakeApi, waits: Waits) -> None:
    lost = leaving(pod(END), STARTED_S + 60, 30, "DeletionByTaintManager")
    api.store.put("pods", lost)
    with closing(Agent(api, waits)) as agent:
        agent.until(END)
    assert agent.kinds() == {Kind.POD_GIVEN_UP: 1, Kind.POD_DELETED: 1}


def test_hostile_objects_are_read_as_far_as_they_make_sense(api: FakeApi, waits: Waits) -> None:
    statuses: tuple[object, ...] = (None, [], "x", {"conditions": {}, "containerStatuses": [7]})
    for index, status in enumerate(statuses):
        odd = pod(f"odd-{index}")
        odd["status"] = status
        api.store.put("pods", odd)
    api.store.put("pods", pod("zz"))
    with closing(Agent(api, waits)) as agent:
        agent.until("zz")
    assert len(agent.state) == 5


# -- sandbox events -------------------------------------------------------------------------------


def records(client: Api, waits: Waits, count: int) -> list[Record]:
    stream = watch_sandbox_events(client, NODE, waits.work, quick())
    found: list[Record] = []
    for told in stream:
        if isinstance(told, Record):
            found.append(told)
            if len(found) == count:
                break
    stream.close()  # type: ignore[attr-defined]
    return found


def test_sandbox_events_of_this_node_are_told_once(api: FakeApi, client: Api, waits: Waits) -> None:
    for index in range(3):
        api.store.put("events", sandbox_event(f"e{index}", f"db-{index}"))
        api.store.put("events", sandbox_event(f"f{index}", f"db-{index}", node="node-2"))
    again = sandbox_event("e0", "db-0") | {"count": 2}
    api.faults.add(Fault(Wrong.GONE, "watch", after=1), Fault(Wrong.HALF_LINE, "watch"))
    changes = iter([again, sandbox_event("g", "db-9")])
    api.bookmark_every_s = 0.01
    timer = threading.Timer(0.1, lambda: [api.store.put("events", one) for one in changes])
    timer.start()
    found = records(client, waits, 5)
    timer.join()
    names = [record.fields["OBJECT_NAME"] for record in found]
    assert names == ["db-0", "db-1", "db-2", "db-0", "db-9"]
    assert found[3].count == 2
    assert {seen.query["fieldSelector"] for seen in api.seen} == {"reason=SandboxChanged"}


def test_events_on_demand_are_one_small_list_of_one_pod(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    api.store.put("events", sandbox_event("e", "db-0"))
    api.store.put("events", sandbox_event("f", "db-1"))
    wanted = Pod("prod", "db-0", "uid-prod-db-0")
    found = sandbox_events_of(client, wanted, waits.work)
    assert not isinstance(found, Refusal)
    assert [record.fields["OBJECT_NAME"] for record in found] == ["db-0"]
    assert len(waits.pauses_s) == 1
    (asked,) = api.seen
    assert asked.path == "/api/v1/namespaces/prod/events"
    assert asked.query["limit"] == "20"
    api.forbidden = {("list", "events")}
    refused = sandbox_events_of(client, wanted, waits.work)
    assert isinstance(refused, Refusal)
    assert refused.trouble is Trouble.FORBIDDEN


def test_a_cordoned_node_says_so_when_asked(api: FakeApi, client: Api) -> None:
    taint = {"key": "node.kubernetes.io/unschedulable", "timeAdded": stamp(STARTED_S)}
    api.store.put("nodes", {**node(NODE), "spec": {"unschedulable": True, "taints": [taint]}})
    api.store.put("nodes", node("node-2"))
    found = who_keeps_pods_off(client, NODE)
    assert not isinstance(found, Refusal)
    assert [(fact.kind, fact.at_s) for fact in found] == [(Kind.CORDON, STARTED_S)]
    assert who_keeps_pods_off(client, "node-2") == ()
    api.forbidden = {("list", "nodes")}
    assert isinstance(who_keeps_pods_off(client, NODE), Refusal)


@pytest.mark.parametrize(
    ("nodes", "mode"), [(1, SandboxEvents.WATCH), (100, SandboxEvents.WATCH), (101, "on-demand")]
)
def test_many_nodes_read_events_on_demand(api: FakeApi, client: Api, nodes: int, mode: str) -> None:
    for index in range(nodes):
        api.store.put("nodes", node(f"node-{index}"))
    assert sandbox_events_mode(client, SandboxEvents.AUTO) == (mode, None)
    assert len(api.seen) == 1
    assert api.seen[0].query == {"limit": "1"}
    asked = sandbox_events_mode(client, SandboxEvents.ON_DEMAND)
    assert asked == (SandboxEvents.ON_DEMAND, None)


def test_an_uncounted_cluster_is_taken_for_a_large_one(api: FakeApi, client: Api) -> None:
    api.forbidden = {("list", "nodes")}
    mode, blind = sandbox_events_mode(client, SandboxEvents.AUTO)
    assert mode is SandboxEvents.ON_DEMAND
    assert blind is not None
    assert "'list'" in blind.why
