"""The pod network could not be set up or torn down, so sandboxes fail one after the other."""

from __future__ import annotations

from agent.diagnosis.case import Case
from agent.diagnosis.weigh import (
    FAIR,
    HINT,
    STRONG,
    WEAK,
    borne_out,
    hypothesis,
    of_strength,
    reason,
    told_again,
)
from agent.model import Cause, Evidence, Hypothesis, Kind

MANY_TIMES = 20
"""Re-created this often with the runtime alive, a sandbox fails by itself, not with the node."""

AS_CONDITION = "KubeletNotReady"
"""The reason in the node's Ready condition, a state that lasts, not a line of one moment."""

STARTS = (
    Kind.BOOT,
    Kind.NODE_REBOOTED,
    Kind.SHUTDOWN,
    Kind.KUBELET_STARTED,
    Kind.RUNTIME_STARTED,
    Kind.UNIT_STARTED,
    Kind.UNIT_STARTING,
    Kind.MONITOR_KILLS_RUNTIME,
    Kind.OPERATOR_ACTS,
)
"""After these the network is not ready for a moment, on every healthy node."""

POD_WAITS = (
    Kind.SANDBOX_CREATE_FAILED,
    Kind.SANDBOX_CHANGED,
    Kind.CNI_NOT_READY,
    Kind.NODE_NOT_READY,
    Kind.CONTAINER_BACKOFF,
)
"""What a broken pod network brings about."""


def cni_failure(case: Case) -> Hypothesis | None:
    """A network plugin says that it failed."""
    evidence: list[Evidence] = []
    failed = case.of(Kind.CNI_FAILED)
    waits = case.has(*STARTS) or case.runtime_deaths or case.kubelet_deaths
    if strong := of_strength("strong", failed, default="strong"):
        evidence.append(reason(STRONG, "the network plugin reports its failure", strong))
        evidence.extend(borne_out(strong, case.of(*POD_WAITS)))
    elif medium := of_strength("medium", failed):
        weight = WEAK + 0.05 if waits else FAIR + 0.05
        evidence.append(reason(weight, "the node's network agent says that it is broken", medium))
        evidence.extend(told_again(medium))
    elif failed:
        evidence.append(
            reason(WEAK + 0.05, "the network plugin is at work again and again", failed)
        )
    not_ready = case.of(Kind.CNI_NOT_READY)
    if not_ready:
        evidence.append(reason(WEAK - 0.05, "the pod network was not ready", not_ready))
        lasting = len(not_ready) > 1 or case.has(Kind.SANDBOX_CREATE_FAILED)
        if lasting and not waits:
            says = "for longer than a moment, and nothing was just started that would wait for it"
            evidence.append(reason(WEAK, says, not_ready))
        elif not waits and (lone := tuple(f for f in not_ready if AS_CONDITION in f.text)):
            says = "the node's Ready condition names the network as what keeps it back"
            evidence.append(reason(WEAK, says, lone))
    loop = tuple(f for f in case.sandboxes_changed if f.count >= MANY_TIMES)
    if evidence and loop and not case.runtime_deaths:
        evidence.append(reason(WEAK, "sandboxes fail in a loop while the runtime lives", loop))
    create = case.of(Kind.SANDBOX_CREATE_FAILED)
    if failed and create and not strong:
        evidence.append(reason(HINT, "sandboxes cannot be created", create))
    return hypothesis(Cause.CNI_FAILURE, evidence, ("the log of the network plugin on this node",))
