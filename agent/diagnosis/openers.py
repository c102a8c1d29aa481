"""Which Facts alone tell that something happened, to the node or to one pod."""

from __future__ import annotations

from agent.kinds import Kind
from agent.model import Fact, SubjectKind
from agent.rules.roles import Role, role_of

DEATHS_OF_A_UNIT = frozenset(
    {
        Kind.UNIT_STOPPING,
        Kind.UNIT_EXITED,
        Kind.UNIT_FAILED,
        Kind.UNIT_ENDED_CLEAN,
        Kind.UNIT_RESTART_SCHEDULED,
        Kind.UNIT_START_LIMIT,
        Kind.UNIT_START_FAILED,
        Kind.UNIT_STOP_TIMEOUT,
        Kind.UNIT_OOM,
        Kind.WATCHDOG_TIMEOUT,
        Kind.CORE_DUMP,
    }
)

NODE_OPENERS = frozenset(
    {
        Kind.MONITOR_KILLS_RUNTIME,
        Kind.MONITOR_KILLS_KUBELET,
        Kind.MONITOR_RESTARTS_RUNTIME,
        Kind.RUNTIME_PANIC,
        Kind.RUNTIME_FATAL,
        Kind.KUBELET_PANIC,
        Kind.KUBELET_FATAL,
        Kind.OOM_NODE_WIDE,
        Kind.SYSTEM_OOM,
        Kind.OOMD_KILL,
        Kind.KERNEL_FAULT,
        Kind.SHUTDOWN,
        Kind.BOOT,
        Kind.NODE_REBOOTED,
        Kind.DRAIN,
        Kind.CORDON,
        Kind.SCALE_DOWN,
        Kind.DISK_ERROR,
        Kind.VOLUME_THROTTLED,
        Kind.CERT_INVALID,
        Kind.CONFIG_MISMATCH,
        Kind.NODE_NOT_READY,
        Kind.EVICTION_THRESHOLD,
        Kind.POD_EVICTED_FOR_PRESSURE,
    }
)

POD_OPENERS = frozenset(
    {
        Kind.SANDBOX_CHANGED,
        Kind.CONTAINER_OOM,
        Kind.OOM_KILL,
        Kind.OOM_AT_LIMIT,
        Kind.PROBE_KILLS_CONTAINER,
        Kind.SANDBOX_CREATE_FAILED,
        Kind.CNI_FAILED,
    }
)

OFTEN_PASSING = frozenset({Kind.CERT_INVALID, Kind.CONFIG_MISMATCH})
"""Said weakly, these are told of many a healthy day: alone they open nothing in a journal."""

OUT_OF_MEMORY_IN_A_POD = frozenset(
    {Kind.CONTAINER_OOM, Kind.OOM_KILL, Kind.OOM_AT_LIMIT, Kind.OOM_INVOKED, Kind.OOM_IN_MEMCG}
)

AGAIN_AND_AGAIN = 3
"""Two starts of a kubelet are those of any node that is set up: without settings, and with."""

ONLY_STORY_OF_A_TICKET = frozenset(Kind) - {
    Kind.MONITOR_WORKS,
    Kind.NODE_READY,
    Kind.KUBELET_STARTED,
    Kind.RUNTIME_STARTED,
    Kind.UNIT_STARTED,
    Kind.UNIT_STARTING,
    Kind.JOURNAL_GAP,
    Kind.DISK_ROOM,
}
"""In pasted text anything but a sign of life is worth a story of its own."""

ECHOING_COMPONENTS = frozenset({"kernel-monitor", "systemd-monitor", "docker-monitor"})
"""node-problem-detector repeats journal lines as events, after its own restart with new times."""


def opens_for_node(fact: Fact) -> bool:
    """Say whether this fact alone tells that something happened to the whole node."""
    if fact.kind in NODE_OPENERS:
        return fact.kind not in OFTEN_PASSING or fact.detail.get("strength") != "weak"
    if fact.kind in DEATHS_OF_A_UNIT:
        return bool(role_of(fact.subject.name) & (Role.RUNTIME | Role.KUBELET))
    return fact.kind is Kind.OOM_KILL and _kills_the_node_itself(fact)


def _kills_the_node_itself(fact: Fact) -> bool:
    victim = role_of(fact.detail.get("comm", "")) | role_of(fact.subject.name)
    return bool(victim & (Role.RUNTIME | Role.KUBELET))


def belongs_to_pod(fact: Fact) -> bool:
    """Say whether a fact is about one pod, or a container in it."""
    return fact.subject.kind in (SubjectKind.POD, SubjectKind.CONTAINER)
