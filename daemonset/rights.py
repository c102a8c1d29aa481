"""What the agent may ask of the API server: the least, each verb with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CORE, EVENTS = "", "events.k8s.io"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one resource, and why."""

    group: str
    resource: str
    verb: str
    why: str


def rights(*, access: str, events: str, publish: bool) -> Iterator[Right]:
    """Yield the rights that an agent with these settings uses; a test counts its requests."""
    if access == "off":
        return
    yield Right(CORE, "pods", "list", "the node's pods at start (spec.nodeName=…)")
    yield Right(CORE, "pods", "watch", "their changes; RBAC cannot narrow this to one node")
    if events != "off":
        yield Right(CORE, "events", "list", "SandboxChanged: of one pod, or where a watch begins")
    if events in ("auto", "watch"):
        yield Right(CORE, "events", "watch", "SandboxChanged as it comes, up to 100 nodes")
    if events == "auto":
        yield Right(CORE, "nodes", "list", "counts the nodes once (limit=1)")
    if publish:
        yield Right(EVENTS, "events", "create", "the explanation, on victim, offender and node")
