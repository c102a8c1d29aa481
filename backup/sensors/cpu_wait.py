"""For how long a thread waited for a processor: the part of an answer's delay that no disk made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

_FILE = Path("/proc/thread-self/schedstat")  # ns run, ns waited to run, slices: sched-stats.rst


def cpu_wait_s() -> float:
    """Return what this thread has waited for a processor so far; 0 where the kernel counts none."""
    try:
        return int(_FILE.read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def excusing(ask: Callable[[], object]) -> Callable[[], float]:
    """Return the question with, as its answer, what it waited for a processor meanwhile."""

    def asked() -> float:
        before_s = cpu_wait_s()
        ask()
        return cpu_wait_s() - before_s

    return asked
