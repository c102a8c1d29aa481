"""Who pulled the trigger: found apart from the cause, from the first thing that ended something."""

from __future__ import annotations

import re
from collections.abc import Callable

from agent.diagnosis.case import Case, is_kubelet, is_runtime
from agent.diagnosis.causes.runtime import died_of_own_signal
from agent.model import Cause, Fact, Killer, KillerKind, Kind
from agent.rules.roles import Role, role_of

LOCKED_UP = re.compile(r"(?i)lockup|hung_?task|blocked tasks|watchdog")
"""A panic that the kernel's own watchdogs asked for (kernel.*_panic, nmi_watchdog)."""

MAY_BE_OOM = frozenset(
    {
        Cause.CONTAINER_OOM,
        Cause.MEMORY_PRESSURE,
        Cause.RUNTIME_CRASH,
        Cause.RUNTIME_HANG,
        Cause.KUBELET_RESTART,
        Cause.UNKNOWN,
    }
)


def find_killer(case: Case, cause: Cause) -> Killer | None:
    """Return the automatic or human killer that the facts name, or None."""
    for find in FINDERS:
        killer = find(case, cause)
        if killer is not None:
            return killer
    return None


def _killer(kind: KillerKind, facts: tuple[Fact, ...], name: str) -> Killer:
    return Killer(kind, name, next((f.at_s for f in facts if f.at_s is not None), None))


def _monitor(case: Case, _cause: Cause) -> Killer | None:
    kills = case.killed_by_monitor or case.of(Kind.MONITOR_KILLS_KUBELET)
    if kills:
        return _killer(KillerKind.HEALTH_MONITOR, kills, _monitor_name(kills[0]))
    failed = case.of(Kind.KUBELET_UNHEALTHY)
    if failed and case.has(Kind.UNIT_EXITED, Kind.KUBELET_PANIC, where=is_kubelet):
        return _killer(KillerKind.HEALTH_MONITOR, failed, "kubelet health check")
    return None


def _monitor_name(kill: Fact) -> str:
    """The unit that spoke says it best; pasted text may only have the rule's name for it."""
    speaker = kill.detail.get("speaker", "").removesuffix(".service")
    by_role = speaker if role_of(speaker) & Role.MONITOR else ""
    return by_role or kill.detail.get("monitor", "") or "health monitor"


def _watchdog(case: Case, _cause: Cause) -> Killer | None:
    bites = case.of(Kind.WATCHDOG_TIMEOUT)
    if not bites:
        return None
    return _killer(KillerKind.WATCHDOG, bites, f"systemd watchdog of {bites[0].subject.name}")


def _reboot(case: Case, cause: Cause) -> Killer | None:
    if cause is not Cause.NODE_REBOOT:
        return None
    faults = case.of(Kind.KERNEL_FAULT)
    shutdowns = case.of(Kind.SHUTDOWN)
    asked = case.of(Kind.OPERATOR_ACTS, Kind.REBOOT_REQUIRED, Kind.DRAIN, Kind.SCALE_DOWN)
    if case.has(Kind.CORDON) and not asked:  # closed and emptied, then switched off
        asked = case.of(Kind.POD_EVICTED_BY_API)
    if shutdowns:
        return _killer(KillerKind.OPERATOR, shutdowns, "ordered shutdown")
    if any(LOCKED_UP.search(f.text) for f in faults):
        return _killer(KillerKind.WATCHDOG, faults, "the kernel's watchdog")
    if faults:
        return _killer(KillerKind.CRASH, faults, "kernel")
    if asked:
        return _killer(KillerKind.OPERATOR, asked, _actor(asked) or "reboot on request")
    boots = case.of(Kind.BOOT)
    return _killer(KillerKind.POWER, boots, "no shutdown on record") if boots else None


def _out_of_memory(case: Case, cause: Cause) -> Killer | None:
    if cause not in MAY_BE_OOM:
        return None
    kills = case.of(
        Kind.OOM_KILL,
        Kind.OOM_AT_LIMIT,
        Kind.UNIT_OOM,
        Kind.CONTAINER_OOM,
        Kind.OOM_INVOKED,
        Kind.SYSTEM_OOM,
        Kind.OOM_NODE_WIDE,
        Kind.OOM_TASK,
    )
    if kills:
        return _killer(KillerKind.OOM_KILLER, kills, "kernel OOM killer")
    daemon = case.of(Kind.OOMD_KILL)
    return _killer(KillerKind.OOM_KILLER, daemon, "systemd-oomd") if daemon else None


def _eviction(case: Case, cause: Cause) -> Killer | None:
    if cause not in (Cause.DISK_FULL, Cause.MEMORY_PRESSURE, Cause.UNKNOWN):
        return None
    evicted = case.of(Kind.POD_EVICTED_FOR_PRESSURE)
    return _killer(KillerKind.EVICTION, evicted, "kubelet eviction manager") if evicted else None


def _operator(case: Case, cause: Cause) -> Killer | None:
    if cause not in (Cause.PLANNED_RESTART, Cause.NODE_DRAIN):
        return None
    acts = case.of(
        Kind.OPERATOR_ACTS,
        Kind.PACKAGE_CHANGED,
        Kind.DRAIN,
        Kind.SCALE_DOWN,
        Kind.CORDON,
        Kind.POD_EVICTED_BY_API,
    )
    stops = case.of(Kind.UNIT_STOPPING, where=lambda f: is_runtime(f) or is_kubelet(f))
    facts = tuple(sorted((*acts, *stops), key=lambda f: f.at_s or 0.0))
    if not facts:
        return None
    return _killer(KillerKind.OPERATOR, facts, _actor(acts) or _what_operator(cause))


def _what_operator(cause: Cause) -> str:
    return "systemctl or a package script" if cause is Cause.PLANNED_RESTART else "Eviction API"


def _actor(facts: tuple[Fact, ...]) -> str:
    return next((f.detail["actor"] for f in facts if f.detail.get("actor")), "")


def _probe(case: Case, _cause: Cause) -> Killer | None:
    kills = case.of(Kind.PROBE_KILLS_CONTAINER)
    return _killer(KillerKind.LIVENESS_PROBE, kills, "liveness probe") if kills else None


def _crash(case: Case, cause: Cause) -> Killer | None:
    if cause not in (Cause.RUNTIME_CRASH, Cause.KUBELET_RESTART):
        return None
    crashes = case.of(Kind.RUNTIME_PANIC, Kind.KUBELET_PANIC, Kind.CORE_DUMP)
    exits = tuple(f for f in case.of(Kind.UNIT_EXITED) if died_of_own_signal(f))
    facts = crashes or exits
    return _killer(KillerKind.CRASH, facts, facts[0].subject.name) if facts else None


FINDERS: tuple[Callable[[Case, Cause], Killer | None], ...] = (
    _monitor,
    _watchdog,
    _reboot,
    _crash,
    _out_of_memory,
    _eviction,
    _operator,
    _probe,
)
