"""The one sentence a tired person reads, what to do next, and what was missing to say more."""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.case import Case, is_kubelet, is_runtime
from agent.diagnosis.offender import ANNOUNCED
from agent.diagnosis.weigh import NAMED_FROM
from agent.model import Cause, Diagnosis, Fact, Hypothesis, KillerKind, Kind

BECAUSE: dict[Cause, str] = {
    Cause.IO_SATURATION: "the disk was saturated",
    Cause.CPU_STARVATION: "there was no processor time to be had",
    Cause.MEMORY_PRESSURE: "the node ran short of memory",
    Cause.CONTAINER_OOM: "a container outgrew its own memory limit",
    Cause.DISK_FULL: "a file system was full",
    Cause.DISK_ERROR: "a disk or file system failed",
    Cause.RUNTIME_HANG: "the container runtime did not answer",
    Cause.RUNTIME_CRASH: "the container runtime crashed",
    Cause.PLANNED_RESTART: "somebody restarted it on purpose",
    Cause.NODE_REBOOT: "the node rebooted",
    Cause.NODE_DRAIN: "the node was drained",
    Cause.KUBELET_RESTART: "the kubelet went down and started anew",
    Cause.CNI_FAILURE: "the pod network could not be set up",
    Cause.CONFIG_MISMATCH: "settings do not fit together",
    Cause.CLOCK_OR_CERT: "a certificate is not valid here and now, or the clock is wrong",
    Cause.VOLUME_THROTTLED: "the cloud throttled the volume",
}

NEXT_STEP: dict[Cause, str] = {
    Cause.IO_SATURATION: "Find who reads or writes most on that disk, and limit it.",
    Cause.CPU_STARVATION: "Give the runtime and the kubelet CPU of their own (system-reserved).",
    Cause.MEMORY_PRESSURE: "Reserve memory for the system, and lower what the pods may take.",
    Cause.CONTAINER_OOM: "Raise the container's memory limit, or find what it leaks.",
    Cause.DISK_FULL: "Free space (images, logs, emptyDir), then bound what filled it.",
    Cause.DISK_ERROR: "Move the pods away and replace the disk; do not trust its data.",
    Cause.RUNTIME_HANG: "Keep the runtime's stack dump, if one was written, and its pressure data.",
    Cause.RUNTIME_CRASH: "Take the stack trace to the runtime's issue tracker; check its version.",
    Cause.PLANNED_RESTART: "Nothing is broken. Drain the node first, or turn live-restore on.",
    Cause.NODE_REBOOT: "Find out who or what rebooted it, if it was not you.",
    Cause.NODE_DRAIN: "Nothing is broken. Check that every moved pod is Ready elsewhere.",
    Cause.KUBELET_RESTART: "Read the kubelet's last lines before it ended.",
    Cause.CNI_FAILURE: "Read the network plugin's log on this node.",
    Cause.CONFIG_MISMATCH: "Make the named settings agree, then restart both sides.",
    Cause.CLOCK_OR_CERT: "Renew the certificate, or set the clock, then restart the component.",
    Cause.VOLUME_THROTTLED: "Check the volume's burst balance; move to provisioned throughput.",
}


_BECAUSE = ", because "


def sentence(case: Case, diagnosis: Diagnosis) -> str:
    """Return what happened and why, in one sentence."""
    what, why, who = _what(case, diagnosis), _why(case, diagnosis), _who(diagnosis)
    if what or diagnosis.cause is Cause.UNKNOWN:
        return f"{what or 'Something happened to the node'}{why}{who}."
    why = why.removeprefix(_BECAUSE)
    return f"{why[:1].upper()}{why[1:]}{who}; no pod is known to have been hurt."


def _what(case: Case, diagnosis: Diagnosis) -> str:
    hurt = len(diagnosis.victims)
    pods = _pods(diagnosis)
    did = {1: "was", 0: "were"}.get(hurt, "were")
    if diagnosis.cause is Cause.NODE_DRAIN:
        return f"{pods} {did} moved off the node" if hurt else "The node was emptied"
    if diagnosis.cause is Cause.CONTAINER_OOM:
        return f"{pods} {did} OOM-killed" if hurt else "A container was OOM-killed"
    harm = f"{pods} {did} {_harm(diagnosis)}" if hurt else _end(case, diagnosis)
    if diagnosis.cause is Cause.NODE_REBOOT:
        return harm
    if hurt and (case.runtime_deaths or case.killed_by_monitor):
        end = _end(case, diagnosis, inside=True)
        return f"{harm} when {end}" if end else harm
    return harm


def _pods(diagnosis: Diagnosis) -> str:
    victims = diagnosis.victims
    if len(victims) == 1:
        only = victims[0]
        return f"Pod {only.namespace}/{only.pod}" if only.namespace else f"Pod {only.pod}"
    return f"{len(victims)} pods"


def _harm(diagnosis: Diagnosis) -> str:
    harms = {victim.harm for victim in diagnosis.victims}
    if "sandbox re-created" in harms:
        return "re-created"
    return harms.pop() if len(harms) == 1 else "hurt"


def _end(case: Case, diagnosis: Diagnosis, *, inside: bool = False) -> str:
    """Say which of the node's own services ended, and by whom; nothing where none did."""
    killer = diagnosis.killer
    name = _who_ended(case)
    article = name if inside else name[:1].upper() + name[1:]
    if killer and killer.kind is KillerKind.HEALTH_MONITOR:
        return f"{article} was killed by {killer.name}"
    if killer and killer.kind is KillerKind.OOM_KILLER and case.has(Kind.UNIT_OOM, Kind.OOM_KILL):
        return f"{article} was killed by the OOM killer"
    if killer and killer.kind is KillerKind.WATCHDOG:
        return f"{article} was killed by its watchdog"
    if diagnosis.planned and case.runtime_deaths:
        return f"{article} was restarted"
    if case.runtime_deaths or case.kubelet_deaths:
        return f"{article} went down"
    return ""


def _who_ended(case: Case) -> str:
    if case.killed_by_monitor:
        told = case.killed_by_monitor[0]
        return told.detail.get("runtime") or _plain(told) or "the container runtime"
    for facts in (case.runtime_deaths, case.kubelet_deaths):
        if facts:
            return _plain(facts[0])
    if case.has(Kind.MONITOR_KILLS_KUBELET, Kind.KUBELET_PANIC, Kind.KUBELET_FATAL):
        return "the kubelet"
    return "the container runtime"


def _plain(fact: Fact) -> str:
    return fact.subject.name.removesuffix(".service")


def _why(case: Case, diagnosis: Diagnosis) -> str:
    if diagnosis.cause is Cause.UNKNOWN and _lone_sandbox(case):
        return (
            "; nothing else on the node ended, and who ended its sandbox is not in what was given"
        )
    if diagnosis.cause is Cause.UNKNOWN:
        return "; why is not in what was given"
    if diagnosis.cause in (Cause.NODE_DRAIN, Cause.CONTAINER_OOM):
        return ""
    if diagnosis.cause is Cause.NODE_REBOOT and _nobody_ordered(diagnosis):
        return f"{_BECAUSE}the node went down without an ordered shutdown"
    return f"{_BECAUSE}{BECAUSE[diagnosis.cause]}"


def _nobody_ordered(diagnosis: Diagnosis) -> bool:
    return diagnosis.killer is not None and diagnosis.killer.kind is KillerKind.POWER


def _who(diagnosis: Diagnosis) -> str:
    offender = diagnosis.offender
    if offender is None or offender.name in {victim.pod for victim in diagnosis.victims}:
        return ""
    return f" (by {offender.title})"


def what_is_missing(
    case: Case, winner: Hypothesis | None, ranked: Sequence[Hypothesis]
) -> tuple[str, ...]:
    """Return what would raise the confidence, or make a diagnosis possible at all."""
    missing: list[str] = []
    if winner is None:
        missing.extend(_not_seen(case))
        for hypothesis in ranked[:2]:
            missing.extend(hypothesis.missing)
    elif not case.samples:
        missing.extend(winner.missing)
    if case.quoted:
        missing.append("the journal itself (pasted text has no trusted fields)")
    return tuple(dict.fromkeys(missing))


def _not_seen(case: Case) -> list[str]:
    if _lone_sandbox(case):
        return ["who ended the sandbox's pause process (audit log, process accounting)"]
    missing = []
    sources = {fact.source for fact in case.facts}
    if not sources & {"journal", "kernel", "text"}:
        missing.append("the node's journal around that time")
    exits = case.of(Kind.UNIT_EXITED, Kind.UNIT_FAILED, where=_keeps_pods)
    if exits:
        missing.append(f"the last lines of {_plain(exits[0])} before it ended")
    return missing


def _lone_sandbox(case: Case) -> bool:
    changed = {f.subject for f in case.sandboxes_changed}
    return len(changed) == 1 and not case.runtime_deaths and not case.kubelet_deaths


def advice_for(case: Case, diagnosis: Diagnosis) -> tuple[str, ...]:
    """Return the next steps, most useful first."""
    steps = []
    if _unpaced_backup(case, diagnosis):
        steps.append("Run that backup governed: `knockon backup run`, or `knockon backup exec`.")
    if diagnosis.cause in NEXT_STEP:
        steps.append(NEXT_STEP[diagnosis.cause])
    if diagnosis.planned and case.met_at_work:
        steps.append("Stop the runtime's health monitor for the time of such work: it joined in.")
    close = [h.cause.value for h in diagnosis.hypotheses[1:3] if h.confidence >= NAMED_FROM]
    if close:
        steps.append(f"Also look at: {', '.join(close)}.")
    if diagnosis.cause is Cause.UNKNOWN and diagnosis.missing:
        steps.append(f"Look for {diagnosis.missing[0]}.")
    killed = diagnosis.killer and diagnosis.killer.kind is KillerKind.HEALTH_MONITOR
    if killed and case.sandboxes_changed and "docker" in _who_ended(case):
        steps.append("Turn on docker's live-restore, so that its end does not take the pods along.")
    return tuple(steps)


def _unpaced_backup(case: Case, diagnosis: Diagnosis) -> bool:
    """Whether the offender is a base backup that nobody governs: those that we do announce it."""
    offender = diagnosis.offender
    announced = any(fact.source == ANNOUNCED for fact in case.of(Kind.BACKUP_RUNNING))
    return offender is not None and offender.is_backup and not announced


def _keeps_pods(fact: Fact) -> bool:
    return is_runtime(fact) or is_kubelet(fact)
