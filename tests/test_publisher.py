"""Events reach the API server once each: through replays, lost answers, and hours without it."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from agent.kube.announce import announcements
from agent.kube.event_body import Announcement
from agent.kube.http import Api
from agent.kube.publisher import Budget, Publisher
from agent.model import Diagnosis, Incident, Victim
from tests.fake_api import FakeApi
from tests.fake_faults import Fault, Wrong
from tests.handmade import KILL_S, PODS, founding
from tests.kube_agent import Waits


def crowd(count: int, incident: str = "crowd") -> Diagnosis:
    """An incident with many victims."""
    victims = tuple(
        Victim("prod", f"pod-{index}", f"u{index}", at_s=KILL_S) for index in range(count)
    )
    return replace(founding(), incident=Incident(incident, "n", KILL_S, None, ()), victims=victims)


def drive(publisher: Publisher, waits: Waits, most_s: float = 86_400.0) -> None:
    """Step until there is nothing left to say."""
    end_s = waits.clock.now_s() + most_s
    while len(publisher) and waits.clock.now_s() < end_s:
        waits.wait(publisher.step())


def posted(api: FakeApi) -> list[dict[str, Any]]:
    return api.store.everything("events")[1]


def test_an_incident_is_posted_and_stands_where_kubectl_looks(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    publisher = Publisher(client, waits.work)
    publisher.offer(announcements(founding(), PODS))
    drive(publisher, waits)
    assert publisher.counts == {"created": 7}
    assert api.connections == 1
    about = {(one["involvedObject"]["kind"], one["involvedObject"]["name"]) for one in posted(api)}
    assert ("Pod", "pg-0") in about
    assert ("Node", "gke-prod-node-1") in about
    assert all(one["reportingComponent"] == "knockon.dev/agent" for one in posted(api))


def test_a_growing_incident_costs_one_request_a_victim(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    publisher = Publisher(client, waits.work)
    for size in (1, 1, 5, 9, 9):
        publisher.offer(announcements(crowd(size), PODS))
        drive(publisher, waits)
    assert api.counts == {("create", "events"): 9 + 2}


def test_a_replay_by_another_process_meets_what_it_had_said(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    results = []
    for _ in range(3):
        publisher = Publisher(client, waits.work)
        publisher.offer(announcements(founding(), PODS))
        drive(publisher, waits)
        results.append(dict(publisher.counts))
    assert len(posted(api)) == 7
    assert results == [{"created": 7}, {"existed": 7}, {"existed": 7}]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Wrong.DROP_AFTER, "create", times=3),
        Fault(Wrong.RESET, "create", times=3),
        Fault(Wrong.STATUS, "create", status=401, times=3),
        Fault(Wrong.STATUS, "create", status=429, times=3, retry_after="9"),
        Fault(Wrong.STATUS, "create", status=500, times=3),
        Fault(Wrong.SILENCE, "create"),
        Fault(Wrong.NOT_JSON, "create"),
    ],
    ids=lambda fault: f"{fault.wrong}-{fault.status}",
)
def test_every_fault_ends_with_each_said_once(
    api: FakeApi, client: Api, waits: Waits, fault: Fault
) -> None:
    api.faults.add(replace(fault))
    publisher = Publisher(client, waits.work, Budget(answer_s=0.3))
    publisher.offer(announcements(founding(), PODS))
    drive(publisher, waits)
    assert len(posted(api)) == 7
    assert publisher.counts["created"] + publisher.counts["existed"] == 7
    if fault.retry_after:
        assert max(waits.pauses_s) >= 9


def test_the_api_server_is_away_for_hours(waits: Waits) -> None:
    with FakeApi() as api, closing(Api(api.access())) as client:
        api.refuse()
        publisher = Publisher(client, waits.work, Budget(queued=20))
        publisher.offer(announcements(crowd(30, "old"), PODS))
        publisher.offer(announcements(crowd(10, "new"), PODS))
        assert len(publisher) == 20
        back_s = waits.clock.now_s() + 5 * 3600
        waits.then.append((back_s, api.accept))
        drive(publisher, waits)
        assert publisher.counts["pushed_out"] == 24
        assert publisher.counts["created"] == 20
        assert 200 <= publisher.counts["retried"] <= 5 * 3600 * 0.1
        told = [one["metadata"]["annotations"]["knockon.dev/incident"] for one in posted(api)]
        assert told.count("new") == 12, "the newest matter most"
    began, ended = publisher.news()
    assert (began.to_s, began.source) == (None, "announcements")
    assert ended.to_s is not None
    assert ended.to_s >= back_s
    assert publisher.news() == []


def test_what_we_may_not_do_is_said_once_with_the_verb(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    api.forbidden = {("create", "events")}
    publisher = Publisher(client, waits.work)
    publisher.offer(announcements(crowd(30), PODS))
    began_s = waits.clock.now_s()
    drive(publisher, waits)
    assert publisher.counts == {"forbidden": 32}
    (news,) = publisher.news()
    assert "'create'" in news.why
    assert "cannot create" in news.why
    assert api.counts["create", "events"] / (waits.clock.now_s() - began_s) <= 0.1
    api.forbidden = set()
    publisher.offer(announcements(crowd(1, "later"), PODS))
    drive(publisher, waits)
    assert publisher.counts["created"] == 3


def test_what_a_server_will_never_take_does_not_hold_up_the_rest(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    ending = (
        "forbidden: unable to create new content in namespace prod because it is being terminated"
    )
    api.faults.add(
        Fault(Wrong.STATUS, "create", status=422),
        Fault(Wrong.STATUS, "create", status=404),
        Fault(Wrong.STATUS, "create", status=403, message=ending),
    )
    publisher = Publisher(client, waits.work)
    publisher.offer(announcements(founding(), PODS))
    drive(publisher, waits)
    assert publisher.counts == {"refused": 3, "created": 4}
    assert sum(waits.pauses_s) == 0
    assert publisher.news() == []


def test_an_incident_has_a_budget_and_so_has_a_second(
    api: FakeApi, client: Api, waits: Waits
) -> None:
    publisher = Publisher(client, waits.work)
    publisher.offer(announcements(crowd(200), PODS))
    began_s = waits.clock.now_s()
    drive(publisher, waits)
    spent_s = waits.clock.now_s() - began_s
    assert publisher.counts == {"created": 112, "over_budget": 90}
    assert 50 + 10 * spent_s >= 112 - 1
    assert spent_s <= 10
    assert len(posted(api)) == 112


def test_a_thread_posts_what_is_offered_and_stops(api: FakeApi, client: Api, waits: Waits) -> None:
    publisher, stop = Publisher(client, waits.work), threading.Event()
    thread = threading.Thread(target=publisher.run, args=(stop,))
    thread.start()
    publisher.offer(announcements(founding(), PODS))
    end_s = time.monotonic() + 10
    while len(posted(api)) < 7 and time.monotonic() < end_s:
        time.sleep(0.01)
    stop.set()
    publisher.offer([])
    thread.join(5)
    assert not thread.is_alive()
    assert len(posted(api)) == 7


def test_an_idle_publisher_asks_for_nothing(api: FakeApi, client: Api, waits: Waits) -> None:
    publisher = Publisher(client, waits.work)
    assert publisher.step() >= 3600
    publisher.offer(list[Announcement]())
    assert publisher.step() >= 3600
    assert not api.seen
