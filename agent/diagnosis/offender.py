"""Whose load, or whose act, made it necessary; and by which method that was found."""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.busiest import busiest_process, narrowed
from agent.diagnosis.case import Case
from agent.diagnosis.shares import BASELINE_S, FAIR_SHARE, LOOK_BACK_S, Mover, largest_mover
from agent.model import BACKUP_OF, Cause, Fact, Kind, Offender, Pod, SubjectKind

__all__ = ["BASELINE_S", "FAIR_SHARE", "LOOK_BACK_S", "find_offender"]

ANNOUNCED = "announcement"
_SEEN_EVERY_S = 90.0  # a running backup is stated every minute


def find_offender(case: Case, cause: Cause, pods: Sequence[Pod] = ()) -> Offender | None:
    """Return the offender, or None when nothing shows one; ``pods`` lend their images' names."""
    if cause in (Cause.IO_SATURATION, Cause.VOLUME_THROTTLED, Cause.MEMORY_PRESSURE):
        found = _of_load(case, largest_mover(case, cause), pods)
        if found is not None:
            return narrowed(case, found)
        return busiest_process(case, cause, pods)
    if cause is Cause.CPU_STARVATION:
        return _named(largest_mover(case, cause))
    if cause is Cause.CONTAINER_OOM:
        return _outgrown(case)
    if cause is Cause.PLANNED_RESTART:
        return _changed(case)
    return None


def _of_load(case: Case, mover: Mover | None, pods: Sequence[Pod]) -> Offender | None:
    """The mover; but whoever reads out a base backup does it for the backup."""
    if mover is None:
        return None
    here = (mover.owner.namespace, mover.owner.name)
    image = next((pod.image_hint for pod in pods if (pod.namespace, pod.name) == here), "")
    backup = _backup_behind(case, mover, image)
    return _backup(backup, mover) if backup else _named(mover)


def _named(mover: Mover | None) -> Offender | None:
    if mover is None:
        return None
    owner = mover.owner
    return Offender(str(owner.kind), owner.name, owner.namespace, mover.method)


def _backup_behind(case: Case, mover: Mover, image: str) -> Fact | None:
    """The backup whose work this load is: its own pod's, or that of the Postgres it reads from.

    A backup announces which node it loads, not which pod it reads from: so the mover must look
    like a Postgres, or be the backup. A walsender's title names the pod it runs in.
    """
    running = [fact for fact in case.of(Kind.BACKUP_RUNNING) if _in_time(case, fact)]
    owner = mover.owner
    announced = [fact for fact in running if fact.source == ANNOUNCED]
    titled = [
        fact
        for fact in running
        if fact.source != ANNOUNCED
        and (fact.detail.get("pod_uid") or fact.detail.get("unit")) in (owner.uid, owner.name)
    ]
    for fact in announced:
        own = fact.subject.kind is SubjectKind.POD and fact.subject.name == owner.name
        if own or titled or _looks_like_postgres(owner.name, image):
            return fact
    return titled[0] if titled else None


def _in_time(case: Case, fact: Fact) -> bool:
    if case.pivot_s is None or fact.at_s is None:
        return False
    began_s = float(fact.detail.get("began_s") or fact.at_s)
    return began_s <= case.pivot_s <= fact.at_s + _SEEN_EVERY_S


def _looks_like_postgres(name: str, image: str) -> bool:
    words = f"{name} {image}".lower().replace("/", "-").replace(":", "-").split("-")
    known = ("postgres", "pg", "postgresql", "patroni", "spilo", "cnpg", "timescaledb")
    return any(word.startswith(("postgres", "patroni")) or word in known for word in words)


def _backup(fact: Fact, mover: Mover) -> Offender:
    read = (
        f"{mover.owner.namespace}/{mover.owner.name}"
        if mover.owner.namespace
        else (mover.owner.name)
    )
    tool = fact.detail.get("tool", "a base backup")
    if fact.source == ANNOUNCED and fact.subject.kind is SubjectKind.POD:
        method = f"announced itself ({tool}); its data is read by {read}, which {mover.method}"
        if fact.subject.name == mover.owner.name:
            method = f"announced itself ({tool}); {mover.method}"
        return Offender("pod", fact.subject.name, fact.subject.namespace, method)
    how = "announced itself" if fact.source == ANNOUNCED else "seen by a walsender's title"
    return Offender("process", f"{BACKUP_OF}{read}", "", f"{how} ({tool}); {read} {mover.method}")


def _outgrown(case: Case) -> Offender | None:
    kills = case.of(
        Kind.OOM_AT_LIMIT, Kind.OOM_KILL, Kind.CONTAINER_OOM, Kind.OOM_IN_MEMCG, Kind.OOM_INVOKED
    )
    for fact in kills:
        if fact.subject.kind is SubjectKind.POD and fact.subject.name:
            return Offender("pod", fact.subject.name, fact.subject.namespace, "its own limit")
    for fact in kills:
        if comm := fact.detail.get("comm"):
            return Offender("process", comm, method="named by the kernel")
    return None


def _changed(case: Case) -> Offender | None:
    for fact in case.of(Kind.PACKAGE_CHANGED):
        if package := fact.detail.get("package"):
            return Offender("package", package, method="package log")
    for fact in case.of(Kind.OPERATOR_ACTS):
        if actor := fact.detail.get("actor"):
            return Offender("process", actor, method="says so itself")
    return None
