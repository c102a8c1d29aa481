"""The fleet's answers as plain JSON values, in the form of `knockon/v1` where that has a word."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from agent.fleet.incident import NodeIncident
from agent.fleet.join import FleetIncident
from agent.fleet.state import Fleet
from agent.times import rfc3339

Json = dict[str, object]
_SCHEMA = "knockon/v1"
_ELSEWHERE = "the whole report is with the agent of node {}: its /incidents/{}"
_NO_AGENT = "no agent runs on node {}, so nobody saw why"


def overview(fleet: Fleet, absent: Mapping[str, float]) -> Json:
    """All incidents in short, the newest first, and the groups they make."""
    member_of = {one.id: group.id for group in fleet.groups for one in group.members}
    told = [_short(one) | {"fleet": member_of.get(one.id)} for one in fleet.incidents]
    orphans = [_short_of(one) for one in _orphaned(fleet, absent)]
    return {
        "schema": _SCHEMA,
        "incidents": sorted(told + orphans, key=lambda one: str(one["opened_at"]), reverse=True),
        "fleet": [group_of(one) for one in fleet.groups],
        "blind": [
            {"source": name, "why": spot.why, "from": rfc3339(spot.from_s)}
            for name, spot in sorted(fleet.blind.items())
        ],
    }


def one_of(fleet: Fleet, absent: Mapping[str, float], name: str) -> Json | None:
    """One incident or group by its id, whole."""
    for group in fleet.groups:
        if group.id == name:
            members = [_whole(one) for one in group.members]
            return {"schema": _SCHEMA, "fleet": [group_of(group)], "incidents": members}
    found = fleet.incidents.get(name)
    whole = [_whole(found)] if found else []
    whole = whole or [one for one in _orphaned(fleet, absent) if one["id"] == name]
    return {"schema": _SCHEMA, "incidents": whole} if whole else None


def group_of(group: FleetIncident) -> Json:
    """One group of incidents."""
    return {
        "id": group.id,
        "kind": str(group.kin),
        "what": group.what,
        "verdict": group.verdict,
        "opened_at": rfc3339(group.opened_s),
        "last_at": rfc3339(group.last_s),
        "nodes": list(group.nodes),
        "incidents": [one.id for one in group.members],
        "hurt": group.victims,
    }


def nodes_of(fleet: Fleet, absent: Mapping[str, float]) -> Json:
    """How many nodes there are, and which of them nobody watches."""
    return {
        "schema": _SCHEMA,
        "nodes": fleet.roster.nodes,
        "agents": fleet.roster.agents,
        "without_agent": [{"node": name, "since": rfc3339(at)} for name, at in absent.items()],
    }


def _short(one: NodeIncident) -> Json:
    return {
        "id": one.id,
        "node": one.node,
        "opened_at": rfc3339(one.opened_s),
        "closed_at": None,
        "cause": str(one.cause),
        "confidence": one.confidence,
        "planned": one.planned,
        "verdict": one.verdict,
        "stage": "told",
        "hurt": len(one.victims),
        "victims": [{"namespace": space, "pod": pod} for space, pod in sorted(one.victims)],
        "offender": _offender(one),
    }


def _offender(one: NodeIncident) -> Json | None:
    namespace, pod, _ = one.offender
    return {"kind": "pod", "namespace": namespace, "name": pod} if pod else None


def _whole(one: NodeIncident) -> Json:
    kind, name = one.killer
    offender = _offender(one)
    return _short(one) | {
        "killer": {"kind": kind, "name": name, "at": None} if kind else None,
        "hypotheses": [{"cause": str(one.cause), "confidence": one.confidence}],
        "victims": [
            {"namespace": space, "pod": victim, "uid": said.uid, "owner": said.owner}
            for (space, victim), said in sorted(one.victims.items())
        ],
        "offender": offender
        and {
            **offender,
            "owner": one.offender[2],
            "method": "as its node's agent told",
        },
        "chain": [],
        "missing": [_ELSEWHERE.format(one.node, one.id)],
        "blind": [],
    }


def _orphaned(fleet: Fleet, absent: Mapping[str, float]) -> list[Json]:
    """One incident of unknown cause for each unwatched node whose sandboxes were re-created."""
    explained = {(one.node, *victim) for one in fleet.incidents for victim in one.victims}
    by_node: dict[str, list[tuple[str, str, float | None]]] = defaultdict(list)
    for (node, namespace, pod), at_s in fleet.roster.orphans.items():
        if node in absent and (node, namespace, pod) not in explained:
            by_node[node].append((namespace, pod, at_s))
    return [_unknown(node, sorted(pods, key=str)) for node, pods in sorted(by_node.items())]


def _unknown(node: str, pods: list[tuple[str, str, float | None]]) -> Json:
    times = [at_s for _, _, at_s in pods if at_s is not None]
    count = len(pods)
    return {
        "id": hashlib.sha256(f"orphan\0{node}".encode()).hexdigest()[:10],
        "node": node,
        "opened_at": rfc3339(min(times, default=None)),
        "closed_at": None,
        "cause": "unknown",
        "confidence": 0.0,
        "planned": False,
        "verdict": f"{count} {'pod was' if count == 1 else 'pods were'} re-created; why is unknown",
        "stage": "told",
        "killer": None,
        "hypotheses": [],
        "hurt": count,
        "victims": [
            {"namespace": space, "pod": pod, "uid": "", "owner": ""} for space, pod, _ in pods
        ],
        "offender": None,
        "chain": [],
        "missing": [_NO_AGENT.format(node)],
        "blind": [],
    }


def _short_of(whole: Json) -> Json:
    left_out = ("killer", "hypotheses", "chain", "missing", "blind")
    return {key: value for key, value in whole.items() if key not in left_out} | {"fleet": None}
