"""The agents of a cluster's nodes: which pod each is, and what its pages say, by proxy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.commands.cluster.server import Object, Refused, Server, Unreachable, segment
from agent.errors import UserError
from agent.printable import safe
from agent.recorder.ring_read import Recording, Span, load_ring
from agent.sources.untyped import mapping, objects, text, whole

LABELS = "app.kubernetes.io/name=knockon,app.kubernetes.io/component={}"
PORT = 9479
_PORT_NAME = "metrics"
_UNREACHED = "error trying to reach service: "  # apimachinery's proxy, in a Status of 503
_SCHEME = "prometheus.io/scheme"
MAY_PROXY = "get pods/proxy in namespace {}"


class Silent(Exception):
    """An agent that cannot be asked, and why, in a few words."""


@dataclass(frozen=True, slots=True)
class AgentPod:
    """Where the agent of one node is; or the cluster's replica."""

    node: str
    namespace: str
    name: str
    uid: str = ""
    ready: bool = True
    scheme: str = "http"
    port: int = PORT
    wants_certificate: bool = False  # of its clients, which the API server's proxy has none of

    @property
    def path(self) -> str:
        """The API server's way to it; ``https:`` before the name makes the proxy speak TLS."""
        secure = "https:" if self.scheme == "https" else ""
        name = segment(f"{secure}{self.name}:{self.port}")
        return f"/api/v1/namespaces/{segment(self.namespace)}/pods/{name}/proxy"


def agents(
    server: Server, namespace: str, node: str = "", component: str = "agent"
) -> list[AgentPod]:
    """Find the agents in a namespace, of one node or of all; raises Refused and Unreachable."""
    query = {"labelSelector": LABELS.format(component)}
    query |= {"fieldSelector": f"spec.nodeName={node}"} if node else {}
    path = f"/api/v1/namespaces/{segment(namespace)}/pods"
    found = server.listed(path, f"list pods in namespace {namespace}", **query)
    return [agent_pod(one) for one in found if text(one, "status", "phase") not in _OVER]


_OVER = frozenset({"Succeeded", "Failed"})


def agent_of(server: Server, namespace: str, node: str) -> AgentPod:
    """Find the one that can be asked about a node; raises Silent."""
    try:
        found = agents(server, namespace, node)
    except Refused as error:
        raise Silent(error.reason) from error
    except Unreachable as error:
        raise Silent(f"the list of agents: {error}") from error
    if not found:
        raise Silent(f"no agent runs there (none in namespace {namespace})")
    return max(found, key=lambda one: one.ready)


def ask(server: Server, agent: AgentPod, page: str) -> bytes:
    """Get one page of an agent; raises Silent.

    One that is not ready is asked all the same: what it has kept, it can tell.
    """
    if agent.wants_certificate:
        raise Silent("its port asks for client certificates, and the API server's proxy has none")
    doubt = "" if agent.ready else f"its pod {agent.name} is not ready; "
    try:
        return server.get(f"{agent.path}{page}", MAY_PROXY.format(agent.namespace))
    except Refused as error:
        if error.status == 403:
            raise Silent(safe(error.reason, 200)) from error
        unreached = error.said.partition(_UNREACHED)[2]
        said = f"its port cannot be reached: {unreached}" if unreached else error.reason
        raise Silent(f"{doubt}{safe(said, 200)}") from error
    except Unreachable as error:
        raise Silent(f"{doubt}{error}") from error


def summaries(server: Server, agent: AgentPod) -> list[Object]:
    """Get an agent's incidents in short, the newest first; raises Silent."""
    return objects(document(server, agent, "/incidents"), "incidents")


def document(server: Server, agent: AgentPod, page: str) -> Object:
    """Get a page of JSON; raises Silent."""
    raw = ask(server, agent, page)
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Silent(f"its page {page} is not of a form this version knows")
    return found


def recording(server: Server, agent: AgentPod, span: Span) -> Recording:
    """Get the flight recorder's ring, and read of it what is asked for; raises Silent."""
    try:
        return load_ring(ask(server, agent, "/recorder.ring"), span, parts=False)
    except UserError as error:
        raise Silent(error.message) from error


def agent_pod(pod: Object) -> AgentPod:
    """Read from a pod where its port is, and how it is spoken to."""
    container = next(iter(objects(pod, "spec", "containers")), {})
    ports = [one for one in objects(container, "ports") if text(one, "name") == _PORT_NAME]
    scheme = text(mapping(pod, "metadata", "annotations"), _SCHEME) or _probe_scheme(container)
    bare = bool(mapping(container, "readinessProbe", "tcpSocket"))
    conditions = objects(pod, "status", "conditions")
    return AgentPod(
        node=text(pod, "spec", "nodeName"),
        namespace=text(pod, "metadata", "namespace"),
        name=text(pod, "metadata", "name"),
        uid=text(pod, "metadata", "uid"),
        ready=_is_ready(conditions) and not text(pod, "metadata", "deletionTimestamp"),
        scheme=scheme.lower(),
        port=(whole(ports[0], "containerPort") if ports else None) or PORT,
        wants_certificate=bare,
    )


def _probe_scheme(container: Mapping[str, object]) -> str:
    return text(container, "readinessProbe", "httpGet", "scheme") or "http"


def _is_ready(conditions: Iterable[Object]) -> bool:
    return any(text(one, "type") == "Ready" and text(one, "status") == "True" for one in conditions)
