"""What the API server tells this node: its own pods as they change, and re-created sandboxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from agent.kube.answers import Broken, Call, Refusal, Trouble
from agent.kube.http import Api
from agent.kube.pace import Clockwork
from agent.kube.pod_changes import PodChange, PodLook, between, gone, look
from agent.kube.watch import Feed, Follower, Listed
from agent.model import BlindSpot, Fact, Kind, Pod, Record
from agent.sources.json_list import ListReader
from agent.sources.kubectl import event_record
from agent.sources.object_facts import node_facts
from agent.sources.untyped import text

Object = Mapping[str, object]
FEW_NODES = 100
"""Events have no watch cache: each watch costs etcd one of its own (kubernetes#49684)."""

_ON_DEMAND_SPREAD_S = 2.0
_ON_DEMAND_EVENTS = 20
_KEEPS_OFF = frozenset({Kind.CORDON, Kind.DRAIN, Kind.SCALE_DOWN})
_EVENT_WATCH_S = 1800.0  # without bookmarks each new watch may cost a list, so they are long


class SandboxEvents(StrEnum):
    """Where ``SandboxChanged`` comes from."""

    AUTO = "auto"
    WATCH = "watch"
    ON_DEMAND = "on-demand"


@dataclass(frozen=True, slots=True)
class Tuning:
    """How long to watch and to wait; tests on real sockets shorten it."""

    watch_s: float = 300.0
    silent_s: float = 150.0
    answer_s: float = 30.0
    counts: Counter[str] = field(default_factory=Counter)  # why watches began anew, for /metrics


@dataclass(frozen=True, slots=True)
class EventChange:
    """What is kept of an event: enough to tell a repetition from what was told already."""

    key: str
    version: str
    record: Record


def watch_pods(
    api: Api, node: str, clockwork: Clockwork, tuning: Tuning | None = None
) -> Iterator[PodChange | BlindSpot]:
    """Follow the pods of one node until told to stop; each version of a pod is told once."""
    tuned = tuning or Tuning()
    selector = f"spec.nodeName={node}"
    feed = Feed("pods", "/api/v1/pods", selector, look, True, *_lengths(tuned))
    known: dict[str, PodLook] = {}
    for told in Follower(api, feed, clockwork, tuned.counts):
        if isinstance(told, BlindSpot):
            yield told
        elif isinstance(told, Listed):
            yield from _relisted(known, told.items, clockwork.now_s())
        elif told.change == "DELETED":
            before = known.pop(told.item.key, None)
            if before is not None:
                yield gone(before, told.item, clockwork.now_s())
        else:
            yield from _known_as(known, told.item)


def _lengths(tuned: Tuning) -> tuple[float, float, float]:
    return tuned.watch_s, tuned.silent_s, tuned.answer_s


def _relisted(
    known: dict[str, PodLook], items: tuple[PodLook, ...], now_s: float
) -> Iterator[PodChange]:
    """The difference between what was known and what there is; deletions first."""
    there = {item.key for item in items}
    for key in [key for key in known if key not in there]:
        yield gone(known.pop(key), None, now_s)
    for item in items:
        yield from _known_as(known, item)


def _known_as(known: dict[str, PodLook], item: PodLook) -> Iterator[PodChange]:
    change, known[item.key] = between(known.get(item.key), item)
    if change is not None:
        yield change


# -- sandbox events --------------------------------------------------------------------------------


def sandbox_events_mode(api: Api, asked: SandboxEvents) -> tuple[SandboxEvents, BlindSpot | None]:
    """Decide by the number of nodes where nobody decided; when in doubt, spare the API server."""
    if asked is not SandboxEvents.AUTO:
        return asked, None
    answer = api.open(Call("list", "nodes", "/api/v1/nodes", (("limit", "1"),)), 30.0)
    if isinstance(answer, Refusal):
        grant = " (grant the verb 'list')" if answer.trouble is Trouble.FORBIDDEN else ""
        why = f"number of nodes unknown{grant}, so events are read on demand: {answer.why}"
        return SandboxEvents.ON_DEMAND, BlindSpot("nodes", why)
    reader = ListReader(answer.pieces())
    try:
        here = sum(1 for _ in reader)
    except (Broken, ValueError, RecursionError) as error:
        why = f"number of nodes unknown, so events are read on demand: {error}"
        return SandboxEvents.ON_DEMAND, BlindSpot("nodes", why)
    uncounted = bool(reader.next_page) and reader.remaining is None
    few = not uncounted and here + (reader.remaining or 0) <= FEW_NODES
    return (SandboxEvents.WATCH if few else SandboxEvents.ON_DEMAND), None


def watch_sandbox_events(
    api: Api, node: str, clockwork: Clockwork, tuning: Tuning | None = None
) -> Iterator[Record | BlindSpot]:
    """Follow ``SandboxChanged`` of this node's pods; only for clusters of few nodes.

    Without a node those of the whole cluster are told: once, by its one replica.
    """
    tuned = tuning or Tuning(watch_s=_EVENT_WATCH_S)
    feed = Feed(
        "events", "/api/v1/events", "reason=SandboxChanged", _event, False, *_lengths(tuned)
    )
    known: dict[str, str] = {}
    for told in Follower(api, feed, clockwork, tuned.counts):
        if isinstance(told, BlindSpot):
            yield told
            continue
        items = told.items if isinstance(told, Listed) else (told.item,)
        if isinstance(told, Listed):
            there = {item.key for item in items}
            known = {key: version for key, version in known.items() if key in there}
        elif told.change == "DELETED":  # after an hour: it was told when it came
            known.pop(told.item.key, None)
            continue
        for item in items:
            ours = not node or item.record.fields.get("NODE") == node
            if ours and known.get(item.key) != item.version:
                known[item.key] = item.version
                yield item.record


def sandbox_events_of(api: Api, pod: Pod, clockwork: Clockwork) -> tuple[Record, ...] | Refusal:
    """One small list of one pod's ``SandboxChanged``, after a wait that spreads the nodes."""
    if clockwork.wait(clockwork.luck() * _ON_DEMAND_SPREAD_S):
        return ()
    about = {"involvedObject.kind": "Pod", "involvedObject.name": pod.name}
    if pod.uid:
        about["involvedObject.uid"] = pod.uid
    about["reason"] = "SandboxChanged"
    selector = ",".join(f"{key}={value}" for key, value in about.items())
    query = (("fieldSelector", selector), ("limit", str(_ON_DEMAND_EVENTS)))
    path = f"/api/v1/namespaces/{pod.namespace}/events"
    answer = api.open(Call("list", "events", path, query), 10.0)
    if isinstance(answer, Refusal):
        return answer
    try:
        return tuple(_event(thing).record for thing in ListReader(answer.pieces()))
    except Broken as broken:
        return broken.refusal
    except (ValueError, RecursionError) as error:
        return Refusal(Trouble.TORN, str(error)[:400])


def who_keeps_pods_off(api: Api, node: str) -> tuple[Fact, ...] | Refusal:
    """Say whether this node is cordoned, drained or about to be removed, as its taints tell."""
    query = (("fieldSelector", f"metadata.name={node}"),)
    answer = api.open(Call("list", "nodes", "/api/v1/nodes", query), 10.0)
    if isinstance(answer, Refusal):
        return answer
    try:
        found = [fact for thing in ListReader(answer.pieces()) for fact in node_facts(thing)]
    except Broken as broken:
        return broken.refusal
    except (ValueError, RecursionError) as error:
        return Refusal(Trouble.TORN, str(error)[:400])
    return tuple(fact for fact in found if fact.kind in _KEEPS_OFF)


def _event(thing: Object) -> EventChange:
    meta_uid = text(thing, "metadata", "uid")
    key = meta_uid or f"{text(thing, 'metadata', 'namespace')}/{text(thing, 'metadata', 'name')}"
    version = text(thing, "metadata", "resourceVersion")
    return EventChange(key, version, event_record(thing, "events of the cluster"))
