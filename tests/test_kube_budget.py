"""What the agent may cost the API server, and how lists are read."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import pairwise

import pytest

from agent.kube.http import Api
from agent.kube.pace import Bucket, backoff_s
from agent.kube.source import watch_pods, watch_sandbox_events
from agent.sources.json_list import ListReader
from tests.fake_api import FakeApi, SimClock
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import pod, sandbox_event
from tests.kube_agent import NODE, Waits, quick


@pytest.mark.parametrize("seed", range(3))
def test_an_idle_day_costs_the_api_server_next_to_nothing(seed: int) -> None:
    clock = SimClock()
    waits = Waits(clock, seed)
    began_s = clock.now_s()
    waits.stop_at_s = began_s + 86_400
    with FakeApi(clock=clock) as api, closing(Api(api.access())) as client:
        api.store.put("pods", pod("one"))
        assert len(list(watch_pods(client, NODE, waits.work))) == 1
        spent_s = clock.now_s() - began_s
        counts, most = api.counts, api.most_watches["pods"]
    assert counts["list", "pods"] == 1
    assert set(counts) == {("list", "pods"), ("watch", "pods")}
    assert most == 1
    assert sum(counts.values()) / spent_s <= 0.005, "the promise is 0.1"
    watches = [seen.query for seen in api.seen if seen.verb == "watch"]
    assert all(query["fieldSelector"] == "spec.nodeName=node-1" for query in watches)
    assert all(query["allowWatchBookmarks"] == "true" for query in watches)
    assert len({query["timeoutSeconds"] for query in watches}) > 20, "nodes do not fall into step"


@pytest.mark.parametrize("wrong", [Wrong.END, Wrong.RESET, Wrong.GONE, Wrong.NOT_JSON])
def test_a_server_that_ends_every_watch_at_once_is_not_hammered(
    api: FakeApi, client: Api, waits: Waits, wrong: Wrong
) -> None:
    api.store.put("pods", pod("one"))
    api.faults.add(Fault(wrong, "watch", times=1000))
    waits.stop_after = 100
    began_s = waits.clock.now_s()
    list(watch_pods(client, NODE, waits.work, quick()))
    spent_s = waits.clock.now_s() - began_s
    assert sum(api.counts.values()) / spent_s <= 0.1


def test_an_idle_day_of_watching_events_is_cheap_too(waits: Waits) -> None:
    began_s = waits.clock.now_s()
    waits.stop_at_s = began_s + 86_400
    with FakeApi(clock=waits.clock) as api, closing(Api(api.access())) as client:
        for _ in range(50):  # without bookmarks a quiet position grows too old
            api.faults.add(Fault(Wrong.END, "watch"), Fault(Wrong.STATUS, "watch", status=410))
        api.store.put("events", sandbox_event("e", "db-0"))
        found = list(watch_sandbox_events(client, NODE, waits.work))
        spent_s = waits.clock.now_s() - began_s
        assert api.counts["list", "events"] == 51
        assert not api.faults.waiting
    assert len(found) == 1, "lists that had to be repeated tell nothing twice"
    assert sum(api.counts.values()) / spent_s <= 0.1


def test_back_off_doubles_to_a_minute_and_spreads() -> None:
    middle = [backoff_s(failures, 0.5) for failures in range(10)]
    assert middle == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert all(a <= b for a, b in pairwise(middle))
    assert (backoff_s(1, 0.0), backoff_s(1, 1.0), backoff_s(10**9, 1.0)) == (0.5, 1.5, 90)
    assert backoff_s(1, 0.0, asked_s=20) == 20
    assert backoff_s(1, 1.0, asked_s=1e9) == 750


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(3, 0.5)
    for _ in range(3):
        assert bucket.short_of_s(100.0) == 0
        bucket.take()
    assert bucket.short_of_s(100.0) == 2
    assert bucket.short_of_s(50.0) == 2, "a clock set back gives nothing"
    assert bucket.short_of_s(52.0) == 0


# -- lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("meta_first", [True, False])
def test_a_list_is_read_in_pieces_of_any_size(size: int, meta_first: bool) -> None:
    meta = {"resourceVersion": "7", "continue": "next", "remainingItemCount": 4}
    items = [pod(f"pöd-{index}") | {"n": index} for index in range(5)]
    parts = {"kind": "PodList", "metadata": meta, "items": items}
    ordered = parts if meta_first else {"kind": "PodList", "items": items, "metadata": meta}
    raw = json.dumps(ordered, ensure_ascii=False).encode()
    reader = ListReader(raw[at : at + size] for at in range(0, len(raw), size))
    assert [item["n"] for item in reader] == [0, 1, 2, 3, 4]
    assert (reader.version, reader.next_page, reader.remaining) == ("7", "next", 4)


@pytest.mark.parametrize("items", ["[]", "null"])
def test_an_empty_list_has_a_version(items: str) -> None:
    raw = f'{{"kind":"PodList","metadata":{{"resourceVersion":"9"}},"items":{items}}}'
    reader = ListReader([raw.encode()])
    assert list(reader) == []
    assert reader.version == "9"


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"nonsense", b'{"kind":"Pod"}', b'{"items":[', b'{"items":[{"a":1}', b"\xff"],
)
def test_what_is_no_list_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(ListReader([raw]))
