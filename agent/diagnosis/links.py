"""Join what several lines tell about one happening: OOM lines, pods and their ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from agent.model import Fact, Kind, Pod, Subject, SubjectKind, Trust

ONE_OOM_S = 2.0
"""The kernel prints one OOM kill as several lines, within milliseconds but for a slow console."""

OOM_LINES = frozenset(
    {Kind.OOM_KILL, Kind.OOM_INVOKED, Kind.OOM_AT_LIMIT, Kind.OOM_IN_MEMCG, Kind.OOM_NODE_WIDE}
)


def fold_out_of_memory(facts: Iterable[Fact]) -> list[Fact]:
    """Give every line of one kernel OOM kill the subject that the most telling line names."""
    facts = list(facts)
    named = [fact for fact in facts if fact.kind in OOM_LINES and _names_somebody(fact)]
    if not named:
        return facts
    return [_joined(fact, named) if fact.kind in OOM_LINES else fact for fact in facts]


def _names_somebody(fact: Fact) -> bool:
    return fact.subject.kind in (SubjectKind.POD, SubjectKind.CONTAINER, SubjectKind.UNIT)


def _joined(fact: Fact, named: Sequence[Fact]) -> Fact:
    if _names_somebody(fact):
        return fact
    for other in named:
        if _same_oom(fact, other):
            return replace(fact, subject=other.subject)
    return fact


def _same_oom(fact: Fact, other: Fact) -> bool:
    pid, other_pid = fact.detail.get("pid"), other.detail.get("pid")
    if pid and other_pid and pid != other_pid:
        return False
    if fact.at_s is None or other.at_s is None:
        return fact.at_s is other.at_s
    return abs(fact.at_s - other.at_s) <= ONE_OOM_S


def name_pods(facts: Sequence[Fact], pods: Sequence[Pod]) -> list[Fact]:
    """Replace a bare pod uid (all a cgroup path knows) by the pod's name, where it is known."""
    by_uid = {pod.uid.replace("_", "-"): pod for pod in pods if pod.uid}
    learnt = {
        fact.subject.uid: fact.subject
        for fact in facts
        if fact.subject.kind is SubjectKind.POD and fact.subject.uid and fact.subject.namespace
    }
    return [_named(fact, by_uid, learnt) for fact in facts]


def _named(fact: Fact, by_uid: Mapping[str, Pod], learnt: Mapping[str, Subject]) -> Fact:
    subject = fact.subject
    uid = subject.uid.replace("_", "-")
    if subject.namespace or not uid:
        return fact
    if pod := by_uid.get(uid):
        return replace(fact, subject=Subject(SubjectKind.POD, pod.name, pod.namespace, uid))
    if uid in learnt:
        return replace(fact, subject=learnt[uid])
    return fact


def mark_boots(facts: Sequence[Fact]) -> list[Fact]:
    """Add a BOOT fact wherever the journal goes on under another boot id.

    The kernel's own lines do not count: a restarted journald may read an older ring buffer again.
    """
    speaking = [f for f in facts if f.boot and f.at_s is not None and f.source != "kernel"]
    speaking.sort(key=lambda fact: fact.at_s or 0.0)
    marks: list[Fact] = []
    seen: set[str] = set()
    for fact in speaking:
        if fact.boot not in seen and seen:
            marks.append(_boot(fact))
        seen.add(fact.boot)
    return [*facts, *marks]


def _boot(first: Fact) -> Fact:
    return Fact(
        kind=Kind.BOOT,
        at_s=first.at_s,
        subject=Subject(SubjectKind.NODE, first.detail.get("node", "")),
        source=first.source,
        trust=Trust(first.trust),
        text=f"the journal continues under boot id {first.boot}",
        where=first.where,
        boot=first.boot,
    )
