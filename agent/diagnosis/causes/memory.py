"""Memory: one container outgrew its own limit, or the whole node ran out (docs/causes.md)."""

from __future__ import annotations

import re

from agent.diagnosis.case import Case
from agent.diagnosis.causes.pressure import memory_evidence
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
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind, SubjectKind
from agent.rules.roles import Role, role_of

CHARGE_FLAGS = re.compile(r"gfp_mask=(?:0xd0|0x\w+\(GFP_KERNEL\)),.*order=0")
"""mm/memcontrol.c charges with GFP_KERNEL; user pages come with GFP_HIGHUSER_MOVABLE."""

FEW_PROCESSES = 3
"""A container has one pause and one shim at most; a task dump with more is the node's."""

REREAD_S = 60.0
"""Events of one start of the kubelet carry ages of whole minutes."""

USER_PAGE = re.compile(r"\(GFP_HIGHUSER_MOVABLE\b|gfp_mask=0x2[08][01]da\b")
"""A charge to a limit keeps only the bits that say how to reclaim (mm/memcontrol.c)."""

SEEN = {
    "reclaim": "the kernel's page reclaim ran without a break",
    "top": "the node's memory was used up, as kubectl top shows it",
    "free": "less memory was available than the kubelet evicts at",
}

KEEPS_THE_NODE = Role.RUNTIME | Role.KUBELET
CONTAINER_SCORES = ("-998", "-997")
"""oom_score_adj of a Guaranteed pod's processes (kubelet pkg/kubelet/qos/policy.go)."""


def _in_container(fact: Fact) -> bool:
    return fact.subject.kind in (SubjectKind.POD, SubjectKind.CONTAINER)


def _of_the_node(fact: Fact) -> bool:
    who = role_of(fact.subject.name) | role_of(fact.detail.get("comm", ""))
    return bool(who & KEEPS_THE_NODE) and not _in_container(fact)


def _memcg(fact: Fact) -> bool:
    return fact.detail.get("scope") in ("memcg", "container", "pod") or _in_container(fact)


OF_ANOTHER_KIND = (
    Kind.CERT_INVALID,
    Kind.CONFIG_MISMATCH,
    Kind.CNI_FAILED,
    Kind.KUBELET_PANIC,
    Kind.RUNTIME_PANIC,
)


def container_oom(case: Case) -> Hypothesis | None:
    """A memory cgroup of a container or pod reached its own limit and the kernel killed in it."""
    evidence: list[Evidence] = []
    at_limit = case.of(Kind.OOM_AT_LIMIT, where=lambda f: not _of_the_node(f))
    if at_limit:
        evidence.append(reason(DECISIVE, "a container stands at its own memory limit", at_limit))
    inside = case.of(Kind.OOM_IN_MEMCG, where=lambda f: not _of_the_node(f))
    if inside:
        whose = any(_in_container(f) or f.detail.get("cpuset") for f in inside)
        says = "the kernel killed inside one memory cgroup"
        evidence.append(reason(STRONG if whose else FAIR + 0.1, says, inside))
    killed = case.of(Kind.OOM_KILL, where=lambda f: _memcg(f) and not _of_the_node(f))
    if killed and not inside:  # the same kill, told by another of its lines
        named = any(_in_container(f) for f in killed)
        says = "the OOM killer names a container's process"
        evidence.append(reason(STRONG if named else FAIR + 0.1, says, killed))
    reported = case.of(Kind.CONTAINER_OOM)
    if reported:
        evidence.append(reason(STRONG + 0.05, "the container is reported OOMKilled", reported))
    evidence.extend(_asked_within(case))
    if evidence:
        evidence.extend(_node_wide(case))
    if evidence and case.killed_by_monitor:
        says = "a health monitor killed the runtime; one container's end does not do that"
        evidence.append(reason(-0.5, says, case.killed_by_monitor))
    elif evidence and case.runtime_deaths:
        says = "the runtime itself went down; one container's end does not do that"
        evidence.append(reason(-0.4, says, case.runtime_deaths))
    elif evidence and (ill := case.of(Kind.IO_SLOW, Kind.CPU_STALL)):
        says = "the node's disk or processors were ill as well; one container's limit is apart"
        evidence.append(reason(-0.2, says, ill))
    elif evidence and (apart := case.of(*OF_ANOTHER_KIND)):
        says = "the node fails by something that no container's limit brings about"
        evidence.append(reason(-0.2, says, apart))
    return hypothesis(Cause.CONTAINER_OOM, evidence)


def _asked_within(case: Case) -> list[Evidence]:
    """Who asked for the memory says something where no line names the limit."""
    invoked = case.of(Kind.OOM_INVOKED)
    guaranteed = tuple(f for f in invoked if f.detail.get("oom_score_adj") in CONTAINER_SCORES)
    if guaranteed:
        says = "a Guaranteed container's process asked for the memory"
        return [reason(FAIR + 0.1, says, guaranteed)]
    charged = tuple(f for f in invoked if _is_charge(f))
    if charged and not case.has(Kind.MEMORY_SHORT, Kind.OOM_NODE_WIDE, Kind.OOM_TASK):
        says = "a pod's process asked for one page with the flags of a charge to its own limit"
        return [reason(FAIR + 0.05, says, charged)]
    return []


def _is_charge(fact: Fact) -> bool:
    """Pods have a positive score; a limit is charged with GFP_KERNEL, a page fault is not."""
    score = fact.detail.get("oom_score_adj", "")
    plain = CHARGE_FLAGS.search(fact.text) is not None
    return plain and score.isdigit() and 0 < int(score) <= 1000


def _node_wide(case: Case) -> list[Evidence]:
    wide = case.of(Kind.OOM_NODE_WIDE, Kind.SYSTEM_OOM)
    if wide:
        return [reason(-0.6, "the whole node was out of memory", wide)]
    short = case.of(Kind.POD_EVICTED_FOR_PRESSURE, where=_short_of_memory)
    if short:
        return [reason(-0.5, "the kubelet evicted pods for memory", short)]
    return []


def _short_of_memory(fact: Fact) -> bool:
    return "memory" in (fact.detail.get("resource") or fact.text).lower()


def memory_pressure(case: Case) -> Hypothesis | None:
    """The node, or the part of it that keeps it alive, had no memory left to give."""
    evidence: list[Evidence] = list(memory_evidence(case))
    wide = case.of(Kind.OOM_NODE_WIDE)
    if wide:
        evidence.append(reason(STRONG + 0.1, "the kernel ran out of memory node-wide", wide))
    evidence.extend(_system_oom(case))
    keepers = case.of(Kind.UNIT_OOM, Kind.OOM_KILL, where=_of_the_node)
    if keepers:
        evidence.append(reason(STRONG + 0.05, "the OOM killer hit runtime or kubelet", keepers))
    daemon = case.of(Kind.OOMD_KILL)
    if daemon:
        evidence.append(reason(STRONG, "systemd-oomd killed for memory pressure", daemon))
    evicted = case.of(
        Kind.POD_EVICTED_FOR_PRESSURE, Kind.EVICTION_THRESHOLD, where=_short_of_memory
    )
    if evicted:
        evidence.append(reason(STRONG, "the kubelet evicts for memory", evicted))
    evidence.extend(_dump_of_the_node(case))
    evidence.extend(_shortage(case))
    return hypothesis(
        Cause.MEMORY_PRESSURE, evidence, ("memory pressure (PSI), refaults, available memory",)
    )


def _system_oom(case: Case) -> list[Evidence]:
    """A kubelet that has just started reads the kernel's log from its beginning."""
    told = case.of(Kind.SYSTEM_OOM)
    starts = case.of(Kind.KUBELET_STARTED)
    fresh = tuple(
        f
        for f in told
        if f.detail.get("comm") or not starts or not case.soon_after(starts, f, REREAD_S)
    )
    if fresh:
        named = any(f.detail.get("comm") for f in fresh)
        weight = STRONG + 0.1 if named else STRONG
        return [reason(weight, "the kubelet saw a system OOM", fresh)]
    if told:
        says = "the kubelet, just started, read of an OOM in the kernel's log: it may be an old one"
        return [reason(WEAK, says, told)]
    return []


def _shortage(case: Case) -> list[Evidence]:
    told = case.of(Kind.MEMORY_SHORT, where=lambda f: "what" not in f.detail)
    frames = case.of(Kind.MEMORY_SHORT, where=lambda f: f.detail.get("what") == "frame")
    limits = of_strength("weak", told, default="strong")
    short = tuple(f for f in told if f not in limits)
    found = []
    if short:
        found.append(reason(FAIR, "allocations failed, or memory was short", short))
    for what, says in SEEN.items():
        seen = [f for f in case.of(Kind.MEMORY_SHORT) if f.detail.get("what") == what]
        if seen:
            found.append(reason(FAIR + 0.12, says, seen))
    if limits:
        found.append(reason(HINT, "no more processes or threads could be started", limits))
    if frames and case.has(Kind.OOM_INVOKED) and not case.has(Kind.OOM_IN_MEMCG, Kind.OOM_AT_LIMIT):
        says = "the page allocator asked for the kill, no container's limit did"
        found.append(reason(FAIR + 0.1, says, frames))
    asked = case.of(Kind.OOM_INVOKED, where=lambda f: bool(USER_PAGE.search(f.text)))
    if asked and not case.has(Kind.OOM_IN_MEMCG, Kind.OOM_AT_LIMIT, Kind.CONTAINER_OOM):
        says = "the page that could not be had was a process's own, and no limit was charged for it"
        found.append(reason(FAIR + 0.1, says, asked))
    return found


def _dump_of_the_node(case: Case) -> list[Evidence]:
    rows = case.of(Kind.OOM_TASK)
    helpers = [f for f in rows if _is_helper(f.detail.get("comm", ""))]
    if len(helpers) >= FEW_PROCESSES:
        says = "the task dump lists the shims and pauses of many pods"
        return [reason(FAIR + 0.1, says, rows)]
    return []


def _is_helper(comm: str) -> bool:
    return comm == "pause" or "shim" in comm or comm == "conmon"
