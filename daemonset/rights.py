"""What the agent, the replica and people may ask of the API server, each verb with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

CORE, EVENTS, LEASES = "", "events.k8s.io", "coordination.k8s.io"


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
    yield Right(CORE, "nodes", "list", "whether its own is drained, as pods go; counts them once")
    if publish:
        yield Right(EVENTS, "events", "create", "the explanation, on victim, offender and node")


def cluster_rights() -> Iterator[Right]:
    """Yield the rights of the cluster's replica in the whole cluster."""
    yield Right(CORE, "events", "list", "what the agents told within the last hour")
    yield Right(CORE, "events", "watch", "what they tell, and SandboxChanged of every node")
    yield Right(CORE, "nodes", "list", "which nodes there are (metadata only)")
    yield Right(CORE, "nodes", "watch", "nodes as they come and go (metadata only)")


def own_rights() -> Iterator[Right]:
    """Yield the rights of the cluster's replica in its own namespace."""
    yield Right(CORE, "pods", "list", "on which nodes an agent runs")
    yield Right(CORE, "pods", "watch", "agents as they come and go")
    yield Right(LEASES, "leases", "create", "its Lease, the first time; no name can be given here")


def lease_rights() -> Iterator[Right]:
    """Yield the rights of the cluster's replica on its one Lease."""
    yield Right(LEASES, "leases", "get", "who leads")
    yield Right(LEASES, "leases", "update", "to take it, renew it, and let go of it")


def run_rights() -> Iterator[Right]:
    """Yield the rights of a backup run in its own namespace, where a Lease is asked for."""
    yield Right(LEASES, "leases", "create", "the Lease, the first time; no name can be given here")


def run_lease_rights() -> Iterator[Right]:
    """Yield the rights of a backup run on that one Lease."""
    yield Right(LEASES, "leases", "get", "who backs up now")
    yield Right(LEASES, "leases", "update", "to take it, renew it, and let go of it")


def reader_rights() -> Iterator[Right]:
    """Yield what a person needs who asks from a laptop (`knockon why`, `knockon incidents`)."""
    yield Right(CORE, "pods", "get", "where the pod is that is asked about")
    yield Right(CORE, "pods", "list", "where the agents are; names that are near a wrong one")
    yield Right(CORE, "events", "list", "what the agents told, while one of them is away")
    yield Right(CORE, "nodes", "get", "whether a silent agent's node is ready, or gone")
    yield Right(CORE, "nodes", "list", "which nodes have no agent")


def proxy_rights() -> Iterator[Right]:
    """Yield what the same person needs in the agents' namespace, where nothing else can run."""
    yield Right(CORE, "pods/proxy", "get", "the agents' own pages; they change nothing")
