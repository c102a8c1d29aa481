"""Reads what ``kubectl get … -o json`` prints: a List, one object, or an object a line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from agent.model import BlindSpot, Pod, Record, Trust
from agent.sources.stamps import iso_s
from agent.sources.untyped import dig, mapping, objects, text, whole
from agent.sources.unwrap import MAX_MESSAGE_CHARS

Object = Mapping[str, object]
_CRON_SUFFIX = re.compile(r"-\d{8,10}$")  # minutes (since 1.21) or seconds since 1970
_ITEMS = re.compile(r'"items"\s*:\s*\[')
_MAX_FAULTS = 100
_EVENT_COMPONENTS = (
    ("source", "component"),
    ("reportingController",),
    ("reportingComponent",),
    ("deprecatedSource", "component"),
)
_EVENT_HOSTS = (
    ("source", "host"),
    ("deprecatedSource", "host"),
)


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """What a node says of itself: enough to tell it from another one."""

    name: str
    boot: str = ""  # without dashes, as the journal writes it
    machine: str = ""
    runtime: str = ""
    kernel: str = ""


def read_objects(raw: bytes, where: str) -> Iterator[Object | BlindSpot]:
    """The API objects in a document: of a List its items, of a watch the objects it brought."""
    document = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        whole_document = json.loads(document)
    except (ValueError, RecursionError) as error:
        yield from _salvaged(document, where, str(error))
    else:
        yield from _unlisted(whole_document)


def _salvaged(document: str, where: str, fault: str) -> Iterator[Object | BlindSpot]:
    """One object a line, or the whole items of a List that was cut short."""
    torn = _ITEMS.search(document)
    if torn is not None and document.find("\n{", 0, torn.start()) < 0:
        at, step = torn.end(), "{"
    else:
        at, step = 0, "\n{"
        document = f"\n{document}"
    decoder, bad, good = json.JSONDecoder(), 0, 0
    while bad < _MAX_FAULTS and (at := document.find(step, at)) >= 0:
        try:
            value, at = decoder.raw_decode(document, at + len(step) - 1)
        except (ValueError, RecursionError):
            bad += 1
            if step == "{":
                break
            at += 1
            continue
        good += 1
        yield from _unlisted(value)
    if bad or not good:
        yield BlindSpot("kubernetes", f"{where} is not whole: {fault[:120]}")


def _unlisted(value: object) -> Iterator[Object]:
    """Objects inside Lists, arrays and watch frames, whatever nests in what (to a depth)."""
    todo = [(value, 0)]
    while todo:
        one, depth = todo.pop()
        if isinstance(one, list):
            todo.extend((item, depth + 1) for item in reversed(one) if depth < 3)
        elif isinstance(one, Mapping):
            inner = one.get("items")
            if isinstance(inner, list):
                kind = text(one, "kind").removesuffix("List")
                todo.extend(
                    (_kinded(item, kind), depth + 1) for item in reversed(inner) if depth < 3
                )
            elif "object" in one and "type" in one and "metadata" not in one:
                todo.append((one["object"], depth + 1))
            else:
                yield one


def _kinded(item: object, kind: str) -> object:
    """An item of a typed list from the API server, which leaves the kind to the list."""
    if kind and isinstance(item, Mapping) and "kind" not in item:
        return {**item, "kind": kind}
    return item


def kind_of(thing: Object) -> str:
    """The kind an object states, or shows by its keys."""
    stated = text(thing, "kind")
    if stated:
        return stated
    if "involvedObject" in thing or "regarding" in thing:
        return "Event"
    if "nodeInfo" in mapping(thing, "status"):
        return "Node"
    return "Pod" if "containers" in mapping(thing, "spec") else ""


# -- events ----------------------------------------------------------------------------------------


def event_record(event: Object, where: str) -> Record:
    """An Event of either API (core/v1, events.k8s.io/v1) as a Record."""
    series = mapping(event, "series")
    first_s = _time(event, "firstTimestamp", "deprecatedFirstTimestamp", "eventTime")
    at_s = iso_s(series.get("lastObservedTime"))
    if at_s is None:
        at_s = _time(event, "lastTimestamp", "deprecatedLastTimestamp", "eventTime")
    if at_s is None:
        at_s = iso_s(dig(event, "metadata", "creationTimestamp"))
    count = whole(series, "count") or whole(event, "count") or whole(event, "deprecatedCount") or 1
    message = text(event, "message") or text(event, "note")
    repeated = count > 1 and first_s is not None
    return Record(
        at_s,
        "events",
        message[:MAX_MESSAGE_CHARS],
        _event_fields(event),
        Trust.TRUSTED,
        where,
        count=max(1, count),
        since_s=first_s if repeated else None,
    )


def _time(event: Object, *keys: str) -> float | None:
    return next((at_s for key in keys if (at_s := iso_s(event.get(key))) is not None), None)


def _event_fields(event: Object) -> dict[str, str]:
    about = mapping(event, "involvedObject") or mapping(event, "regarding")
    component = _first(event, _EVENT_COMPONENTS)
    node = _first(event, _EVENT_HOSTS)
    if not node and component in ("kubelet", "kube-proxy"):
        node = text(event, "reportingInstance")
    if not node and text(about, "kind") == "Node":
        node = text(about, "name")
    known = {
        "EVENT_REASON": text(event, "reason"),
        "EVENT_TYPE": text(event, "type"),
        "EVENT_COMPONENT": component,
        "OBJECT_KIND": text(about, "kind"),
        "OBJECT_NAMESPACE": text(about, "namespace"),
        "OBJECT_NAME": text(about, "name"),
        "OBJECT_UID": text(about, "uid"),
        "OBJECT_FIELD_PATH": text(about, "fieldPath"),
        "NODE": node,
    }
    return {key: value for key, value in known.items() if value}


def _first(thing: Object, paths: Iterable[tuple[str, ...]]) -> str:
    return next((found for path in paths if (found := text(thing, *path))), "")


# -- pods and nodes --------------------------------------------------------------------------------


def pods_of(things: Iterable[Object]) -> tuple[Pod, ...]:
    """Every Pod, with how many pods its owner has where the list goes beyond one node.

    A list of one node's pods says nothing of an owner's other members.
    """
    pods = [_pod(thing) for thing in things]
    if len({pod.node for pod in pods if pod.node}) < 2:
        return tuple(pods)
    together = Counter((pod.namespace, pod.owner) for pod in pods)
    return tuple(
        replace(pod, replicas_hint=together[pod.namespace, pod.owner] if pod.owner else 0)
        for pod in pods
    )


def _pod(thing: Object) -> Pod:
    containers = objects(thing, "spec", "containers")
    return Pod(
        namespace=text(thing, "metadata", "namespace"),
        name=text(thing, "metadata", "name"),
        uid=text(thing, "metadata", "uid"),
        owner=owner_of(thing),
        node=text(thing, "spec", "nodeName"),
        ready=_is_ready(thing),
        host_network=dig(thing, "spec", "hostNetwork") is True,
        image_hint=text(containers[0], "image") if containers else "",
    )


def _is_ready(thing: Object) -> bool | None:
    """Whether it answers; neither when it has ended, or nothing was said of it so far."""
    if text(thing, "status", "phase") in ("Succeeded", "Failed"):
        return None
    for condition in objects(thing, "status", "conditions"):
        if text(condition, "type") == "Ready":
            return text(condition, "status") == "True"
    return None


def owner_of(thing: Object) -> str:
    """``Deployment/web`` for a pod of ReplicaSet ``web-5786c87b97``; empty for a bare pod."""
    owners = objects(thing, "metadata", "ownerReferences")
    owner = next(
        (one for one in owners if one.get("controller") is True), owners[0] if owners else {}
    )
    kind, name = text(owner, "kind"), text(owner, "name")
    if not kind or not name:
        return ""
    labels = mapping(thing, "metadata", "labels")
    for label, above in (
        ("pod-template-hash", "Deployment"),
        ("rollouts-pod-template-hash", "Rollout"),
    ):
        suffix = f"-{text(labels, label)}"
        if kind == "ReplicaSet" and len(suffix) > 1 and name.endswith(suffix):
            return f"{above}/{name.removesuffix(suffix)}"
    if kind == "Job" and _CRON_SUFFIX.search(name):
        return f"CronJob/{_CRON_SUFFIX.sub('', name)}"
    return f"{kind}/{name}"


def node_of(thing: Object) -> NodeInfo:
    """The identity of a Node object."""
    return NodeInfo(
        name=text(thing, "metadata", "name"),
        boot=text(thing, "status", "nodeInfo", "bootID").replace("-", ""),
        machine=text(thing, "status", "nodeInfo", "machineID"),
        runtime=text(thing, "status", "nodeInfo", "containerRuntimeVersion"),
        kernel=text(thing, "status", "nodeInfo", "kernelVersion"),
    )
