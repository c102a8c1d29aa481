"""The levers that every process may pull on itself: nice, SCHED_IDLE and the I/O priority.

All three are inherited by every child, so they are set once, just before the program starts.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Callable, Sequence

from backup.levers.lever import Bites, Lever
from backup.sensors.devices import Disk

IDLE_CLASS = 3
_CLASS_SHIFT = 13
_WHO_PROCESS = 1
_LOWEST_NICE = 19
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
"""Numbers of the system call, which libc does not wrap."""

Outcome = dict[str, str]
"""What was tried, and the error in words; empty when it worked."""


def lower(pid: int = 0) -> Outcome:
    """Give a process the lowest priority for processors and disks; never raises it."""
    return {
        "nice": _tried(lambda: _nice(pid)),
        "SCHED_IDLE": _tried(lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))),
        "ionice": _tried(lambda: _ionice_idle(pid)),
    }


def _nice(pid: int) -> None:
    if os.getpriority(os.PRIO_PROCESS, pid) < _LOWEST_NICE:
        os.setpriority(os.PRIO_PROCESS, pid, _LOWEST_NICE)


def _ionice_idle(pid: int) -> None:
    number = _IOPRIO_SET.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"ioprio_set is not known for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, _WHO_PROCESS, pid, IDLE_CLASS << _CLASS_SHIFT) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _tried(act: Callable[[], object]) -> str:
    try:
        act()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def levers(
    disks: Sequence[Disk], outcome: Outcome | None = None, *, in_groups: bool = False
) -> tuple[Lever, ...]:
    """Say what priorities change here; without an outcome, what they would.

    Where processors are shared among groups first, they count only within the program's own.
    """
    outcome = outcome or {}
    return (_cpu_lever(outcome, in_groups), _ionice_lever(disks, outcome.get("ionice", "")))


def _cpu_lever(outcome: Outcome, in_groups: bool) -> Lever:
    failed = [f"{name}: {why}" for name, why in outcome.items() if why and name != "ionice"]
    name = "nice, SCHED_IDLE"
    if len(failed) == 2:
        return Lever(name, Bites.NO, "; ".join(failed))
    whom = "what computes in its own group" if in_groups else "everything that computes"
    why = f"processors only: it yields to {whom}, and still reads at full speed"
    return Lever(name, Bites.PARTLY, "; ".join([why, *failed]))


def _ionice_lever(disks: Sequence[Disk], failed: str) -> Lever:
    if failed:
        return Lever("ionice idle", Bites.NO, failed)
    if not disks:
        return Lever("ionice idle", Bites.UNKNOWN, "no disk was found below the data")
    deaf = [disk for disk in disks if not disk.honours_ionice]
    named = ", ".join(f"{disk.name}: {disk.scheduler or 'none'}" for disk in deaf or disks)
    if not deaf:
        why = f"the scheduler honours it ({named}) for reads; buffered writes go out under flushers"
        return Lever("ionice idle", Bites.YES, why)
    why = f"the scheduler ignores it ({named}); only bfq and mq-deadline honour I/O priorities"
    return Lever("ionice idle", Bites.NO if len(deaf) == len(disks) else Bites.PARTLY, why)
