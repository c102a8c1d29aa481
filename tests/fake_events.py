"""Events in their two forms (core/v1, events.k8s.io/v1), and what a real server refuses of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Object = dict[str, Any]
_TO_CORE = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_TO_NEW = {core: new for new, core in _TO_CORE.items()}
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def to_core(event: Mapping[str, Any]) -> Object:
    """The form in which events are stored here."""
    core = {_TO_CORE.get(key, key): value for key, value in event.items()}
    return core | {"apiVersion": "v1", "kind": "Event"}


def to_new(event: Mapping[str, Any]) -> Object:
    """The form of ``events.k8s.io/v1``."""
    new = {_TO_NEW.get(key, key): value for key, value in event.items()}
    return new | {"apiVersion": "events.k8s.io/v1", "kind": "Event"}


def faults_of(event: Mapping[str, Any], namespace: str) -> list[str]:
    """What ``ValidateEventCreate`` says (pkg/apis/core/validation/events.go)."""
    meta, about = event.get("metadata", {}), event.get("regarding", {})
    name = meta.get("name", "")
    home = about.get("namespace") or "default"
    said = {
        "metadata.name: not a DNS subdomain": not _NAME.fullmatch(name) or len(name) > 253,
        "metadata.namespace: not the path's": meta.get("namespace", namespace) != namespace,
        "metadata.namespace: does not match regarding.namespace": home != namespace,
        "eventTime: must be a MicroTime": not _MICRO_TIME.fullmatch(str(event.get("eventTime"))),
        "reportingController: must be a qualified name": not _QUALIFIED.fullmatch(
            event.get("reportingController", "")
        ),
        "reportingInstance: 1 to 128": not 1 <= len(event.get("reportingInstance", "")) <= 128,
        "action: 1 to 128": not 1 <= len(event.get("action", "")) <= 128,
        "reason: 1 to 128": not 1 <= len(event.get("reason", "")) <= 128,
        "note: at most 1024 bytes": len(event.get("note", "").encode()) > 1024,
        "type: Normal or Warning": event.get("type") not in ("Normal", "Warning"),
        "deprecated fields: must not be set": any(
            event.get(f"deprecated{name}")
            for name in ("FirstTimestamp", "LastTimestamp", "Count", "Source")
        ),
    }
    return [what for what, wrong in said.items() if wrong]
