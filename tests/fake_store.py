"""Objects with resource versions and a log of their changes, as etcd keeps them."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str]  # namespace, name

_COMMON = {"metadata.name": ("metadata", "name"), "metadata.namespace": ("metadata", "namespace")}
_ABOUT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
# What each resource may be selected by (k8s.io/kubernetes pkg/apis/*/conversion.go).
FIELDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "pods": _COMMON
    | {
        "spec.nodeName": ("spec", "nodeName"),
        "spec.restartPolicy": ("spec", "restartPolicy"),
        "spec.schedulerName": ("spec", "schedulerName"),
        "status.phase": ("status", "phase"),
    },
    "leases": _COMMON,
    "nodes": _COMMON | {"spec.unschedulable": ("spec", "unschedulable")},
    "events": _COMMON
    | {f"involvedObject.{name}": ("involvedObject", name) for name in _ABOUT}
    | {f"regarding.{name}": ("involvedObject", name) for name in _ABOUT}
    | {
        "reason": ("reason",),
        "type": ("type",),
        "reportingComponent": ("reportingComponent",),
        "reportingController": ("reportingComponent",),
        "source": ("source", "component"),
    },
}


class Expired(Exception):
    """The version asked for was forgotten."""


class Exists(Exception):
    """There is an object of that name."""


class BadSelector(Exception):
    """A field nobody may select by."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One change in the log."""

    version: int
    resource: str
    change: str
    now: Object
    before: Object | None


@dataclass(slots=True)
class Store:
    """All objects, and everything that ever changed since the last compaction."""

    version: int = 1000
    compacted: int = 0
    objects: dict[str, dict[Key, Object]] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def create(self, resource: str, thing: Mapping[str, Any]) -> Object:
        """Add an object; ``Exists`` when the name is taken."""
        with self.changed:
            if key_of(thing) in self._of(resource):
                raise Exists(key_of(thing)[1])
            return self._write(resource, thing, "ADDED")

    def put(self, resource: str, thing: Mapping[str, Any]) -> Object:
        """Add or replace an object."""
        with self.changed:
            known = key_of(thing) in self._of(resource)
            return self._write(resource, thing, "MODIFIED" if known else "ADDED")

    def put_over(self, resource: str, thing: Mapping[str, Any]) -> Object | None:
        """Replace the version that was read; nothing when there is a newer one."""
        with self.changed:
            known = self._of(resource).get(key_of(thing))
            read = thing["metadata"].get("resourceVersion")
            if known is None or read not in (None, known["metadata"]["resourceVersion"]):
                return None
            return self._write(resource, thing, "MODIFIED")

    def delete(self, resource: str, namespace: str, name: str) -> Object | None:
        """Remove an object; the log keeps its last state under a version of its own."""
        with self.changed:
            before = self._of(resource).pop((namespace, name), None)
            if before is None:
                return None
            self.version += 1
            last = copy.deepcopy(before)
            last["metadata"]["resourceVersion"] = str(self.version)
            self.log.append(Entry(self.version, resource, "DELETED", last, before))
            self.changed.notify_all()
            return last

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """One object, or nothing."""
        with self.changed:
            return self._of(resource).get((namespace, name))

    def everything(self, resource: str, namespace: str = "") -> tuple[int, list[Object]]:
        """The version of now and all objects in order of their names."""
        with self.changed:
            found = sorted(self._of(resource).items())
            return self.version, [one for (space, _), one in found if namespace in ("", space)]

    def since(self, resource: str, version: int) -> list[Entry]:
        """What changed after a version; ``Expired`` when part of that was forgotten."""
        with self.changed:
            if version < self.compacted:
                raise Expired
            start = len(self.log)
            while start and self.log[start - 1].version > version:
                start -= 1
            return [entry for entry in self.log[start:] if entry.resource == resource]

    def compact(self) -> None:
        """Forget all versions but the present one."""
        with self.changed:
            self.version += 1
            self.compacted = self.version
            self.log.clear()

    def wait(self, beyond: int, for_s: float) -> None:
        """Wait until something changes after a version, or not that long."""
        with self.changed:
            if self.version <= beyond:
                self.changed.wait(for_s)

    def _of(self, resource: str) -> dict[Key, Object]:
        return self.objects.setdefault(resource, {})

    def _write(self, resource: str, thing: Mapping[str, Any], change: str) -> Object:
        before = self._of(resource).get(key_of(thing))
        now = copy.deepcopy(dict(thing))
        meta = now.setdefault("metadata", {})
        old_meta = before["metadata"] if before else {}
        self.version += 1
        meta["resourceVersion"] = str(self.version)
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        meta.setdefault("uid", old_meta.get("uid") or str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", old_meta.get("creationTimestamp") or stamp)
        self._of(resource)[key_of(now)] = now
        self.log.append(Entry(self.version, resource, change, now, before))
        self.changed.notify_all()
        return now


def key_of(thing: Mapping[str, Any]) -> Key:
    """Namespace and name."""
    meta = thing.get("metadata", {})
    return meta.get("namespace", ""), meta.get("name", "")


def by_labels(text: str) -> Callable[[Object], bool]:
    """A predicate for a label selector of equalities."""
    wanted = dict(part.split("=", 1) for part in text.split(",") if part)
    return lambda thing: wanted.items() <= thing["metadata"].get("labels", {}).items()


def selector(resource: str, text: str) -> Callable[[Object], bool]:
    """A predicate for a field selector; ``BadSelector`` where a real server says 400."""
    tests: list[tuple[tuple[str, ...], str, bool]] = []
    for part in filter(None, text.split(",")):
        name, sign, value = part.partition("!=" if "!=" in part else "=")
        path = FIELDS[resource].get(name)
        if path is None or not sign:
            raise BadSelector(f"field label not supported: {name}")
        tests.append((path, value.removeprefix("="), sign == "!="))

    def chosen(thing: Object) -> bool:
        return all((_at(thing, path) == value) != negated for path, value, negated in tests)

    return chosen


def _at(thing: Any, path: tuple[str, ...]) -> str:
    for name in path:
        thing = thing.get(name) if isinstance(thing, dict) else None
    return "" if thing is None else str(thing)


def as_seen(entry: Entry, chosen: Callable[[Object], bool]) -> str | None:
    """The change as a watch with that selector sees it: leaving the selection is a deletion."""
    now = entry.change != "DELETED" and chosen(entry.now)
    before = entry.before is not None and chosen(entry.before)
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else None


def merged(old: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    kept = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept
