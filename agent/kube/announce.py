"""Turns a Diagnosis into Kubernetes Events on those it concerns. Pure: same input, same Events.

An Event's name is made of the incident and of whom it is about. Saying it again, after a restart
or a replay, meets ``409 AlreadyExists``: so everybody is told once, without anything being stored.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent.model import Cause, Diagnosis, Killer, KillerKind, Pod, Victim
from agent.printable import safe
from agent.times import clock, rfc3339
from agent.words import cause_words, counted, killer_words

CONTROLLER = "knockon.dev/agent"
MAX_NOTE_BYTES = 1024  # events.k8s.io/v1 refuses more (validation/events.go), as the next two
_MAX_INSTANCE_CHARS = 128
_SUBDOMAIN = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_REASON_BY_KILLER = {
    KillerKind.HEALTH_MONITOR: "ContainerRuntimeKilled",
    KillerKind.WATCHDOG: "ContainerRuntimeKilled",
    KillerKind.EVICTION: "PodsEvicted",
    KillerKind.OOM_KILLER: "MemoryExhausted",
}
_REASON_BY_CAUSE = {
    Cause.NODE_REBOOT: "NodeRebootExplained",
    Cause.NODE_DRAIN: "NodeDrained",
    Cause.KUBELET_RESTART: "KubeletRestarted",
    Cause.PLANNED_RESTART: "ContainerRuntimeRestarted",
    Cause.RUNTIME_CRASH: "ContainerRuntimeCrashed",
    Cause.RUNTIME_HANG: "ContainerRuntimeHung",
    Cause.CONTAINER_OOM: "ContainerOutOfMemory",
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Event, ready to be posted (``events.k8s.io/v1``)."""

    incident: str
    namespace: str
    name: str
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Saying:
    """What one Event says, and of whom."""

    role: str  # part of the name: one Event a role
    about: Mapping[str, str]
    related: Mapping[str, str] | None
    reason: str
    action: str
    says: tuple[str, ...]
    at_s: float | None


def announcements(
    diagnosis: Diagnosis, pods: Sequence[Pod] = (), now_s: float = 0.0
) -> tuple[Announcement, ...]:
    """Everything to be said about one incident: the node first, then the offender, then victims.

    ``pods`` lends the uid that ``kubectl describe`` looks for; ``now_s`` stands in where the
    incident has no time. A pod is told nothing while its restart is not explained.
    """
    uids = {(pod.namespace, pod.name): pod.uid for pod in pods}
    owners = {(pod.namespace, pod.name): pod.owner for pod in pods}
    sayings = (
        *_to_the_node(diagnosis, uids),
        *_to_the_offender(diagnosis, uids),
        *_to_the_victims(diagnosis, uids),
    )
    made = (_announcement(diagnosis, saying, owners, now_s) for saying in sayings)
    return tuple(one for one in made if _names_are_possible(one))


def _names_are_possible(one: Announcement) -> bool:
    return all(_SUBDOMAIN.fullmatch(name) for name in (one.name, one.namespace))


def _to_the_node(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> Iterator[_Saying]:
    hurt = counted(len(_victims(diagnosis)), "pod")
    says = (diagnosis.verdict, f"{hurt} hurt.", *_why(diagnosis))
    if diagnosis.incident.node:
        about = _node(diagnosis)
        offender = _offender(diagnosis, uids)
        at_s = diagnosis.killer.at_s if diagnosis.killer else None
        yield _Saying("node", about, offender, _node_reason(diagnosis), "Explained", says, at_s)


def _to_the_offender(
    diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]
) -> Iterator[_Saying]:
    about = _offender(diagnosis, uids)
    if about is None or diagnosis.planned or diagnosis.cause is Cause.UNKNOWN:
        return
    hurt = counted(len(_victims(diagnosis)), "pod")
    begun = (
        f"The load of this pod preceded an incident on node {diagnosis.incident.node}: {hurt} hurt."
    )
    says = (begun, diagnosis.verdict, *_why(diagnosis))
    at_s = diagnosis.incident.opened_at_s
    yield _Saying(
        "offender", about, _node(diagnosis), "CausedNodeIncident", "Attributed", says, at_s
    )


def _to_the_victims(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> Iterator[_Saying]:
    if diagnosis.cause is Cause.UNKNOWN and diagnosis.killer is None:
        return
    related = _offender(diagnosis, uids) or _node(diagnosis)
    for victim in _victims(diagnosis):
        uid = victim.uid or uids.get((victim.namespace, victim.pod), "")
        about = _reference("Pod", victim.pod, victim.namespace, uid)
        says = (_harm(victim), diagnosis.verdict, *_why(diagnosis))
        yield _Saying("victim", about, related, "RestartExplained", "Explained", says, victim.at_s)


def _victims(diagnosis: Diagnosis) -> list[Victim]:
    """Each pod once, whatever befell it and under however many uids."""
    once = {(one.namespace, one.pod): one for one in reversed(diagnosis.victims)}
    return [one for key, one in reversed(once.items()) if all(key)]


def _harm(victim: Victim) -> str:
    at = clock(victim.at_s)
    return f"This pod: {victim.harm or 'hurt'}{f' at {at} UTC' if at else ''}."


def _why(diagnosis: Diagnosis) -> Iterator[str]:
    """The killer, the cause with its numbers, and how sure we are."""
    if diagnosis.killer is not None:
        yield _trigger(diagnosis.killer)
    if diagnosis.cause is not Cause.UNKNOWN:
        yield f"Cause: {cause_words(diagnosis.cause).name} ({diagnosis.confidence:.0%} sure)."
    winner = next((one for one in diagnosis.hypotheses if one.cause is diagnosis.cause), None)
    if winner is not None:
        strongest = sorted(winner.evidence_for, key=lambda one: -one.weight)[:4]
        yield from (f"{one.says.rstrip('.')}." for one in strongest)


def _trigger(killer: Killer) -> str:
    at = clock(killer.at_s)
    when = f" at {at} UTC" if at else ""
    who = (
        f"{killer.name} ({killer_words(killer.kind)})" if killer.name else killer_words(killer.kind)
    )
    return f"Trigger{when}: {who}."


def _node_reason(diagnosis: Diagnosis) -> str:
    killer = diagnosis.killer.kind if diagnosis.killer else KillerKind.NONE
    by_cause = _REASON_BY_CAUSE.get(diagnosis.cause)
    by_killer = _REASON_BY_KILLER.get(killer)
    first, second = (by_cause, by_killer) if diagnosis.planned else (by_killer, by_cause)
    return first or second or "PodsRestarted"


def _announcement(
    diagnosis: Diagnosis, saying: _Saying, owners: Mapping[tuple[str, str], str], now_s: float
) -> Announcement:
    incident, about = diagnosis.incident, saying.about
    namespace = about.get("namespace", "default")  # where Events about nodes live
    mark = "\0".join((incident.id, saying.role, namespace, about["name"]))
    name = f"{about['name'][:200].rstrip('.-')}.{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    at_s = next((one for one in (saying.at_s, incident.opened_at_s) if one is not None), now_s)
    body = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "annotations": _annotations(diagnosis, owners.get((namespace, about["name"]), "")),
        },
        "eventTime": rfc3339(at_s) or rfc3339(now_s),
        "type": "Normal" if diagnosis.planned else "Warning",
        "reason": saying.reason,
        "action": saying.action,
        "note": _note(saying.says, f"Incident {safe(incident.id, 64)}."),
        "regarding": about,
        "reportingController": CONTROLLER,
        "reportingInstance": incident.node[:_MAX_INSTANCE_CHARS] or "unknown",
    }
    if saying.related is not None and saying.related != about:
        body["related"] = saying.related
    return Announcement(incident.id, namespace, name, body)


def _annotations(diagnosis: Diagnosis, owner: str) -> dict[str, str]:
    """For programs: what the cluster's replica joins the incidents of many nodes by."""
    killer = diagnosis.killer
    known = {
        "incident": diagnosis.incident.id,
        "cause": diagnosis.cause.value,
        "confidence": f"{diagnosis.confidence:.2f}",
        "killer": killer.kind.value if killer else "",
        "killer-name": safe(killer.name, 100) if killer else "",
        "owner": safe(owner, 300),
    }
    return {f"knockon.dev/{key}": value for key, value in known.items() if value}


def _note(says: Sequence[str], end: str) -> str:
    """As many whole sentences as fit before the end; the first one is cut rather than dropped."""
    room = MAX_NOTE_BYTES - len(end.encode()) - 1
    first, *others = [safe(one, 600) for one in says if one]
    note = first.encode()[:room].decode("utf-8", "ignore")
    for one in others:
        longer = f"{note} {one}"
        if len(longer.encode()) <= room and one not in note:
            note = longer
    return f"{note} {end}"


def _offender(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> dict[str, str] | None:
    offender = diagnosis.offender
    if offender is None or offender.kind != "pod" or not (offender.namespace and offender.name):
        return None
    uid = uids.get((offender.namespace, offender.name), "")
    return _reference("Pod", offender.name, offender.namespace, uid)


def _node(diagnosis: Diagnosis) -> dict[str, str]:
    """The kubelet too writes the node's name for its uid, and kubectl looks for that one."""
    return _reference("Node", diagnosis.incident.node, "", diagnosis.incident.node)


def _reference(kind: str, name: str, namespace: str, uid: str) -> dict[str, str]:
    known = {"apiVersion": "v1", "kind": kind, "name": name, "namespace": namespace, "uid": uid}
    return {key: value for key, value in known.items() if value}
