"""What the agents of the nodes have told: their Events, read back. Pure.

An Event is believed to be ours by its reporting controller, which the admission policies of
`daemonset/templates/admission.py` keep for the agents' accounts; its text stays only text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.kube.event_body import CONTROLLER
from agent.model import Cause
from agent.printable import safe
from agent.sources.stamps import iso_s
from agent.sources.untyped import mapping, text

Object = Mapping[str, object]
_MOST_NOTE_CHARS = 1024
_CAUSES = frozenset(Cause)


class Role(StrEnum):
    """Whom an Event is about."""

    NODE = "node"
    OFFENDER = "offender"
    VICTIM = "victim"


@dataclass(frozen=True, slots=True)
class Told:
    """One Event of one agent about one incident."""

    key: str  # of the Event, in this cluster
    incident: str
    node: str
    cause: Cause
    confidence: float
    planned: bool
    killer: tuple[str, str]  # kind and name; empty where there was none
    role: Role
    namespace: str
    pod: str
    uid: str
    owner: str
    at_s: float | None
    note: str


def told_of(event: Object) -> Told | None:
    """Read an Event (core/v1); nothing when it is not an agent's, or not about an incident."""
    marks = mapping(event, "metadata", "annotations")
    incident = text(marks, "knockon.dev/incident")
    if text(event, "reportingComponent") != CONTROLLER or not incident:
        return None
    about = mapping(event, "involvedObject")
    cause = text(marks, "knockon.dev/cause")
    meta = mapping(event, "metadata")
    return Told(
        key=f"{text(meta, 'namespace')}/{text(meta, 'name')}",
        incident=safe(incident, 64),
        node=safe(text(event, "reportingInstance"), 253),
        cause=Cause(cause) if cause in _CAUSES else Cause.UNKNOWN,
        confidence=_share(text(marks, "knockon.dev/confidence")),
        planned=text(event, "type") == "Normal",
        killer=(text(marks, "knockon.dev/killer"), safe(text(marks, "knockon.dev/killer-name"))),
        role=_role(event),
        namespace=safe(text(about, "namespace"), 63),
        pod=safe(text(about, "name"), 253),
        uid=safe(text(about, "uid"), 64),
        owner=safe(text(marks, "knockon.dev/owner"), 300),
        at_s=iso_s(event.get("eventTime")) or iso_s(meta.get("creationTimestamp")),
        note=safe(text(event, "message"), _MOST_NOTE_CHARS),
    )


def _role(event: Object) -> Role:
    if text(event, "involvedObject", "kind") == "Node":
        return Role.NODE
    return Role.OFFENDER if text(event, "reason") == "CausedNodeIncident" else Role.VICTIM


def _share(word: str) -> float:
    try:
        return min(1.0, max(0.0, float(word)))
    except ValueError:
        return 0.0
