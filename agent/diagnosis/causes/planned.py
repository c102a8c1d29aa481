"""Work that somebody meant to do: a restart, an upgrade, a drain (docs/causes.md)."""

from __future__ import annotations

import re

from agent.diagnosis.case import Case, is_kubelet, is_runtime
from agent.diagnosis.weigh import FAIR, HINT, STRONG, WEAK, hypothesis, reason
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind

PACKAGE_TO_STOP_S = 900.0
"""needrestart and maintainer scripts stop a unit within minutes of unpacking its package."""

AT_ONCE_S = 30.0

BY_CLIENT = "systemctl kill"
"""Monitors end what hangs that way too; but what hangs does not take its leave in order."""

UNKILLABLE = "docker-kill-slow"

NAMES_RUNTIME = re.compile(r"\b(?:docker(?:-ce|-engine|\.io)?|containerd(?:\.io)?|cri-o|moby\S*)\b")
WHEN_IT_STOPS = (
    Kind.RUNTIME_STOPPED,
    Kind.RUNTIME_SLOW,
    Kind.SHIM_LOST,
    Kind.CONTAINER_EXITED,
    Kind.CONTAINER_KILLING,
    Kind.SANDBOX_CHANGED,
    Kind.SIGNAL_RECEIVED,
)

JOBS = (Kind.UNIT_STOPPING,)


def planned_restart(case: Case) -> Hypothesis | None:
    """PID 1 was asked to stop the runtime or kubelet, or somebody says that they restart it."""
    stops = case.of(*JOBS, where=lambda f: is_runtime(f) or is_kubelet(f))
    packages = case.of(Kind.PACKAGE_CHANGED)
    acts = case.of(Kind.OPERATOR_ACTS)
    evidence: list[Evidence] = []
    if stops:
        evidence.append(
            reason(
                STRONG,
                "systemd was asked to stop the unit: a job, not a failure",
                stops,
            )
        )
    if case.met_at_work:
        says = "a health monitor met the pause, and killed what was coming up"
        evidence.append(reason(HINT, says, case.met_at_work))
    if acts:
        evidence.append(reason(STRONG, "somebody says that they restart or reconfigure it", acts))
    if packages:
        near = not stops or any(case.soon_after(packages, s, PACKAGE_TO_STOP_S) for s in stops)
        if near:
            weight = FAIR if stops or acts else WEAK
            evidence.append(reason(weight, "packages were changed just before", packages))
            evidence.extend(_own_package(case, packages) if not stops and not acts else ())
    if not stops and not acts:
        evidence.extend(_stop_and_go(case))
    evidence.extend(_against_planned(case, stops))
    return hypothesis(Cause.PLANNED_RESTART, evidence)


def _own_package(case: Case, packages: tuple[Fact, ...]) -> list[Evidence]:
    """A package of the runtime, and containers that ended: its script restarts the daemon."""
    own = tuple(f for f in packages if NAMES_RUNTIME.search(f.text))
    ended = case.of(*WHEN_IT_STOPS)
    if own and ended:
        says = "the package is the runtime's own, and containers were ended"
        return [reason(WEAK, says, (*own, *ended))]
    return []


def _stop_and_go(case: Case) -> list[Evidence]:
    """A daemon that took leave in order and was back at once: somebody restarted it."""
    leaves = case.of(Kind.RUNTIME_STOPPED)
    ended = case.of(Kind.UNIT_ENDED_CLEAN, where=is_runtime)
    back = case.of(Kind.RUNTIME_STARTED, Kind.UNIT_STARTED, Kind.UNIT_STARTING, where=is_runtime)
    at_once = tuple(f for f in back if case.soon_after(leaves, f, AT_ONCE_S))
    asked = case.of(Kind.SIGNAL_RECEIVED, where=lambda f: f.detail.get("actor") == BY_CLIENT)
    if asked and leaves and not case.has(Kind.MONITOR_WORKS):
        says = "a client of systemd asked for its end, and it shut down in order"
        return [reason(FAIR + 0.05, says, (*asked, *leaves))]
    told = case.of(Kind.SIGNAL_RECEIVED, where=_is_polite)
    if leaves and (ended or told) and at_once:
        says = "the daemon shut down in order, when asked to, and was started again at once"
        return [reason(FAIR + 0.05, says, (*leaves, *ended, *told, *at_once))]
    return []


def _is_polite(signal: Fact) -> bool:
    return signal.detail.get("signal", "").lower() in {"terminated", "term", "interrupt", "int"}


def _against_planned(case: Case, stops: tuple[Fact, ...]) -> list[Evidence]:
    against = []
    asked = tuple(f for f in case.killed_by_monitor if f.kind is Kind.MONITOR_RESTARTS_RUNTIME)
    killed = tuple(f for f in case.killed_by_monitor if f.kind is Kind.MONITOR_KILLS_RUNTIME)
    if asked:
        against.append(reason(-0.8, "a health monitor asked for that restart", asked))
    if killed:
        against.append(reason(-0.6, "a health monitor killed it in the same minutes", killed))
    failed = case.of(
        Kind.RUNTIME_PANIC,
        Kind.KUBELET_PANIC,
        Kind.CERT_INVALID,
        Kind.CONFIG_MISMATCH,
        Kind.DISK_ERROR,
        where=lambda f: not case.is_late(f),
    ) or case.of(Kind.SYMPTOM, where=_is_last_words)
    if failed:
        against.append(reason(-0.3, "something fails by itself, restarted or not", failed))
    hung = case.of(
        Kind.SYMPTOM,
        Kind.RUNTIME_LOCKED,
        where=lambda f: _says_it_hung(f) and not case.is_late(f),
    )
    if hung and not case.has(Kind.OPERATOR_ACTS, Kind.PACKAGE_CHANGED):
        says = "somebody says that it hung or crashed; whoever stopped it may have acted on that"
        against.append(reason(-0.4, says, hung))
    stuck = case.of(Kind.RUNTIME_SLOW, where=lambda f: f.rule == UNKILLABLE)
    if stuck and stops and not case.has(Kind.OPERATOR_ACTS, Kind.PACKAGE_CHANGED):
        says = "it could not end a container before; a check or a person may have acted on that"
        against.append(reason(-0.4, says, stuck))
    timeouts = case.of(Kind.UNIT_STOP_TIMEOUT)
    if timeouts and not stops:
        against.append(reason(-0.3, "it did not stop when asked", timeouts))
    return against


def _says_it_hung(fact: Fact) -> bool:
    if fact.kind is Kind.RUNTIME_LOCKED:
        return True
    ill = fact.detail.get("cause") in (Cause.RUNTIME_HANG, Cause.RUNTIME_CRASH)
    return ill and fact.detail.get("strength") == "fair"


def _is_last_words(fact: Fact) -> bool:
    return fact.detail.get("strength") == "strong"


def node_drain(case: Case) -> Hypothesis | None:
    """The node was emptied through the API: drain, scale-down, disruption, spot notice."""
    evidence: list[Evidence] = []
    drains = case.of(Kind.DRAIN)
    scale_downs = case.of(Kind.SCALE_DOWN)
    cordons = case.of(Kind.CORDON)
    evictions = case.of(Kind.POD_EVICTED_BY_API)
    if drains:
        evidence.append(reason(STRONG, "a drain of the node is recorded", drains))
    if scale_downs:
        evidence.append(reason(STRONG, "an autoscaler removes the node", scale_downs))
    if cordons:
        evidence.append(reason(FAIR, "the node was marked unschedulable", cordons))
    if evictions:
        by_name = any(f.detail.get("actor") for f in evictions)
        weight = FAIR + 0.1 if by_name else WEAK
        evidence.append(reason(weight, "pods were evicted through the API", evictions))
    leaving = case.of(Kind.CONTAINER_KILLING, Kind.POD_DELETED, Kind.POD_GIVEN_UP)
    if (cordons or scale_downs) and leaving:
        evidence.append(reason(WEAK, "pods were stopped while the node was closed", leaving))
    if evidence and case.runtime_deaths and not drains:
        evidence.append(reason(-0.4, "the runtime itself went down", case.runtime_deaths))
    if evidence and case.killed_by_monitor:
        evidence.append(reason(-0.7, "a health monitor killed the runtime", case.killed_by_monitor))
    return hypothesis(Cause.NODE_DRAIN, evidence)
