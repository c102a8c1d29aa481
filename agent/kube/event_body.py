"""An Event as ``events.k8s.io/v1`` takes it, and the name under which it is said only once. Pure.

The name is made of what the Event is about. Saying it again, after a restart or a replay, meets
``409 AlreadyExists``: so everybody is told once, without anything being stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.printable import safe

CONTROLLER = "knockon.dev/agent"
MAX_NOTE_BYTES = 1024  # events.k8s.io/v1 refuses more (validation/events.go), as the next two
_MAX_INSTANCE_CHARS = 128
_SUBDOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Event, ready to be posted (``events.k8s.io/v1``).

    ``incident`` is what its budget is counted by: an incident, or a day of our own complaints.
    """

    incident: str
    namespace: str
    name: str
    body: Mapping[str, object]

    @property
    def is_possible(self) -> bool:
        """Whether an API server could take these names at all."""
        return all(_SUBDOMAIN.fullmatch(name) for name in (self.name, self.namespace))


@dataclass(frozen=True, slots=True)
class Saying:
    """What one Event says, and of whom."""

    role: str  # part of the name: one Event a role
    about: Mapping[str, str]
    reason: str
    action: str
    says: tuple[str, ...]
    end: str = ""  # said however little room there is
    related: Mapping[str, str] | None = None
    normal: bool = False


def event(
    saying: Saying, key: str, node: str, stamp: str, annotations: Mapping[str, str]
) -> Announcement:
    """Give the Event; ``key`` and the role name it, ``stamp`` is RFC 3339 with microseconds."""
    about = saying.about
    namespace = about.get("namespace", "default")  # where Events about nodes live
    mark = "\0".join((key, saying.role, namespace, about["name"]))
    name = f"{about['name'][:200].rstrip('.-')}.{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    known = {f"knockon.dev/{name}": value for name, value in annotations.items() if value}
    body: dict[str, object] = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace, "annotations": known},
        "eventTime": stamp,
        "type": "Normal" if saying.normal else "Warning",
        "reason": saying.reason,
        "action": saying.action,
        "note": note(saying.says, saying.end),
        "regarding": about,
        "reportingController": CONTROLLER,
        "reportingInstance": node[:_MAX_INSTANCE_CHARS] or "unknown",
    }
    if saying.related is not None and saying.related != about:
        body["related"] = saying.related
    return Announcement(key, namespace, name, body)


def note(says: Sequence[str], end: str = "") -> str:
    """As many whole sentences as fit before the end; the first one is cut rather than dropped."""
    tail = f" {end}" if end else ""
    room = MAX_NOTE_BYTES - len(tail.encode())
    first, *others = [safe(one, 600) for one in says if one]
    text = first.encode()[:room].decode("utf-8", "ignore")
    for one in others:
        longer = f"{text} {one}"
        if len(longer.encode()) <= room and one not in text:
            text = longer
    return f"{text}{tail}"


def the_node(name: str) -> dict[str, str]:
    """The kubelet too writes the node's name for its uid, and kubectl looks for that one."""
    return reference("Node", name, "", name)


def reference(kind: str, name: str, namespace: str, uid: str) -> dict[str, str]:
    """Give what an Event is about, without what is not known."""
    known = {"apiVersion": "v1", "kind": kind, "name": name, "namespace": namespace, "uid": uid}
    return {key: value for key, value in known.items() if value}
