"""Which nodes there are, and which of them have an agent. Pure; time is an argument."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agent.sources.untyped import mapping, objects, text

Object = Mapping[str, object]
_OS = "kubernetes.io/os"
_MOST_ORPHANS = 1_000


@dataclass(frozen=True, slots=True)
class NodeLook:
    """All that is kept of a node: the API server is asked for its metadata alone."""

    name: str
    wanted: bool  # the DaemonSet runs on Linux; a virtual node has no journal


@dataclass(frozen=True, slots=True)
class AgentLook:
    """All that is kept of a pod in the agents' namespace."""

    key: str
    node: str
    ready: bool
    agent: bool


@dataclass(frozen=True, slots=True)
class NodeLooks:
    """Keeps of a node its name, and whether the agents are meant for it."""

    labels: Mapping[str, str]  # the DaemonSet's node selector

    def __call__(self, thing: Object) -> NodeLook:
        """Look at one."""
        has = mapping(thing, "metadata", "labels")
        linux = text(has, _OS) in ("", "linux") and text(has, "type") != "virtual-kubelet"
        chosen = all(has.get(key) == value for key, value in self.labels.items())
        return NodeLook(text(thing, "metadata", "name"), linux and chosen)


@dataclass(frozen=True, slots=True)
class AgentLooks:
    """Keeps of a pod whether it is an agent, where it runs, and whether it is well."""

    labels: Mapping[str, str]

    def __call__(self, thing: Object) -> AgentLook:
        """Look at one."""
        has = mapping(thing, "metadata", "labels")
        return AgentLook(
            key=text(thing, "metadata", "uid") or text(thing, "metadata", "name"),
            node=text(thing, "spec", "nodeName"),
            ready=any(
                text(one, "type") == "Ready" and text(one, "status") == "True"
                for one in objects(thing, "status", "conditions")
            ),
            agent=all(has.get(key) == value for key, value in self.labels.items()),
        )


class Roster:
    """Nodes and agents as they come and go."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeLook] = {}
        self._agents: dict[str, AgentLook] = {}
        self._without_s: dict[str, float] = {}  # since when a node has no agent
        self._orphans: OrderedDict[tuple[str, str, str], float | None] = OrderedDict()
        self.nodes_known = self.agents_known = False

    def list_nodes(self, nodes: tuple[NodeLook, ...]) -> None:
        """Take the whole list."""
        self._nodes = {one.name: one for one in nodes if one.name}
        self.nodes_known = True

    def list_agents(self, pods: tuple[AgentLook, ...]) -> None:
        """Take the whole list."""
        self._agents = {one.key: one for one in pods if one.agent}
        self.agents_known = True

    def touch_node(self, change: str, node: NodeLook) -> None:
        """Take one change."""
        if change == "DELETED":
            self._nodes.pop(node.name, None)
        else:
            self._nodes[node.name] = node

    def touch_agent(self, change: str, pod: AgentLook) -> None:
        """Take one change."""
        if change == "DELETED" or not pod.agent:
            self._agents.pop(pod.key, None)
        else:
            self._agents[pod.key] = pod

    def look(self, now_s: float) -> None:
        """Note since when each node has been without an agent."""
        if not (self.nodes_known and self.agents_known):
            return
        seen = {one.node for one in self._agents.values() if one.ready}
        without = {one.name for one in self._nodes.values() if one.wanted} - seen
        self._without_s = {name: self._without_s.get(name, now_s) for name in without}

    @property
    def nodes(self) -> int:
        """Nodes on which an agent should run."""
        return sum(one.wanted for one in self._nodes.values())

    @property
    def agents(self) -> int:
        """Agents that are ready."""
        return sum(one.ready for one in self._agents.values())

    def without(self, now_s: float, grace_s: float) -> dict[str, float]:
        """Nodes that have had no ready agent for so long, and since when it is known."""
        return {
            name: since_s
            for name, since_s in sorted(self._without_s.items())
            if now_s - since_s >= grace_s
        }

    def lacks_agent(self, node: str) -> bool:
        """Whether nobody is there to explain what happens on a node."""
        return node in self._without_s

    def orphaned(self, node: str, namespace: str, pod: str, at_s: float | None) -> None:
        """Note a re-created sandbox that no agent will explain."""
        self._orphans[node, namespace, pod] = at_s
        while len(self._orphans) > _MOST_ORPHANS:
            self._orphans.popitem(last=False)

    @property
    def orphans(self) -> dict[tuple[str, str, str], float | None]:
        """Node, namespace and pod of what nobody explained, and when it was."""
        return dict(self._orphans)
