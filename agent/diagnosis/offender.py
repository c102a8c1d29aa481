"""Whose load, or whose act, made it necessary; and by which method that was found."""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.case import Case
from agent.diagnosis.causes.pressure import BEFORE_S
from agent.model import Cause, Kind, Offender, Sample, Subject, SubjectKind

FAIR_SHARE = 0.5
"""Whoever moved less than half of the bytes is not named."""

LOOK_BACK_S = 4 * BEFORE_S


def find_offender(case: Case, cause: Cause) -> Offender | None:
    """Return the offender, or None when nothing shows one."""
    if cause in (Cause.IO_SATURATION, Cause.VOLUME_THROTTLED, Cause.MEMORY_PRESSURE):
        return _largest_mover(case)
    if cause is Cause.CONTAINER_OOM:
        return _outgrown(case)
    if cause is Cause.PLANNED_RESTART:
        return _changed(case)
    return None


def _largest_mover(case: Case) -> Offender | None:
    if case.pivot_s is None:
        return None
    inside = [
        s
        for s in case.samples
        if case.pivot_s - LOOK_BACK_S <= s.at_s <= case.pivot_s and s.cgroups
    ]
    if len(inside) < 2:
        return None
    moved = _moved_bytes(inside)
    total = sum(moved.values())
    if not total:
        return None
    owner, most = max(moved.items(), key=lambda item: item[1])
    if most < FAIR_SHARE * total:
        return None
    span_s = inside[-1].at_s - inside[0].at_s
    method = (
        f"moved {100 * most / total:.0f} % of all bytes ({most / span_s / 1e6:.0f} MB/s) in the "
        f"{span_s:.0f} s before, by cgroup counters"
    )
    return Offender(str(owner.kind), owner.name, owner.namespace, method)


def _moved_bytes(samples: Sequence[Sample]) -> dict[Subject, int]:
    first = {g.owner: g.read_bytes + g.write_bytes for g in samples[0].cgroups}
    last = {g.owner: g.read_bytes + g.write_bytes for g in samples[-1].cgroups}
    return {owner: max(end - first.get(owner, end), 0) for owner, end in last.items()}


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
