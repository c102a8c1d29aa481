"""The kubelet went down and the runtime did not: pods live on, probes and status stop."""

from __future__ import annotations

import re

from agent.diagnosis.case import Case, is_kubelet
from agent.diagnosis.causes.runtime import died_of_own_signal
from agent.diagnosis.openers import AGAIN_AND_AGAIN
from agent.diagnosis.weigh import (
    FAIR,
    HINT,
    STRONG,
    WEAK,
    borne_out,
    hypothesis,
    of_strength,
    reason,
)
from agent.model import Cause, Evidence, Hypothesis, Kind

ONLY_A_CODE = re.compile(r"\b(?:exit(?:ed)?(?: with)? )?(?:code|status)[ =:]*\d+\W*$")
"""Who writes this saw the end, and knows no reason for it."""

CRASH_SHOWS = (
    Kind.UNIT_EXITED,
    Kind.UNIT_FAILED,
    Kind.UNIT_RESTART_SCHEDULED,
    Kind.CORE_DUMP,
    Kind.KUBELET_FATAL,
    Kind.NODE_NOT_READY,
)

ENDS_THE_NODE = (
    Kind.KERNEL_FAULT,
    Kind.DRAIN,
    Kind.SCALE_DOWN,
    Kind.RUNTIME_DOWN,
    Kind.RUNTIME_SLOW,
    Kind.CNI_NOT_READY,
)
"""What makes a node not ready besides a kubelet that started anew."""


def kubelet_restart(case: Case) -> Hypothesis | None:
    """The kubelet crashed, was killed, or keeps restarting."""
    evidence: list[Evidence] = []
    panics = case.of(Kind.KUBELET_PANIC)
    kills = case.of(Kind.MONITOR_KILLS_KUBELET)
    watchdog = case.of(Kind.WATCHDOG_TIMEOUT, Kind.WATCHDOG_WITHHELD, where=is_kubelet)
    fatal = case.of(Kind.KUBELET_FATAL)
    if panics and not watchdog:  # the watchdog's SIGABRT prints a stack too
        evidence.append(reason(STRONG, "the kubelet's own log says that it crashed", panics))
        evidence.extend(borne_out(panics, case.of(*CRASH_SHOWS)))
    if dumps := case.of(Kind.CORE_DUMP, where=is_kubelet):
        evidence.append(reason(STRONG, "the kubelet left a core dump", dumps))
    if kills:
        evidence.append(reason(STRONG, "a health monitor killed the kubelet", kills))
    if watchdog:
        evidence.append(reason(STRONG, "the kubelet did not feed its watchdog", watchdog))
    reasons = tuple(f for f in fatal if not ONLY_A_CODE.search(f.text))
    silent = {f.text for f in case.of(Kind.RUNTIME_DOWN)}
    runtime = tuple(f for f in reasons if f.text in silent)
    if runtime and len(runtime) == len(reasons):
        says = "the kubelet found no runtime to talk to, and would not run without"
        evidence.append(reason(WEAK, says, runtime))
    elif reasons:
        evidence.append(reason(FAIR, "the kubelet refuses to run, with a reason", reasons))
    elif fatal:
        says = "the kubelet ends again and again, with nothing but an exit code"
        evidence.append(reason(WEAK - 0.05, says, fatal))
    evidence.extend(_unit_ends(case))
    evidence.extend(_starts(case))
    if evidence and case.killed_by_monitor:
        evidence.append(
            reason(-0.6, "the runtime was killed, not only the kubelet", case.killed_by_monitor)
        )
    return hypothesis(Cause.KUBELET_RESTART, evidence)


def _stopped_and_started(case: Case) -> list[Evidence]:
    stopped = case.of(Kind.UNIT_STOPPED, where=is_kubelet)
    started = case.of(Kind.UNIT_STARTED, Kind.UNIT_STARTING, where=is_kubelet)
    if stopped and started and not case.rebooted:
        says = "systemd stopped the kubelet and started it, without a word of failure"
        return [reason(FAIR + 0.05, says, (*stopped, *started))]
    return []


def _starts(case: Case) -> list[Evidence]:
    starts = case.of(Kind.KUBELET_STARTED)
    if told := of_strength("strong", starts):
        says = "the kubelet speaks as one that has only just started"
        return [reason(FAIR + 0.05, says, told)]
    if not starts:
        return []
    if sum(fact.count for fact in starts) >= AGAIN_AND_AGAIN:
        return [reason(FAIR + 0.05, "the kubelet started again and again", starts)]
    flapped = case.of(Kind.NODE_NOT_READY)
    if flapped and not case.rebooted and not case.has(*ENDS_THE_NODE):
        says = "the kubelet started anew, and the node was not ready for it"
        return [reason(FAIR + 0.05, says, (*starts, *flapped))]
    return [reason(HINT, "the kubelet started anew", starts)]


def _unit_ends(case: Case) -> list[Evidence]:
    deaths = tuple(
        f
        for f in case.of(Kind.UNIT_EXITED, Kind.UNIT_FAILED, Kind.UNIT_ENDED_CLEAN)
        if is_kubelet(f)
    )
    if not deaths:
        return _stopped_and_started(case)
    stopped_on_purpose = case.has(Kind.UNIT_STOPPING, where=is_kubelet)
    if any(died_of_own_signal(f) for f in deaths):
        return [reason(STRONG, "the kubelet ended by a signal that a crash raises", deaths)]
    if any(
        "kill" in f.detail.get("code", "") or "signal" in f.detail.get("result", "") for f in deaths
    ):
        return [reason(FAIR + 0.1, "somebody killed the kubelet", deaths)]
    if stopped_on_purpose:
        return [reason(HINT, "the kubelet was stopped", deaths)]
    if any(f.kind is Kind.UNIT_ENDED_CLEAN for f in deaths):
        return [reason(FAIR + 0.05, "the kubelet ended although nobody asked systemd to", deaths)]
    return [reason(WEAK - 0.05, "the kubelet ended with an error code", deaths)]
