"""What the API server refuses or a pod waits for in vain, and no schema can say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from agent.sources.untyped import dig, mapping, objects, text
from daemonset.text import Json, name_of

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_COLONS = frozenset({"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"})
_SPECS = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_LONGEST_CRON_JOB = 52  # eleven more characters go to the Jobs' names
_MOST_DATA_BYTES = 1 << 20


def faults(things: Sequence[Json]) -> Iterator[tuple[int, str]]:
    """Yield the number of an object and what is wrong with it."""
    seen: Counter[str] = Counter()
    for index, thing in enumerate(things):
        key = f"{text(thing, 'apiVersion').partition('/')[0]} {name_of(thing)}"
        seen[key] += 1
        if seen[key] == 2:
            yield index, "stands here twice"
        for fault in (*_names(thing), *_selectors(thing), *_pod(thing), *_size(thing)):
            yield index, fault


def pod_spec(thing: Mapping[str, object]) -> Mapping[str, object]:
    """Return the pod inside an object, or nothing."""
    kind = text(thing, "kind")
    return mapping(thing, *_SPECS.get(kind, ("spec", "template", "spec")))


def containers(pod: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Return all containers of a pod, those that prepare it first."""
    return [*objects(pod, "initContainers"), *objects(pod, "containers")]


def _names(thing: Json) -> Iterator[str]:
    for key in ("apiVersion", "kind"):
        if not text(thing, key):
            yield f"has no {key}"
    name = text(thing, "metadata", "name")
    if not name:
        yield "has no metadata.name"
    elif not _NAME.fullmatch(name) and text(thing, "kind") not in _COLONS:
        yield f"{name!r:.80} is no name: lower-case letters, digits, - and ."
    if text(thing, "kind") == "CronJob" and len(name) > _LONGEST_CRON_JOB:
        yield f"the name of a CronJob has at most {_LONGEST_CRON_JOB} characters"


def _selectors(thing: Json) -> Iterator[str]:
    if text(thing, "kind") not in ("DaemonSet", "Deployment", "StatefulSet", "ReplicaSet"):
        return
    labels = mapping(thing, "spec", "template", "metadata", "labels")
    for key, value in mapping(thing, "spec", "selector", "matchLabels").items():
        if labels.get(key) != value:
            yield f"selects pods with {key}={value}, which its own pods do not have"


def _pod(thing: Json) -> Iterator[str]:
    pod = pod_spec(thing)
    claims = objects(thing, "spec", "volumeClaimTemplates")
    volumes = {text(one, "name") for one in objects(pod, "volumes")}
    volumes |= {text(one, "metadata", "name") for one in claims}
    for container in containers(pod):
        own = text(container, "name")
        mounted = Counter(text(one, "mountPath") for one in objects(container, "volumeMounts"))
        yield from (f"{own} mounts twice at {path}" for path, times in mounted.items() if times > 1)
        for mount in objects(container, "volumeMounts"):
            if text(mount, "name") not in volumes:
                yield f"{own} mounts {text(mount, 'name')}, which is no volume of the pod"
        ports = {text(one, "name") for one in objects(container, "ports")}
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            for how in ("httpGet", "tcpSocket"):
                port = dig(container, probe, how, "port")
                if isinstance(port, str) and port not in ports:
                    yield f"{own}'s {probe} asks port {port}, which it does not name"


def _size(thing: Json) -> Iterator[str]:
    if text(thing, "kind") in ("ConfigMap", "Secret"):
        size = sum(len(str(one).encode()) for one in mapping(thing, "data").values())
        if size > _MOST_DATA_BYTES:
            yield "holds more than a mebibyte"
