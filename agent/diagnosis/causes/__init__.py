"""One hypothesis a function: a Case goes in, the evidence for and against one cause comes out.

Definitions for people are in docs/causes.md, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.diagnosis.case import Case
from agent.diagnosis.causes.disk import disk_error, disk_full, io_saturation, volume_throttled
from agent.diagnosis.causes.host import cpu_starvation, node_reboot
from agent.diagnosis.causes.kubelet import kubelet_restart
from agent.diagnosis.causes.memory import container_oom, memory_pressure
from agent.diagnosis.causes.network import cni_failure
from agent.diagnosis.causes.planned import node_drain, planned_restart
from agent.diagnosis.causes.runtime import runtime_crash, runtime_hang
from agent.diagnosis.causes.settings import clock_or_cert, config_mismatch
from agent.model import Cause, Hypothesis

HYPOTHESES: tuple[Callable[[Case], Hypothesis | None], ...] = (
    io_saturation,
    cpu_starvation,
    memory_pressure,
    container_oom,
    disk_full,
    disk_error,
    volume_throttled,
    runtime_hang,
    runtime_crash,
    planned_restart,
    node_reboot,
    node_drain,
    kubelet_restart,
    cni_failure,
    config_mismatch,
    clock_or_cert,
)

MADE_BY: dict[Cause, frozenset[Cause]] = {
    Cause.RUNTIME_HANG: frozenset(
        {
            Cause.IO_SATURATION,
            Cause.MEMORY_PRESSURE,
            Cause.CPU_STARVATION,
            Cause.DISK_ERROR,
            Cause.DISK_FULL,
            Cause.VOLUME_THROTTLED,
            Cause.NODE_REBOOT,
            Cause.PLANNED_RESTART,
        }
    ),
    Cause.RUNTIME_CRASH: frozenset(
        {
            Cause.DISK_FULL,
            Cause.DISK_ERROR,
            Cause.MEMORY_PRESSURE,
            Cause.CLOCK_OR_CERT,
            Cause.CONFIG_MISMATCH,
            Cause.RUNTIME_HANG,
            Cause.NODE_REBOOT,
        }
    ),
    Cause.KUBELET_RESTART: frozenset(
        {
            Cause.CLOCK_OR_CERT,
            Cause.CONFIG_MISMATCH,
            Cause.DISK_FULL,
            Cause.DISK_ERROR,
            Cause.MEMORY_PRESSURE,
            Cause.CPU_STARVATION,
            Cause.RUNTIME_HANG,
            Cause.RUNTIME_CRASH,
            Cause.IO_SATURATION,
            Cause.PLANNED_RESTART,
            Cause.NODE_REBOOT,
            Cause.NODE_DRAIN,
        }
    ),
    Cause.PLANNED_RESTART: frozenset({Cause.NODE_REBOOT, Cause.NODE_DRAIN}),
    Cause.NODE_DRAIN: frozenset({Cause.NODE_REBOOT}),
    Cause.CNI_FAILURE: frozenset(
        {
            Cause.NODE_REBOOT,
            Cause.DISK_FULL,
            Cause.CLOCK_OR_CERT,
            Cause.RUNTIME_HANG,
            Cause.RUNTIME_CRASH,
            Cause.PLANNED_RESTART,
        }
    ),
    Cause.IO_SATURATION: frozenset(
        {Cause.MEMORY_PRESSURE, Cause.DISK_ERROR, Cause.VOLUME_THROTTLED, Cause.DISK_FULL}
    ),
    Cause.CONFIG_MISMATCH: frozenset({Cause.CLOCK_OR_CERT}),
    Cause.DISK_ERROR: frozenset({Cause.DISK_FULL}),
    Cause.CPU_STARVATION: frozenset({Cause.MEMORY_PRESSURE, Cause.IO_SATURATION}),
}
"""Which cause can bring about what looks like another one; the deeper one is then the answer."""

__all__ = ["HYPOTHESES", "MADE_BY"]
