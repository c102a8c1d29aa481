"""The node as a whole: it went down and came back, or had no processor time to give."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.diagnosis.case import Case
from agent.diagnosis.causes.idle_runtime import used_no_processor_s
from agent.diagnosis.causes.pressure import cpu_evidence
from agent.diagnosis.weigh import (
    DECISIVE,
    FAIR,
    HINT,
    STRONG,
    WEAK,
    hypothesis,
    of_strength,
    reason,
)
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind, Trust
from agent.rules.roles import Role, role_of

KEEPS_PODS = Role.RUNTIME | Role.KUBELET | Role.CONTROL_PLANE

ONLY_WISHED = re.compile(r"\b(?:[Rr]eboot|restart) required\b|\breboot-required\b")
"""Said of every look, also where an alert, a window or another node's lock stands in the way."""


def node_reboot(case: Case) -> Hypothesis | None:
    """A new boot id, a kubelet that says so, a shutdown on record, or a kernel that gave up."""
    evidence: list[Evidence] = []
    boots = case.of(Kind.BOOT, where=lambda boot: _goes_on(case, boot))
    rebooted = case.of(Kind.NODE_REBOOTED)
    shutdowns = case.of(Kind.SHUTDOWN)
    faults = case.of(Kind.KERNEL_FAULT)
    required = case.of(Kind.REBOOT_REQUIRED)
    if boots:
        evidence.append(reason(DECISIVE, "the journal continues under another boot id", boots))
    if rebooted:
        evidence.append(reason(DECISIVE, "the kubelet reports a new boot id", rebooted))
    if shutdowns:
        evidence.append(reason(STRONG, "the node was told to shut down", shutdowns))
    if faults:
        evidence.append(reason(STRONG - 0.05, "the kernel itself failed", faults))
    if required:
        wished = all(ONLY_WISHED.search(f.text) for f in required)
        evidence.append(reason(WEAK if wished else FAIR, "a reboot was asked for", required))
        if case.has(Kind.DRAIN):
            evidence.append(reason(FAIR, "and the node drained for it", case.of(Kind.DRAIN)))
    return hypothesis(Cause.NODE_REBOOT, evidence)


def _goes_on(case: Case, boot: Fact) -> bool:
    """A boot is news only where something came before it: every pasted dmesg starts with one."""
    if boot.trust is Trust.TRUSTED or boot.detail.get("what") == "mark":
        return True
    return any(
        f.at_s is not None and boot.at_s is not None and f.at_s < boot.at_s - 1.0
        for f in case.facts
    )


def _keepers_stood_still(stalls: Sequence[Fact]) -> list[Evidence]:
    """Several processors at once, and one of them had the kubelet or the runtime on it."""
    keepers = tuple(f for f in stalls if role_of(f.detail.get("comm", "")) & KEEPS_PODS)
    processors = {f.detail["cpu"] for f in stalls if "cpu" in f.detail}
    if keepers and len(processors) > 1:
        return [
            reason(
                HINT, "the kubelet, the runtime or the control plane stood still on one", keepers
            )
        ]
    return []


def cpu_starvation(case: Case) -> Hypothesis | None:
    """Tasks that were ready to run did not get to run, throttled cgroups left aside."""
    evidence: list[Evidence] = list(cpu_evidence(case))
    starved = case.of(Kind.CPU_STARVED)
    stalls = case.of(Kind.CPU_STALL)
    told = of_strength("strong", starved, default="strong")
    if told:
        evidence.append(reason(STRONG, "processes waited for a processor", told))
    elif starved:
        evidence.append(reason(WEAK + 0.1, "the processors were slowed down or busy", starved))
    if stalls:
        evidence.append(reason(WEAK, "the kernel saw processors that did not get on", stalls))
        if len({fact.text for fact in stalls}) > 1:
            evidence.append(reason(HINT, "more than once, or on more than one of them", stalls))
            evidence.extend(_keepers_stood_still(stalls))
        symptoms = case.of(Kind.RUNTIME_SLOW, Kind.NODE_NOT_READY, Kind.KUBELET_UNHEALTHY)
        if symptoms:
            evidence.append(reason(WEAK, "node or runtime answered late in that time", symptoms))
    if evidence and case.has(Kind.HUNG_TASK, Kind.DISK_ERROR):
        waits = case.of(Kind.HUNG_TASK, Kind.DISK_ERROR)
        evidence.append(reason(-0.3, "tasks waited for the disk, not for a processor", waits))
    idle_s = used_no_processor_s(case) if evidence else None
    if idle_s is not None:
        says = (
            f"the runtime used no processor in the {idle_s:.0f} s it did not answer, while others "
            "got their turns: it did not wait for one"
        )
        evidence.append(reason(-0.7, says))
    return hypothesis(
        Cause.CPU_STARVATION, evidence, ("CPU pressure (PSI) with throttled cgroups taken off",)
    )
