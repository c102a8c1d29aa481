"""Plain words for every cause, killer and confidence: one table each, for every report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from agent.model import Cause, KillerKind


@dataclass(frozen=True, slots=True)
class Wording:
    """A short name for a table, and one sentence for somebody who has never met it."""

    name: str
    sentence: str


CAUSES: Mapping[Cause, Wording] = MappingProxyType(
    {
        Cause.IO_SATURATION: Wording(
            "disk I/O saturation",
            "The disk had more to do than it could, so everything that had to read from it waited.",
        ),
        Cause.CPU_STARVATION: Wording(
            "CPU starvation",
            "Processes were ready to run, but the processors were busy with others.",
        ),
        Cause.MEMORY_PRESSURE: Wording(
            "the node short of memory",
            "The node itself had too little memory left; the kernel or the kubelet made room.",
        ),
        Cause.CONTAINER_OOM: Wording(
            "a container over its own memory limit",
            "One container reached the memory limit it was given; the node had memory left.",
        ),
        Cause.DISK_FULL: Wording(
            "a full disk",
            "A file system had no space or no inodes left.",
        ),
        Cause.DISK_ERROR: Wording(
            "a failing disk",
            "The kernel got errors from a disk or its file system.",
        ),
        Cause.RUNTIME_HANG: Wording(
            "a hung container runtime",
            "The container runtime was alive but did not answer any more.",
        ),
        Cause.RUNTIME_CRASH: Wording(
            "a crash of the container runtime",
            "The container runtime ended by its own fault.",
        ),
        Cause.PLANNED_RESTART: Wording(
            "a planned restart",
            "A person, a package or an agent restarted the container runtime on purpose.",
        ),
        Cause.NODE_REBOOT: Wording(
            "a reboot of the node",
            "The node itself went down and came up again, and all its pods with it.",
        ),
        Cause.NODE_DRAIN: Wording(
            "a drain of the node",
            "The pods were asked to leave the node, which is planned work.",
        ),
        Cause.KUBELET_RESTART: Wording(
            "a restart of the kubelet",
            "The kubelet was restarted; containers normally live through that.",
        ),
        Cause.CNI_FAILURE: Wording(
            "the pod network failing",
            "The network plugin could not give a pod its network.",
        ),
        Cause.CONFIG_MISMATCH: Wording(
            "settings that do not fit together",
            "Two parts of the node are configured in ways that contradict each other.",
        ),
        Cause.CLOCK_OR_CERT: Wording(
            "the clock or a certificate",
            "A certificate was not valid at the time the node believed it was.",
        ),
        Cause.VOLUME_THROTTLED: Wording(
            "a volume throttled by its provider",
            "The cloud volume used up what it may do, and was slowed down from outside.",
        ),
        Cause.UNKNOWN: Wording(
            "unknown",
            "What can be seen here is not enough to name a cause.",
        ),
    }
)

KILLERS: Mapping[KillerKind, str] = MappingProxyType(
    {
        KillerKind.HEALTH_MONITOR: "a health monitor, which kills what does not answer in time",
        KillerKind.OOM_KILLER: "the OOM killer, which ends a process to free memory",
        KillerKind.WATCHDOG: "systemd's watchdog, which ends a service that stopped reporting",
        KillerKind.OPERATOR: "an operator: a person or a tool, on purpose",
        KillerKind.EVICTION: "the kubelet, evicting pods to protect the node",
        KillerKind.LIVENESS_PROBE: "the kubelet, after a failed liveness probe",
        KillerKind.CRASH: "nobody: it crashed by itself",
        KillerKind.POWER: "power: the node stopped without shutting down",
        KillerKind.NONE: "nobody pulled a trigger",
    }
)

# Lower bounds, highest first. The words follow the number, never the other way round.
CONFIDENCES: tuple[tuple[float, str], ...] = (
    (0.9, "almost certain"),
    (0.7, "likely"),
    (0.5, "more likely than not"),
    (0.3, "possible"),
    (0.0, "hardly more than a guess"),
)

QUOTED_NOTE = (
    "Read from pasted text: nobody vouches for who wrote these lines, so confidence is capped."
)


def cause_words(cause: Cause) -> Wording:
    """Return the short name and the sentence of a cause."""
    return CAUSES[cause]


def killer_words(kind: KillerKind) -> str:
    """Say what kind of killer this is."""
    return KILLERS[kind]


def confidence_words(confidence: float, cause: Cause | None = None) -> str:
    """Turn 0..1 into words and the number: "likely, 0.82"."""
    number = min(max(confidence, 0.0), 1.0) if math.isfinite(confidence) else 0.0
    word = next(word for floor, word in CONFIDENCES if number >= floor)
    if cause is Cause.UNKNOWN:
        word = "too low to name a cause"
    return f"{word}, {number:.2f}"


def counted(count: int, one: str, many: str = "") -> str:
    """Join a number and its noun: "1 pod", "3 pods"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(items: tuple[str, ...], most: int = 3) -> str:
    """Join names for a sentence and say how many were left out: "a, b and 4 more"."""
    if len(items) > most + 1:
        return f"{', '.join(items[:most])} and {len(items) - most} more"
    if len(items) > 1:
        return f"{', '.join(items[:-1])} and {items[-1]}"
    return "".join(items)
