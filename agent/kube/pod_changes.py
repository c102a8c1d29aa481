"""What changed about a pod between two looks at it, and what that says. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from agent.model import Fact, Kind, Pod, Subject, SubjectKind, Trust
from agent.sources.kubectl import pods_of
from agent.sources.object_facts import pod_facts
from agent.sources.stamps import iso_s
from agent.sources.untyped import mapping, objects, text, whole

Object = Mapping[str, object]
_WHERE = "pods of this node"
_OF_A_SANDBOX = frozenset({Kind.SANDBOX_CHANGED, Kind.SANDBOX_LOST})
_SANDBOX_READY = "PodReadyToStartContainers"  # KEP-3085: beta and on since 1.29


class Change(StrEnum):
    """What happened to a pod."""

    ADDED = "added"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The condition that says whether the pod's sandbox stands, and since when."""

    ready: bool
    since_s: float | None


@dataclass(frozen=True, slots=True)
class PodLook:
    """All that is kept of a pod object: what names it, and what it says happened."""

    pod: Pod
    version: str
    facts: tuple[Fact, ...]
    sandbox: Sandbox | None = None
    had_containers: bool = False
    leaving: bool = False  # being deleted, or finished: a sandbox that goes is no surprise
    told_of: Sandbox | None = None  # the state of the sandbox that a fact has told already

    @property
    def key(self) -> str:
        """What tells this pod from another one of the same name."""
        return self.pod.uid or f"{self.pod.namespace}/{self.pod.name}"


@dataclass(frozen=True, slots=True)
class PodChange:
    """One change of one pod with the facts that are new in it."""

    change: Change
    pod: Pod
    facts: tuple[Fact, ...]
    version: str


def look(thing: Object) -> PodLook:
    """Keep of a pod object what is needed, and let the rest go."""
    pod = replace(pods_of((thing,))[0], replicas_hint=0)  # other nodes may hold more
    deletion = _deletion(thing, pod)
    sandbox = _sandbox(thing)
    stateless = _recreated_before_we_looked(thing, pod, sandbox)
    return PodLook(
        pod=pod,
        version=text(thing, "metadata", "resourceVersion"),
        facts=(*pod_facts(thing, _WHERE), *deletion, *stateless),
        sandbox=sandbox,
        had_containers=_had_containers(thing),
        leaving=bool(deletion) or text(thing, "status", "phase") in ("Succeeded", "Failed"),
    )


def between(before: PodLook | None, now: PodLook) -> tuple[PodChange | None, PodLook]:
    """The change from one look to the next, if any, and the look to compare the next one with."""
    if before is None:
        return PodChange(Change.ADDED, now.pod, now.facts, now.version), _having_told(
            now, now.facts
        )
    if before.version == now.version:
        return None, before
    flip = _flip(before, now)
    fresh = _fresh((*now.facts, *flip), before.facts)
    if before.told_of is not None and before.told_of == now.sandbox:
        fresh = tuple(fact for fact in fresh if fact.kind not in _OF_A_SANDBOX)
        remembered = replace(now, told_of=before.told_of)
    else:
        remembered = _having_told(now, fresh)
    return PodChange(Change.CHANGED, now.pod, fresh, now.version), remembered


def _having_told(now: PodLook, facts: tuple[Fact, ...]) -> PodLook:
    told = any(fact.kind in _OF_A_SANDBOX for fact in facts)
    return replace(now, told_of=now.sandbox) if told else now


def _fresh(facts: tuple[Fact, ...], seen: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Facts not seen before, each once: a flip and a container's end may both show one sandbox."""
    known = {_key(fact) for fact in seen}
    by_key = {_key(fact): fact for fact in reversed(facts)}
    return tuple(fact for key, fact in reversed(by_key.items()) if key not in known)


def gone(before: PodLook, last: PodLook | None, now_s: float) -> PodChange:
    """The deletion of a pod: ``last`` is its final state, ``None`` when nobody saw it go."""
    final = last or before
    facts = list(_fresh(final.facts, before.facts))
    if not any(fact.kind is Kind.POD_DELETED for fact in (*before.facts, *final.facts)):
        how = "removed at once" if last else "gone when the pods were read again"
        facts.append(_fact(Kind.POD_DELETED, now_s, final.pod, f"pod {how}"))
    return PodChange(Change.DELETED, final.pod, tuple(facts), final.version)


def _key(fact: Fact) -> tuple[str, ...]:
    """Two facts with one key say the same; a deletion's time may still move, so it has no part."""
    at = "" if fact.kind is Kind.POD_DELETED else str(fact.at_s)
    told = (fact.detail.get(name, "") for name in ("container", "container_id", "reason"))
    return (fact.kind, at, *told)


def _sandbox(thing: Object) -> Sandbox | None:
    for condition in objects(thing, "status", "conditions"):
        if text(condition, "type") == _SANDBOX_READY:
            since_s = iso_s(condition.get("lastTransitionTime"))
            return Sandbox(text(condition, "status") == "True", since_s)
    return None


def _statuses(thing: Object) -> Iterator[Object]:
    for group in ("initContainerStatuses", "containerStatuses"):
        yield from objects(thing, "status", group)


def _had_containers(thing: Object) -> bool:
    return any(text(one, "containerID") or whole(one, "restartCount") for one in _statuses(thing))


def _recreated_before_we_looked(
    thing: Object, pod: Pod, sandbox: Sandbox | None
) -> tuple[Fact, ...]:
    """A container that ended before its sandbox was made lived in another sandbox."""
    if sandbox is None or not sandbox.ready or sandbox.since_s is None:
        return ()
    ends_s = (
        iso_s(mapping(one, state, "terminated").get("finishedAt"))
        for one in _statuses(thing)
        for state in ("lastState", "state")
    )
    if not any(end_s is not None and 0 < end_s < sandbox.since_s for end_s in ends_s):
        return ()
    return (_recreated(pod, sandbox),)


def _flip(before: PodLook, now: PodLook) -> tuple[Fact, ...]:
    """What the sandbox condition says by having changed."""
    if before.sandbox is None or now.sandbox is None or now.sandbox == before.sandbox:
        return ()
    if now.sandbox.ready:
        return (_recreated(now.pod, now.sandbox),) if before.had_containers else ()
    if not before.sandbox.ready or now.leaving:
        return ()
    said = f"{_SANDBOX_READY} became False: the pod has no sandbox"
    return (_fact(Kind.SANDBOX_LOST, now.sandbox.since_s, now.pod, said),)


def _recreated(pod: Pod, sandbox: Sandbox) -> Fact:
    said = f"{_SANDBOX_READY} became True again: the sandbox was re-created"
    return _fact(Kind.SANDBOX_CHANGED, sandbox.since_s, pod, said)


def _deletion(thing: Object, pod: Pod) -> tuple[Fact, ...]:
    """That somebody asked for the pod's deletion, and when: its stamp lies a grace period later."""
    meta = mapping(thing, "metadata")
    due_s = iso_s(meta.get("deletionTimestamp"))
    if due_s is None:
        return ()
    grace_s = whole(meta, "deletionGracePeriodSeconds") or 0
    reason = text(thing, "status", "reason")
    for condition in objects(thing, "status", "conditions"):
        if text(condition, "type") == "DisruptionTarget":
            reason = text(condition, "reason") or reason
    said = f"deletion asked for ({reason})" if reason else "deletion asked for"
    fact = _fact(Kind.POD_DELETED, due_s - grace_s, pod, said)
    detail = {"grace_s": str(grace_s), "because": reason}
    return (replace(fact, detail={key: value for key, value in detail.items() if value}),)


def _fact(kind: Kind, at_s: float | None, pod: Pod, said: str) -> Fact:
    subject = Subject(SubjectKind.POD, pod.name, pod.namespace, pod.uid)
    return Fact(kind, at_s, subject, "pods", Trust.TRUSTED, said, where=_WHERE)
