"""When the kernel said it: journald stamps a line when it reads it, which may be much later.

A journald that has lost its place in the kernel's ring buffer (a new boot, an emptied /run) reads
old lines again and stamps them now. Each line carries the kernel's own clock beside the stamp, but
that clock is not disciplined by NTP and wanders off on a long-running node, so a small difference
is no reason to doubt the stamp.
"""

from __future__ import annotations

LATE_US = 1_000_000  # journald under load reads a line this much later
DRIFT = 50e-6  # of the time since boot: quartz, undisciplined


def said_at_us(realtime_us: int, monotonic_us: int, source_monotonic_us: int) -> int:
    """Wall-clock time of a kernel line that was stamped later than drift and load explain."""
    late_us = monotonic_us - source_monotonic_us
    if late_us <= LATE_US + DRIFT * monotonic_us:
        return realtime_us
    return realtime_us - late_us
