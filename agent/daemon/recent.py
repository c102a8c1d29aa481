"""The last ten minutes, a row a second, for the charts of the agent's page: 30 kB and no more.

The flight recorder's ring has the whole hour; decoding it for every visitor would cost the node
more than looking is worth.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agent.model import Probe
from agent.recorder.frame import MEMORY, PSI, Frame

LENGTH = 600  # seconds
RUNTIMES = ("docker", "cri")
COLUMNS = (
    *("cpu_pct", "io_pct", "io_full_pct", "memory_pct", "memory_full_pct"),
    "available_bytes",
    *("docker_answered_s", "docker_waits_s", "cri_answered_s", "cri_waits_s"),
)
_PRESSURES = (("cpu", 1), ("io", 1), ("io", 3), ("memory", 1), ("memory", 3))
_KIB = 1024
_LONGEST_STEP_S = 10.0  # of what lies further apart nobody knows when it was
_UNKNOWN = float("nan")


@dataclass(slots=True)
class Recent:
    """Rows under running numbers; one thread adds, any thread reads."""

    length: int = LENGTH
    count: int = 0
    _times: array[float] = field(init=False)
    _values: array[float] = field(init=False)
    _last: tuple[int, ...] | None = None  # running totals, and when: µs and ms
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._times = array("d", [0.0]) * self.length
        self._values = array("f", [0.0]) * (self.length * len(COLUMNS))

    def take(self, frame: Frame, probes: Iterable[Probe]) -> None:
        """Keep one second; what was not measured is unknown, and not zero."""
        memory = frame.rows.get((MEMORY,))
        available = memory[0] * _KIB if memory else _UNKNOWN
        row = array("f", (*self._shares(frame), available, *_waits(probes)))
        width, place = len(COLUMNS), self.count % self.length
        with self._lock:
            self._times[place] = frame.at_ms / 1000
            self._values[place * width : (place + 1) * width] = row
            self.count += 1

    def since(self, number: int) -> dict[str, Any]:
        """Give the rows from a running number on; all of them when it is none of ours."""
        width = len(COLUMNS)
        with self._lock:
            first = max(self.count - self.length, 0)
            start = number if first <= number <= self.count else first
            places = [n % self.length for n in range(start, self.count)]
            times = [self._times[place] for place in places]
            rows = [self._values[place * width : (place + 1) * width] for place in places]
            until = self.count
        told = [[at_s, *map(_told, row)] for at_s, row in zip(times, rows, strict=True)]
        return {"from": start, "next": until, "columns": ["at_s", *COLUMNS], "rows": told}

    def _shares(self, frame: Frame) -> Iterable[float]:
        """Give the shares of the last second, in percent, from totals that only grow."""
        rows = [frame.rows.get((PSI, resource)) for resource, _ in _PRESSURES]
        totals = [
            row[column] if row else -1 for row, (_, column) in zip(rows, _PRESSURES, strict=True)
        ]
        before, self._last = self._last, (frame.at_ms, *totals)
        step_ms = frame.at_ms - before[0] if before else 0
        if not before or not 0 < step_ms <= _LONGEST_STEP_S * 1000:
            return [_UNKNOWN] * len(_PRESSURES)
        return [
            min((now - then) / step_ms / 10, 100.0) if 0 <= then <= now else _UNKNOWN
            for then, now in zip(before[1:], totals, strict=True)
        ]


def _waits(probes: Iterable[Probe]) -> Iterable[float]:
    """Give for each runtime how long the answer took, or how long it has been waited for."""
    longest: dict[tuple[str, bool], float] = {}
    for probe in probes:
        key = (RUNTIMES[not probe.question.startswith("docker")], probe.answered)
        longest[key] = max(longest.get(key, 0.0), probe.took_s)
    return [
        longest.get((runtime, answered), _UNKNOWN)
        for runtime in RUNTIMES
        for answered in (True, False)
    ]


def _told(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 3)


def number_asked(query: str) -> int:
    """Read ``since=N``; whatever else was asked means everything."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == "since" and value.isdecimal() and len(value) < 16:
            return int(value)
    return -1
