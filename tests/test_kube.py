"""The pods of one node, through everything an API server and a network can do."""

from __future__ import annotations

import random
import threading
import time
from contextlib import closing

import pytest

from agent.kube.http import Api
from agent.kube.pod_changes import Change, PodChange
from agent.kube.source import (
    watch_pods,
)
from agent.model import Kind
from tests.fake_api import FakeApi
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import pod
from tests.kube_agent import END, NODE, Agent, Waits, life, quick, truth


@pytest.mark.parametrize(
    "fault",
    [
        *(Fault(wrong, "watch", after=after) for after in (0, 5) for wrong in (
            Wrong.GONE, Wrong.ERROR, Wrong.HALF_LINE, Wrong.LONG_LINE, Wrong.NOT_JSON,
            Wrong.SILENCE, Wrong.RESET, Wrong.END,
        )),
        *(Fault(wrong, "list") for wrong in (
            Wrong.DRIP, Wrong.TORN, Wrong.NOT_JSON, Wrong.HUGE, Wrong.SILENCE, Wrong.RESET,
        )),
        *(Fault(Wrong.STATUS, verb, status=status, times=3)
          for verb in ("list", "watch") for status in (401, 403, 410, 429, 500, 503)),
    ],
    ids=lambda fault: f"{fault.verb}-{fault.wrong}-{fault.status or fault.after}",
)  # fmt: skip
def test_every_fault_ends_in_the_right_state_with_nothing_told_twice(
    api: FakeApi, waits: Waits, fault: Fault
) -> None:
    for index in range(3):
        api.store.put("pods", pod(f"old-{index}"))
    api.faults.add(Fault(**{name: getattr(fault, name) for name in Fault.__slots__}))
    with closing(Agent(api, waits)) as agent:
        agent.until("old-2")
        life(api)
        api.store.put("pods", pod(END))
        agent.until(END)
    assert agent.state == truth(api)
    versions = [(told.pod.uid, told.version, told.change) for told in agent.told]
    assert len(versions) == len(set(versions))
    ends = [(fact.kind, fact.at_s, fact.subject) for told in agent.told for fact in told.facts]
    assert len(ends) == len(set(ends))
    assert not api.faults.waiting or fault.status == 410, "the list had brought the end already"
    if fault.wrong not in (Wrong.GONE, Wrong.LONG_LINE) and fault.status != 410:
        assert agent.kinds()[Kind.CONTAINER_EXITED] == 12, "no single step was lost"


def test_a_script_of_many_faults_loses_nothing(api: FakeApi, waits: Waits) -> None:
    rng = random.Random(7)
    script = [wrong for wrong in Wrong if wrong not in (Wrong.DRIP, Wrong.SILENCE, Wrong.STATUS)]
    with closing(Agent(api, waits)) as agent:
        for turn in range(25):
            for _ in range(rng.randint(1, 3)):
                verb = rng.choice(("watch", "watch", "list"))
                api.faults.add(Fault(rng.choice(script), verb, "pods", after=rng.randint(0, 4)))
            life(api, rng.randint(1, 9))
            api.store.put("pods", pod(f"turn-{turn}"))
            agent.until(f"turn-{turn}")
            assert agent.state == truth(api)


def test_changes_made_while_nobody_could_watch_are_found_by_the_list(
    api: FakeApi, waits: Waits
) -> None:
    api.store.put("pods", pod("stays"))
    api.store.put("pods", pod("goes"))
    api.store.put("pods", pod("reborn", uid="first"))
    with closing(Agent(api, waits)) as agent:
        agent.until("stays")
        api.faults.add(Fault(Wrong.RESET, "watch"))
        api.store.delete("pods", "prod", "goes")
        api.store.delete("pods", "prod", "reborn")
        api.store.put("pods", pod("reborn", uid="second"))
        api.store.compact()
        agent.until("reborn")
    assert agent.state == truth(api)
    last = [(told.pod.name, told.pod.uid, told.change) for told in agent.told[-3:]]
    assert last[-1] == ("reborn", "second", Change.ADDED)
    assert ("reborn", "first", Change.DELETED) in last
    assert ("goes", "uid-prod-goes", Change.DELETED) in last
    assert agent.tuning.counts["gone"] == 1
    assert any("single steps" in spot.why for spot in agent.blind)


def test_a_relist_is_never_older_than_what_was_seen(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("one"))
    api.faults.add(Fault(Wrong.GONE, "watch", after=1))
    with closing(Agent(api, waits)) as agent:
        agent.until("one")
        api.store.put("pods", pod("one", restarts=1))
        api.store.put("pods", pod("two"))
        agent.until("two")
    lists = [seen.query for seen in api.seen if seen.verb == "list"]
    assert lists[0]["resourceVersion"] == "0"
    assert lists[0]["fieldSelector"] == "spec.nodeName=node-1"
    assert int(lists[1]["resourceVersion"]) > 1000
    assert lists[1]["resourceVersionMatch"] == "NotOlderThan"


def test_a_cluster_set_back_to_an_older_state_is_followed(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("one"))
    with closing(Agent(api, waits)) as agent:
        agent.until("one")
        api.faults.add(Fault(Wrong.GONE, "watch"))
        api.store.log.clear()
        api.store.version = 5
        api.store.objects.clear()
        api.store.put("pods", pod("restored"))
        agent.until("restored")
    assert agent.state == truth(api)


def test_the_api_server_is_away_for_hours(waits: Waits) -> None:
    with FakeApi() as api:
        api.store.put("pods", pod("before"))
        with closing(Agent(api, waits)) as agent:
            agent.until("before")
            began_s = waits.clock.now_s()
            waits.then.append((began_s + 6 * 3600, api.accept))
            api.refuse()
            api.store.put("pods", pod("after"))
            agent.until("after")
    assert agent.state == truth(api)
    tries = agent.tuning.counts["unreachable"]
    assert 6 * 60 <= tries <= 6 * 3600 * 0.1
    told = [spot for spot in agent.blind if "unreachable" in spot.why]
    assert [spot.to_s is None for spot in told] == [True, False], (
        "said once when it began, and ended"
    )
    assert told[1].to_s is not None
    assert told[1].to_s - began_s >= 6 * 3600


def test_retry_after_is_honoured(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("one"))
    api.faults.add(Fault(Wrong.STATUS, "list", status=429, retry_after="37"))
    with closing(Agent(api, waits)) as agent:
        agent.until("one")
    assert 37 <= waits.pauses_s[0] <= 60


def test_what_we_may_not_do_is_said_once_with_the_verb(api: FakeApi, waits: Waits) -> None:
    api.store.put("pods", pod("one"))
    api.forbidden = {("list", "pods")}
    waits.then.append((waits.clock.now_s() + 1800, api.forbidden.clear))
    with closing(Agent(api, waits)) as agent:
        agent.until("one")
    assert agent.tuning.counts["forbidden"] >= 20
    assert [spot.to_s is None for spot in agent.blind] == [True, False]
    assert "'list'" in agent.blind[0].why
    assert 'cannot list resource "pods"' in agent.blind[0].why


def test_waiting_ends_when_we_are_told_to_stop(api: FakeApi, client: Api, waits: Waits) -> None:
    api.faults.add(Fault(Wrong.STATUS, "list", status=500, times=100))
    waits.stop_after = 5
    assert list(watch_pods(client, NODE, waits.work, quick())) == []
    assert len(waits.pauses_s) == 5


def test_a_read_in_another_thread_can_be_interrupted(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    waits.stop_after = 2
    stream = watch_pods(client, NODE, waits.work)
    api.store.put("pods", pod("one"))
    assert isinstance(next(stream), PodChange)
    reader = threading.Thread(target=lambda: list(stream))
    reader.start()
    while not api.open_watches["pods"]:
        time.sleep(0.01)
    client.interrupt()
    reader.join(5)
    assert not reader.is_alive()
