"""Who was hurt: the pods of one incident, each once, with the worst that happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.diagnosis.case import EVENT_RESOLUTION_S, Case
from agent.model import Cause, Fact, Kind, Pod, SubjectKind, Victim

HARM: dict[Kind, str] = {
    Kind.SANDBOX_CHANGED: "sandbox re-created",
    Kind.CONTAINER_OOM: "container OOM-killed",
    Kind.OOM_KILL: "container OOM-killed",
    Kind.OOM_AT_LIMIT: "container OOM-killed",
    Kind.OOM_IN_MEMCG: "container OOM-killed",
    Kind.POD_EVICTED_FOR_PRESSURE: "evicted by the kubelet",
    Kind.POD_EVICTED_BY_API: "evicted through the API",
    Kind.POD_GIVEN_UP: "given up by the cluster",
    Kind.PROBE_KILLS_CONTAINER: "container killed by its liveness probe",
    Kind.CONTAINER_EXITED: "container ended",
    Kind.SANDBOX_CREATE_FAILED: "sandbox could not be created",
    Kind.CNI_FAILED: "network could not be set up",
}
"""Ordered from the surest sign to the weakest."""

LEAVING = {Kind.CONTAINER_KILLING: "stopped", Kind.POD_DELETED: "deleted"}
"""Only while the node is being emptied: any roll-out prints the same."""

EXITS_AFTER_S = 120.0


def find_victims(case: Case, cause: Cause, pods: Sequence[Pod] = ()) -> tuple[Victim, ...]:
    """Return the pods this incident hurt, in order of time, with their owners where known."""
    signs = dict(HARM)
    if cause is Cause.NODE_DRAIN:
        signs |= LEAVING
    known = {(pod.namespace, pod.name): pod for pod in pods}
    by_uid = {pod.uid: pod for pod in pods if pod.uid}
    found: dict[tuple[str, str], Victim] = {}
    for kind, harm in signs.items():
        for fact in _after_the_blow(case, kind):
            pod = known.get((fact.subject.namespace, fact.subject.name))
            pod = pod or by_uid.get(fact.subject.uid)
            name = pod.name if pod else fact.subject.name
            namespace = pod.namespace if pod else fact.subject.namespace
            if not name or (namespace, name) in found:
                continue
            found[namespace, name] = Victim(
                namespace=namespace,
                pod=name,
                uid=(pod.uid if pod else "") or fact.subject.uid,
                owner=pod.owner if pod else "",
                harm=harm,
                at_s=fact.at_s,
            )
    return tuple(sorted(found.values(), key=lambda v: (v.at_s or 0.0, v.namespace, v.pod)))


def _after_the_blow(case: Case, kind: Kind) -> Iterable[Fact]:
    pivot_s = case.pivot_s
    for fact in case.of(kind, where=_about_a_pod):
        given_up = kind is Kind.POD_GIVEN_UP  # while the node was away, so before it came back
        if fact.at_s is None or pivot_s is None or given_up:
            yield fact
            continue
        late_s = fact.at_s - pivot_s
        expires_s = EXITS_AFTER_S if kind is Kind.CONTAINER_EXITED else float("inf")
        if -EVENT_RESOLUTION_S <= late_s <= expires_s:
            yield fact


def _about_a_pod(fact: Fact) -> bool:
    return fact.subject.kind is SubjectKind.POD
