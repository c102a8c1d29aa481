"""A token bucket in pure form: how long to wait after these bytes, at this rate, now.

What is owed is kept in bytes, not in seconds, so a new rate also governs the wait that is already
under way. What a slow reader leaves unused is lost but for ``CREDIT_S``, which only makes up for
timers that fire late: hoarded credit would become a burst just when the disk has begun to stall.
"""

from __future__ import annotations

import math

CREDIT_S = 0.003

SHORTEST_S = 1e-6
"""No timer is finer; what is not waited for stays owed."""


class Pacer:
    """One reader's bucket; time is an argument, and the caller does the waiting."""

    __slots__ = ("_at_s", "_owed_bytes", "_rate_bytes_per_s")

    def __init__(self, rate_bytes_per_s: float, now_s: float) -> None:
        self._rate_bytes_per_s = max(0.0, rate_bytes_per_s)
        self._owed_bytes = 0.0
        self._at_s = now_s

    @property
    def rate_bytes_per_s(self) -> float:
        """The rate in force; 0 lets nothing pass, infinity everything."""
        return self._rate_bytes_per_s

    def turn(self, rate_bytes_per_s: float, now_s: float) -> None:
        """Put another rate in force, at once."""
        self._settle(now_s)
        self._rate_bytes_per_s = max(0.0, rate_bytes_per_s)

    def grant(self, n_bytes: int, now_s: float) -> float:
        """Account for bytes just read, and return how long to wait before reading on."""
        self._settle(now_s)
        self._owed_bytes += n_bytes
        return self._wait_s()

    def wait_s(self, now_s: float) -> float:
        """Return how long to wait still: infinite while the rate is zero."""
        self._settle(now_s)
        return self._wait_s()

    def _wait_s(self) -> float:
        rate = self._rate_bytes_per_s
        if rate == 0.0:
            return math.inf
        wait_s = self._owed_bytes / rate
        return wait_s if wait_s > SHORTEST_S else 0.0

    def _settle(self, now_s: float) -> None:
        passed_s = now_s - self._at_s
        if passed_s <= 0.0:  # a clock that stands still or jumps back pays nothing off
            return
        self._at_s = now_s
        rate = self._rate_bytes_per_s
        if math.isinf(rate):
            self._owed_bytes = 0.0
        else:
            self._owed_bytes = max(self._owed_bytes - rate * passed_s, -rate * CREDIT_S)
