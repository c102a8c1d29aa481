"""``knockon incidents``: of all nodes, from the cluster's replica or from every agent.

The replica knows the last hour, for it reads Events; agents know what they have kept, for days as a
rule. So the replica answers when it is there and nothing older or narrower is asked for. Whoever
does not answer is named: a list without him would look like a quiet node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from agent.commands.cluster.agents import AgentPod, Silent, agents, document, summaries
from agent.commands.cluster.pods import RIGHTS
from agent.commands.cluster.server import (
    MOST_AT_ONCE,
    Object,
    Refused,
    Server,
    Unreachable,
)
from agent.errors import UserError
from agent.printable import safe
from agent.sources.stamps import iso_s
from agent.sources.untyped import objects, text, whole
from agent.times import readable
from agent.words import counted

REPLICA_KNOWS_S = 3600.0
_ELSEWHERE = "kubectl get pods -A -l app.kubernetes.io/name=knockon; --agents names the namespace"


@dataclass(frozen=True, slots=True)
class Range:
    """Which incidents are meant."""

    node: str = ""
    since_s: float | None = None
    now_s: float = 0.0

    @property
    def is_recent(self) -> bool:
        """Whether the replica knows all of it."""
        return self.since_s is None or self.now_s - self.since_s <= REPLICA_KNOWS_S

    def holds(self, incident: Object) -> bool:
        """Whether an incident is meant; one without a time is."""
        opened_s = iso_s(incident.get("opened_at"))
        recent = self.since_s is None or opened_s is None or opened_s >= self.since_s
        return recent and self.node in ("", text(incident, "node"))


@dataclass(slots=True)
class Found:
    """What was answered, by whom, and who was silent."""

    source: str = ""
    incidents: list[Object] = field(default_factory=list)
    groups: list[Object] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    blind: list[Object] = field(default_factory=list)  # as the replica says it
    anybody: bool = False


def ask_all(server: Server, namespace: str, span: Range) -> Found:
    """Ask who knows; raises UserError when nobody can be found."""
    try:
        if not span.node and span.is_recent:
            found = _of_replica(server, namespace, span)
            if found is not None:
                return found
        return _of_agents(server, namespace, span)
    except Unreachable as error:
        hint = "is this the right --context? kubectl cluster-info says more"
        raise UserError(f"the API server {server.url} cannot be asked: {error}", hint) from error
    except Refused as error:
        hint = RIGHTS
        raise UserError(f"the agents cannot be found: {error.reason}", hint) from error


def _of_replica(server: Server, namespace: str, span: Range) -> Found | None:
    """Ask the one that leads, which knows all; the others say that they do not lead."""
    for one in agents(server, namespace, component="cluster"):
        try:
            page, nodes = (document(server, one, path) for path in ("/incidents", "/nodes"))
        except Silent:
            continue
        return _told(one, page, nodes, span)
    return None


def _told(replica: AgentPod, page: Object, nodes: Object, span: Range) -> Found:
    incidents = [one for one in objects(page, "incidents") if span.holds(one)]
    ids = {text(one, "id") for one in incidents}
    absent = [text(one, "node") for one in objects(nodes, "without_agent")]
    return Found(
        source=f"the cluster's replica {replica.name}, which knows the last hour",
        incidents=incidents,
        groups=[one for one in objects(page, "fleet") if ids & _members(one)],
        silent=dict.fromkeys(absent, "no ready agent runs there"),
        blind=objects(page, "blind"),
        anybody=True,
    )


def _members(group: Object) -> set[str]:
    some = group.get("incidents")
    return {one for one in some if isinstance(one, str)} if isinstance(some, list) else set()


def _of_agents(server: Server, namespace: str, span: Range) -> Found:
    pods = _one_a_node(agents(server, namespace, span.node))
    found = Found(source=f"{counted(len(pods), 'agent')}, asked one by one")
    _name_the_rest(server, span, {pod.node for pod in pods}, found)
    if not pods and not found.silent:
        raise UserError(f"there is no agent in namespace {namespace}", _ELSEWHERE)
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        for pod, answer in zip(pods, pool.map(lambda pod: _asked(server, pod), pods), strict=True):
            if isinstance(answer, Silent):
                found.silent[pod.node] = str(answer)
                continue
            found.anybody = True
            found.incidents += [one for one in answer if span.holds(one)]
    found.incidents.sort(key=lambda one: text(one, "opened_at"), reverse=True)
    return found


def _one_a_node(pods: Iterable[AgentPod]) -> list[AgentPod]:
    """During a rollout a node has two for a moment: the ready one is asked."""
    by_node: dict[str, AgentPod] = {}
    for pod in sorted(pods, key=lambda one: one.ready):
        by_node[pod.node] = pod
    return sorted(by_node.values(), key=lambda one: one.node)


def _asked(server: Server, pod: AgentPod) -> list[Object] | Silent:
    try:
        return [{**one, "node": text(one, "node") or pod.node} for one in summaries(server, pod)]
    except Silent as error:
        return error


def _name_the_rest(server: Server, span: Range, have: set[str], found: Found) -> None:
    """Nodes without an agent are silent too; whether they should have one is not known here."""
    try:
        listed = server.listed("/api/v1/nodes", "list nodes")
        nodes = [text(one, "metadata", "name") for one in listed]
    except Refused as error:
        found.notes.append(f"Nodes without an agent are not named here: {error.reason}.")
        return
    if span.node and span.node not in nodes:
        raise UserError(f"there is no node {span.node}", "kubectl get nodes lists them")
    for node in nodes:
        if node not in have and span.node in ("", node):
            found.silent[node] = "no agent runs there"


# -- what is printed -------------------------------------------------------------------------------


def overview(found: Found) -> dict[str, object]:
    """As a document: the same words as an agent's own list and the replica's."""
    blind = [
        *found.blind,
        *({"source": f"node/{node}", "why": why, "from": None} for node, why in _in_order(found)),
    ]
    return {
        "schema": "knockon/v1",
        "incidents": [dict(one) for one in found.incidents],
        "fleet": [dict(one) for one in found.groups],
        "blind": blind,
        "notes": found.notes,
        "asked_of": found.source,
    }


def as_lines(found: Found) -> str:
    """One line an incident, the oldest first; then groups, and who did not answer."""
    lines = [safe(_line(one), 700) for one in reversed(found.incidents)]
    lines = lines or [f"Nothing to report, says {found.source}."] * found.anybody
    for group in found.groups:
        hurt = counted(whole(group, "hurt") or 0, "pod")
        lines.append(safe(f"{text(group, 'id')}  {text(group, 'verdict')} {hurt} hurt.", 700))
    silent = _in_order(found)
    if silent:
        nodes = counted(len(silent), "node")
        lines += ["", f"{nodes} did not answer; what happened there is unknown:"]
        lines += [f"  {safe(node, 253)}: {safe(why, 400)}" for node, why in silent]
    lines += [safe(f"{text(one, 'source')}: {text(one, 'why')}", 400) for one in found.blind]
    return "".join(f"{line}\n" for line in [*lines, *map(safe, found.notes)])


def _in_order(found: Found) -> Sequence[tuple[str, str]]:
    return sorted(found.silent.items())


def _line(one: Mapping[str, object]) -> str:
    planned = "planned, " if one.get("planned") is True else ""
    sure = one.get("confidence")
    share = float(sure) if isinstance(sure, int | float) else 0.0
    columns_of_it = (
        text(one, "id"),
        readable(iso_s(one.get("opened_at"))),
        text(one, "node") or "-",
        counted(whole(one, "hurt") or 0, "pod"),
        f"{planned}{text(one, 'cause')} {share:.2f}",
        text(one, "verdict"),
    )
    return "  ".join(safe(column, 300) for column in columns_of_it)
