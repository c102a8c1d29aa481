"""What following a stream has cost this process: nothing is imported here that an arm might not."""

from __future__ import annotations

import resource
from pathlib import Path


class Meter:
    """CPU from the first change to the last, CPU of the whole life, and peak memory."""

    def __init__(self) -> None:
        self._first_s: float | None = None

    def heard(self) -> None:
        """Remember when the first change came in."""
        if self._first_s is None:
            self._first_s = _cpu_s()

    def cost(self, changes: int) -> dict[str, float]:
        """Everything measured, at the end."""
        whole_s = _cpu_s()
        return {
            "changes": changes,
            "stream_cpu_s": whole_s - (self._first_s or 0.0),
            "whole_cpu_s": whole_s,
            "peak_rss_bytes": _peak_rss_bytes(),
        }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_rss_bytes() -> int:
    """High-water mark of this program alone: ru_maxrss would remember the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1024
