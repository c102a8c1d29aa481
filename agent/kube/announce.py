"""Turns a Diagnosis into Kubernetes Events on those it concerns. Pure: same input, same Events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from agent.kube.event_body import Announcement, Saying, event, reference, the_node
from agent.model import Cause, Diagnosis, Killer, KillerKind, Pod, Victim
from agent.printable import safe
from agent.times import clock, rfc3339
from agent.words import cause_words, counted, killer_words

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
class _Timed:
    """What is said, and when that happened of which it speaks."""

    saying: Saying
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
    return tuple(one for one in made if one.is_possible)


def _to_the_node(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> Iterator[_Timed]:
    hurt = counted(len(_victims(diagnosis)), "pod")
    says = (diagnosis.verdict, f"{hurt} hurt.", *_why(diagnosis))
    if diagnosis.incident.node:
        about = _node(diagnosis)
        offender = _offender(diagnosis, uids)
        at_s = diagnosis.killer.at_s if diagnosis.killer else None
        said = Saying("node", about, _node_reason(diagnosis), "Explained", says, related=offender)
        yield _Timed(said, at_s)


def _to_the_offender(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> Iterator[_Timed]:
    about = _offender(diagnosis, uids)
    if about is None or diagnosis.planned or diagnosis.cause is Cause.UNKNOWN:
        return
    hurt = counted(len(_victims(diagnosis)), "pod")
    begun = (
        f"The load of this pod preceded an incident on node {diagnosis.incident.node}: {hurt} hurt."
    )
    says = (begun, diagnosis.verdict, *_why(diagnosis))
    node = _node(diagnosis)
    said = Saying("offender", about, "CausedNodeIncident", "Attributed", says, related=node)
    yield _Timed(said, diagnosis.incident.opened_at_s)


def _to_the_victims(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> Iterator[_Timed]:
    if diagnosis.cause is Cause.UNKNOWN and diagnosis.killer is None:
        return
    related = _offender(diagnosis, uids) or _node(diagnosis)
    for victim in _victims(diagnosis):
        uid = victim.uid or uids.get((victim.namespace, victim.pod), "")
        about = reference("Pod", victim.pod, victim.namespace, uid)
        says = (_harm(victim), diagnosis.verdict, *_why(diagnosis))
        said = Saying("victim", about, "RestartExplained", "Explained", says, related=related)
        yield _Timed(said, victim.at_s)


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
    offender = diagnosis.offender
    if offender is not None and offender.kind == "process" and not offender.is_backup:
        yield f"By process {offender.name}: {offender.method}."  # no pod hears of it, so all do
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
    diagnosis: Diagnosis, timed: _Timed, owners: Mapping[tuple[str, str], str], now_s: float
) -> Announcement:
    incident, about = diagnosis.incident, timed.saying.about
    at_s = next((one for one in (timed.at_s, incident.opened_at_s) if one is not None), now_s)
    owner = owners.get((about.get("namespace", "default"), about["name"]), "")
    said = replace(timed.saying, end=f"Incident {safe(incident.id, 64)}.", normal=diagnosis.planned)
    stamp = rfc3339(at_s) or rfc3339(now_s) or ""
    return event(said, incident.id, incident.node, stamp, _annotations(diagnosis, owner))


def _annotations(diagnosis: Diagnosis, owner: str) -> dict[str, str]:
    """For programs: what the cluster's replica joins the incidents of many nodes by."""
    killer = diagnosis.killer
    return {
        "incident": diagnosis.incident.id,
        "cause": diagnosis.cause.value,
        "confidence": f"{diagnosis.confidence:.2f}",
        "killer": killer.kind.value if killer else "",
        "killer-name": safe(killer.name, 100) if killer else "",
        "owner": safe(owner, 300),
    }


def _offender(diagnosis: Diagnosis, uids: Mapping[tuple[str, str], str]) -> dict[str, str] | None:
    offender = diagnosis.offender
    if offender is None or offender.kind != "pod" or not (offender.namespace and offender.name):
        return None
    uid = uids.get((offender.namespace, offender.name), "")
    return reference("Pod", offender.name, offender.namespace, uid)


def _node(diagnosis: Diagnosis) -> dict[str, str]:
    return the_node(diagnosis.incident.node)
