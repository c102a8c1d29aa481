"""What the disk's answers are like when the backup does not disturb it: base delay and its noise.

The base is a windowed minimum, so it follows a disk that became slower; a minimum is only honest if
the backup steps aside now and then (LEDBAT++, draft-irtf-iccrg-ledbat-plus-plus, "periodic
slowdown"), which the law does each minute. The noise comes from those quiet moments alone.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW_S = 180.0
BIN_S = 15.0
QUIET_SAMPLES = 200
LATEST, LATEST_S = 5, 1.0


class Calm:
    """One sensor's base delay, and how far above it calm answers lie."""

    __slots__ = ("_bins", "_latest", "_noise_s", "_quiet")

    def __init__(self) -> None:
        self._bins: deque[tuple[float, float]] = deque()  # (bin's beginning, its minimum)
        self._quiet: deque[float] = deque(maxlen=QUIET_SAMPLES)
        self._latest: deque[tuple[float, float]] = deque(maxlen=LATEST)
        self._noise_s: float | None = None

    def add(self, at_s: float, delay_s: float, *, quiet: bool) -> None:
        """Learn from one answer; ``quiet`` says that the backup was standing aside."""
        self._latest.append((at_s, delay_s))
        begin_s = math.floor(at_s / BIN_S) * BIN_S
        if self._bins and self._bins[-1][0] == begin_s:
            self._bins[-1] = (begin_s, min(self._bins[-1][1], delay_s))
        else:
            self._bins.append((begin_s, delay_s))
            while self._bins[0][0] < at_s - WINDOW_S:
                self._bins.popleft()
        if quiet:
            self._quiet.append(delay_s)
            self._noise_s = None

    @property
    def base_s(self) -> float:
        """The shortest delay of the window; 0 before the first answer."""
        return min((shortest for _, shortest in self._bins), default=0.0)

    def usual_s(self, now_s: float, age_s: float = 0.0) -> float:
        """Return the median of the latest answers, the one still awaited among them."""
        recent = [delay_s for at_s, delay_s in self._latest if now_s - at_s <= LATEST_S]
        latest = sorted([*recent[-LATEST + 1 :], age_s] if age_s else recent)
        return latest[len(latest) // 2] if len(latest) > 1 else 0.0

    @property
    def noise_s(self) -> float:
        """How far above the base 95 % of the quiet answers stay; 0 before the first of them."""
        if self._noise_s is None:
            if not self._quiet:
                return 0.0
            ordered = sorted(self._quiet)
            self._noise_s = ordered[int(0.95 * (len(ordered) - 1))]
        return max(0.0, self._noise_s - self.base_s)
