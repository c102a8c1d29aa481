"""``knockon why pod/NAME``: the answer of the agent on the pod's node, word for word.

Where that agent cannot be asked, what its Events told; where there are none, what Kubernetes shows
of the pod. Which of the three it was, and why, is said in one line.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.commands.cluster.agents import AgentPod, Silent, agent_of, ask, recording, summaries
from agent.commands.cluster.options import NAMESPACE
from agent.commands.cluster.pods import RIGHTS, Pod, look, told_elsewhere
from agent.commands.cluster.seen import explained, seen_of
from agent.commands.cluster.server import Object, Refused, Server, Unreachable, segment
from agent.commands.cluster.told import diagnoses_told
from agent.errors import UserError
from agent.model import Diagnosis
from agent.recorder.ring_read import Recording
from agent.report.from_kept import LONGER_AGO, left_out, minutes_around, origin_of
from agent.report.timeline import SHORT
from agent.report.view import Asked, Report, concerns, report
from agent.sources.kept import Kept, unpacked
from agent.sources.untyped import mapping, objects, text
from agent.words import counted

MOST_INCIDENTS = 10  # of one node, the newest: each is a request of its own


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked about; without a pod, a node."""

    pod: str = ""
    namespace: str = ""  # empty: the context's
    node: str = ""
    agents: str = NAMESPACE
    moments: int = SHORT
    charts: bool = False  # whether the minutes around are wanted too
    options: tuple[str, ...] = ()  # as typed, for whoever wants to ask again


@dataclass(slots=True)
class _Heard:
    """What the agents of some nodes answered, and which did not, and why."""

    kept: list[Kept] = field(default_factory=list)
    others: int = 0
    asked: list[AgentPod] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)  # node, and why
    minutes: Recording = field(default_factory=Recording)
    minutes_lack: str = ""

    @property
    def diagnoses(self) -> list[Diagnosis]:
        found = {one.diagnosis.incident.id: one.diagnosis for one in self.kept}
        return sorted(found.values(), key=lambda one: -(one.incident.opened_at_s or 0.0))


@dataclass(frozen=True, slots=True)
class Explained:
    """The report, and in one line what it was made from instead, if not from an agent's answer."""

    report: Report
    instead: str = ""


def explain(server: Server, wanted: Wanted) -> Explained:
    """Find who knows, and give the report; raises UserError."""
    wanted = replace(wanted, namespace=wanted.namespace or server.namespace)
    try:
        return _of_pod(server, wanted) if wanted.pod else _of_node(server, wanted)
    except Unreachable as error:
        hint = "is the cluster up, and is this the right --context? kubectl cluster-info says more"
        raise UserError(f"the API server {server.url} cannot be asked: {error}", hint) from error


def _of_node(server: Server, wanted: Wanted) -> Explained:
    heard = _hear(server, [wanted.node], wanted)
    if heard.silent:
        why = f"the agent of node {wanted.node} cannot be asked: {heard.silent[wanted.node]}"
        raise UserError(why, f"knockon incidents --cluster --node {wanted.node}")
    if wanted.charts and heard.diagnoses:
        _look_at_minutes(server, heard, heard.diagnoses[0])
    return Explained(_report(heard.diagnoses, heard, wanted, None))


def _of_pod(server: Server, wanted: Wanted) -> Explained:
    pod = look(server, wanted.namespace, wanted.pod)
    heard = _hear(server, pod.nodes, wanted)
    known = {one.incident.id for one in heard.diagnoses}
    unheard = [one for one in pod.told if one.incident not in known]
    if unheard:
        unheard += told_elsewhere(server, wanted.namespace, unheard)
    found = [*heard.diagnoses, *diagnoses_told(unheard)]
    found = [one for one in found if concerns(one, wanted.namespace, wanted.pod)]
    if not found:
        return _from_kubernetes(server, wanted, heard, pod)
    found.sort(key=lambda one: -(one.incident.opened_at_s or 0.0))
    if wanted.charts:
        _look_at_minutes(server, heard, found[0])
    instead = _from_events(found, known, heard)
    asked = Asked(wanted.namespace, wanted.pod, found=True)
    return Explained(_report(found, heard, wanted, asked, [instead, *_doubts(pod)]), instead)


# -- what the agents say ---------------------------------------------------------------------------


def _hear(server: Server, nodes: Sequence[str], wanted: Wanted) -> _Heard:
    heard = _Heard()
    for node in nodes:
        try:
            agent = agent_of(server, wanted.agents, node)
            _take(server, agent, wanted, heard)
            heard.asked.append(agent)
        except Silent as error:
            heard.silent[node] = f"{error}{_state_of(server, node)}"
    return heard


def _take(server: Server, agent: AgentPod, wanted: Wanted, heard: _Heard) -> None:
    every = summaries(server, agent)
    ours = [one for one in every if not wanted.pod or _names(one, wanted)]
    heard.others += max(0, len(every) - min(len(ours), MOST_INCIDENTS))
    for one in ours[:MOST_INCIDENTS]:
        page = f"/incidents/{segment(text(one, 'id'))}/diagnosis"
        found = unpacked(ask(server, agent, page))
        if found is None:
            raise Silent("it is of another version, whose diagnoses this one cannot read")
        heard.kept.append(found)


def _look_at_minutes(server: Server, heard: _Heard, first: Diagnosis) -> None:
    """The charts show the hour around an incident, of which the ring holds what is recent."""
    span = minutes_around(first)
    agents = [one for one in heard.asked if one.node == first.incident.node]
    if span is None or not agents:
        return
    try:
        heard.minutes = recording(server, agents[0], span)
    except Silent as error:
        heard.minutes_lack = f"The flight recorder's minutes cannot be had: {error}."
        return
    if not heard.minutes.samples:
        heard.minutes_lack = LONGER_AGO


def _names(summary: Object, wanted: Wanted) -> bool:
    """Whether a pod is a victim of an incident, or its offender."""
    who = [(text(one, "namespace"), text(one, "pod")) for one in objects(summary, "victims")]
    offender = mapping(summary, "offender")
    if text(offender, "kind") == "pod":
        who.append((text(offender, "namespace"), text(offender, "name")))
    return (wanted.namespace, wanted.pod) in who


def _state_of(server: Server, node: str) -> str:
    """What a silent agent's node says of itself, where that may be seen."""
    try:
        found = server.object(f"/api/v1/nodes/{segment(node)}", "get nodes")
    except Refused as error:
        return "; the node is gone" if error.status == 404 else ""
    except Unreachable:
        return ""
    ready = [one for one in objects(found, "status", "conditions") if text(one, "type") == "Ready"]
    return "; the node is not ready" if ready and text(ready[0], "status") != "True" else ""


# -- the report ------------------------------------------------------------------------------------


def _from_events(found: Sequence[Diagnosis], known: set[str], heard: _Heard) -> str:
    """Say of which incidents only the Events were left, and why."""
    only = [one for one in found if one.incident.id not in known]
    if not only:
        return ""
    nodes = {one.incident.node for one in only}
    why = "; ".join(f"node {node}: {said}" for node, said in heard.silent.items() if node in nodes)
    told = counted(len(only), "incident is", "incidents are")
    said = f"cannot be asked ({why})" if why else "keeps no more of it"
    return f"{told} told from Events alone, for the node's agent {said}."


def _from_kubernetes(server: Server, wanted: Wanted, heard: _Heard, pod: Pod) -> Explained:
    """Nobody of ours has said anything: read what Kubernetes shows."""
    node = pod.nodes[0] if pod.nodes else ""
    found = explained(seen_of(server, pod, node), node)
    hits = [one for one in found.diagnoses if concerns(one, wanted.namespace, wanted.pod)]
    asked = Asked(wanted.namespace, wanted.pod, found=bool(hits))
    if heard.asked and not heard.silent and not hits:
        return Explained(_report([], heard, wanted, asked, _doubts(pod)))
    why = "; ".join(f"node {name}: {said}" for name, said in heard.silent.items())
    whose = f"the node's agent cannot be asked ({why or 'the pod is on no node'})"
    if heard.asked and not heard.silent:
        whose = f"the agent of node {heard.asked[0].node} knows of no incident of this pod"
    instead = f"Read from Kubernetes' own Events and status, for {whose}."
    origin = replace(found.origin, command=_command(wanted))
    made = report(hits, origin, asked=asked, moments=wanted.moments)
    return Explained(_noted(made, [instead, *_doubts(pod)]), instead)


def _report(
    found: Sequence[Diagnosis],
    heard: _Heard,
    wanted: Wanted,
    asked: Asked | None,
    notes: Sequence[str] = (),
) -> Report:
    names = [f"the agent of node {one.node}" for one in heard.asked]
    name = " and ".join(names) or "Events of the node's agent"
    node = found[0].incident.node if found else wanted.node
    origin = origin_of(heard.kept, heard.minutes, name, node, _command(wanted))
    made = report(found, origin, asked=asked, moments=wanted.moments)
    return _noted(made, [*notes, heard.minutes_lack, *_left_out(heard)])


def _left_out(heard: _Heard) -> list[str]:
    told = []
    if heard.others and heard.asked:
        what = counted(heard.others, "other incident")
        told.append(f"{what} of this node: knockon incidents --node {heard.asked[0].node}.")
    return [*told, *left_out(heard.kept)]


def _doubts(pod: Pod) -> list[str]:
    lacks = [f"{one[0].upper()}{one[1:]}; {RIGHTS}." for one in pod.refused]
    gone = [f"There is no pod {pod.namespace}/{pod.name} any more."] if pod.is_gone else []
    return [*lacks, *gone]


def _noted(made: Report, notes: Sequence[str]) -> Report:
    return replace(made, notes=(*filter(None, notes), *made.notes))


def _command(wanted: Wanted) -> str:
    whom = [f"pod/{wanted.pod}", "-n", wanted.namespace] if wanted.pod else ["--node", wanted.node]
    return shlex.join(["knockon", "why", *whom, *wanted.options])
