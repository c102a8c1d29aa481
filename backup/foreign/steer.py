"""From an allowed rate to what the kernel does: the cap, the freezing, and what was really moved.

Pure but for the files that the throttle writes; the loop that calls `tick` owns the time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from backup.foreign.freeze import Duty
from backup.levers.limits import LEAST_BYTES_PER_S, Throttle

TICK_S = 0.05
_SAME = 0.05
"""A cap this close to the last one is not written again: each write starts a new slice."""

Counters = Mapping[str, int]


class Governing(Protocol):
    """What decides how fast the program may go."""

    def start(self) -> None:
        """Begin to look at the disk."""

    def stop(self) -> None:
        """Look no more."""

    def allowed_bytes_per_s(self) -> float:
        """Return the rate allowed now; 0 means a pause, infinity no limit."""

    def take_notices(self) -> list[str]:
        """Return what must be said since the last call."""

    def summary(self) -> str:
        """Say in a few words what was held back, and why."""


class Progress(Protocol):
    """What the program does with the disk, as the governor asks for it."""

    def delta(self) -> int:
        """Return the bytes moved since the last call."""

    def waiting(self) -> bool:
        """Say whether some of it waits for a disk now, or is held back by us."""


class Meter:
    """Turns growing counters into bytes moved on the busiest way since the last look."""

    def __init__(
        self, read: Callable[[], Counters], waits: Callable[[], bool] = lambda: False
    ) -> None:
        self._read = read
        self._waits = waits
        self._last: dict[str, int] = dict(read())
        self.total_bytes = 0

    def delta(self) -> int:
        """Return the bytes since the last call; a counter that falls counts as standing still."""
        most = 0
        for name, value in self._read().items():
            before = self._last.get(name, 0)
            if value > before:
                most = max(most, value - before)
                self._last[name] = value
        self.total_bytes += most
        return most

    def waiting(self) -> bool:
        """Say whether some of it waits for a disk now, or is held back by us."""
        return self._waits()


@dataclass(slots=True)
class Actuators:
    """What this node lets us pull: any of it may be missing."""

    throttle: Throttle | None = None
    duty: Duty | None = None


class Steering:
    """One program's rudder."""

    def __init__(self, governing: Governing, actuators: Actuators, meter: Meter) -> None:
        self._governing = governing
        self._throttle = actuators.throttle
        self._duty = actuators.duty
        self.meter = meter
        self._cap_bytes_per_s = math.inf
        self.frozen_s = 0.0
        self.complaint = ""

    def tick(self, now_s: float) -> float:
        """Look, pass on, and act; return for how long to freeze the program now, or 0."""
        moved_bytes = self.meter.delta()
        rate = self._governing.allowed_bytes_per_s()
        self._cap(rate)
        if self._duty is None:
            return 0.0
        self._duty.turn(rate, now_s)
        self._duty.moved(moved_bytes, now_s)
        slice_s = self._duty.due_s(now_s)
        self.frozen_s += slice_s
        return slice_s

    def release(self) -> None:
        """Freeze no more: the program was asked to end and must be able to."""
        self._duty = None

    def _cap(self, rate: float) -> None:
        """Bring the kernel's cap in line: cuts at once, the rest when it makes a difference."""
        if self._throttle is None:
            return
        wanted = max(rate, LEAST_BYTES_PER_S)  # a kernel cap of zero means none at all
        old = self._cap_bytes_per_s
        if wanted == old or (math.isfinite(old) and abs(wanted - old) < _SAME * old):
            return
        self._cap_bytes_per_s = wanted
        complaint = self._throttle.set_rate(wanted)
        self.complaint = self.complaint or complaint
