"""A simulated disk under load, in which the law is tested in seconds instead of nights.

Two disks: a volume capped by a token bucket in slices of 100 ms, as blk-throttle and cloud volumes
do it (latency is next to nothing, then a cliff), and a disk bound by the time of each request.
First in, first out, and both know at arrival when a request will be served: no queue is simulated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Protocol

CHUNK_BYTES = 131_072
"""What a streaming backup costs the disk at a time: one read-ahead, not the 32 kB it asks for."""

PAGE_BYTES = 8192
READS_PER_TRANSACTION = 1.78
SLICE_S = 0.1
DEVICE_BYTES_PER_S = 400e6
UNIX_BUFFER_BYTES = 160_000
TCP_BUFFER_BYTES = 4_000_000
_LONG_AGO = -(10**9)


@dataclass(frozen=True, slots=True)
class Phase:
    """From when on the volume allows how much, and how many transactions a second ask for it."""

    from_s: float
    tps: float = 250.0
    bytes_per_s: float = 60e6
    iops: float = 1200.0

    @property
    def leftover_bytes_per_s(self) -> float:
        """The most a reader could take that nobody else would miss."""
        reads = self.tps * READS_PER_TRANSACTION
        by_bytes = self.bytes_per_s - reads * PAGE_BYTES
        return max(0.0, min(by_bytes, (self.iops - reads) * CHUNK_BYTES))


@dataclass(frozen=True, slots=True)
class Trace:
    """A run's phases in order, the first from zero on, and the run's length."""

    phases: tuple[Phase, ...]
    length_s: float

    def spans(self) -> list[tuple[Phase, float, float]]:
        """Return each phase with where it begins and ends."""
        ends = [phase.from_s for phase in self.phases[1:]] + [self.length_s]
        return [(p, p.from_s, end) for p, end in zip(self.phases, ends, strict=True)]

    def oracle_bytes(self) -> float:
        """Return what a backup that knows the future could read without harming anyone."""
        return sum(p.leftover_bytes_per_s * (end - start) for p, start, end in self.spans())


class Disk(Protocol):
    """What a request meets: when it is served, and how long anyone has waited so far."""

    def serve(self, now_s: float, size_bytes: int) -> float:
        """Return when a request made now begins to be served."""

    def turn(self, phase: Phase) -> None:
        """Take over the limits of a new phase."""

    def stalled_s(self, now_s: float) -> float:
        """Return for how long some request has waited, up to now: what PSI would count."""


class Stalls:
    """The union of the times in which some request waited."""

    __slots__ = ("_closed_s", "_from_s", "_to_s")

    def __init__(self) -> None:
        self._closed_s = 0.0
        self._from_s = self._to_s = -math.inf

    def add(self, from_s: float, to_s: float) -> None:
        """Add one request's wait; waits begin in the order in which requests come."""
        if from_s > self._to_s:
            self._closed_s = self.until(from_s)
            self._from_s = from_s
        self._to_s = max(self._to_s, to_s)

    def until(self, now_s: float) -> float:
        """Return the seconds of the union that have passed by now."""
        if self._from_s == -math.inf:
            return 0.0
        return self._closed_s + max(0.0, min(now_s, self._to_s) - self._from_s)


class TokenBucket:
    """A volume with so many bytes and requests a slice; what is left over lasts one slice more."""

    def __init__(self, phase: Phase) -> None:
        self.turn(phase)
        self._slice = _LONG_AGO
        self._bytes = self._reads = 0.0
        self._last_s = -math.inf
        self._stalls = Stalls()

    def turn(self, phase: Phase) -> None:
        """Take over the limits of a new phase."""
        self._slice_bytes = phase.bytes_per_s * SLICE_S
        self._slice_reads = phase.iops * SLICE_S

    def serve(self, now_s: float, size_bytes: int) -> float:
        """Return when the bucket lets a request pass that comes now."""
        at_s = max(now_s, self._last_s)
        self._roll(math.floor(at_s / SLICE_S))
        while self._bytes >= self._slice_bytes or self._reads >= self._slice_reads:
            self._roll(self._slice + 1)
            at_s = self._slice * SLICE_S
        self._bytes += size_bytes
        self._reads += 1
        self._last_s = at_s
        if at_s > now_s:
            self._stalls.add(now_s, at_s)
        return at_s

    def _roll(self, slice_number: int) -> None:
        passed = slice_number - self._slice
        if passed > 0:
            self._bytes = max(-self._slice_bytes, self._bytes - passed * self._slice_bytes)
            self._reads = max(-self._slice_reads, self._reads - passed * self._slice_reads)
            self._slice = slice_number

    def stalled_s(self, now_s: float) -> float:
        """Return for how long some request has waited, up to now."""
        return self._stalls.until(now_s)


class LatencyBound:
    """A disk that serves one request after the other: a fixed time each, and the transfer."""

    def __init__(self, phase: Phase) -> None:
        self.turn(phase)
        self._free_s = -math.inf
        self._stalls = Stalls()

    def turn(self, phase: Phase) -> None:
        """Take over the limits of a new phase."""
        self._each_s = 1 / phase.iops
        self._per_byte_s = 1 / phase.bytes_per_s

    def serve(self, now_s: float, size_bytes: int) -> float:
        """Return when the request is done: its own service is part of the wait here."""
        begin_s = max(now_s, self._free_s)
        self._free_s = begin_s + self._each_s + size_bytes * self._per_byte_s
        self._stalls.add(now_s, self._free_s)
        return self._free_s

    def stalled_s(self, now_s: float) -> float:
        """Return for how long some request has waited, up to now."""
        return self._stalls.until(now_s)


@dataclass(frozen=True, slots=True)
class Own:
    """What we cannot do ourselves, on a node whose processors are busy."""

    bytes_per_s: float = math.inf
    """As fast as the reader compresses and uploads."""
    stall_s: float = 0.0
    """For how long a part's upload holds the reader."""
    stall_every_bytes: int = 8 << 20
    late_share: float = 0.0
    """Of the probes, that wait for a processor before the answer is seen, and for how long."""
    late_s: float = 0.02
    pressed_share: float = 0.0
    """Of the time, in which tasks wait for other disks: pressure does not tell which."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands around the law: the way to the disk, and how well the sensors see."""

    disk: Callable[[Phase], Disk] = TokenBucket
    buffer_bytes: int = UNIX_BUFFER_BYTES
    probe_delay_s: float = 0.0
    noise: float = 0.45
    seed: int = 1
    own: Own = Own()
    counted: bool = True
    """Whether the volume's counters can be seen; they are used over a unix socket only."""


@dataclass(frozen=True, slots=True)
class Waited:
    """One transaction of the foreground."""

    at_s: float
    took_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run did: bytes for the backup, waits for everybody else."""

    trace: Trace
    read_bytes: int
    waited: tuple[Waited, ...]
    rates: tuple[tuple[float, float, float], ...]
    """(time, rate allowed, rate achieved) at each step of the law."""

    @property
    def efficiency(self) -> float:
        """The share of the oracle's bytes."""
        return self.read_bytes / self.trace.oracle_bytes()

    def p99_s(self, from_s: float = 0.0, to_s: float = math.inf) -> float:
        """Return the 99th percentile of the foreground's waits in a span."""
        return quantile([w.took_s for w in self.waited if from_s <= w.at_s < to_s], 0.99)

    def phase_p99_s(self) -> tuple[float, ...]:
        """Return the 99th percentile of each phase."""
        return tuple(self.p99_s(start, end) for _, start, end in self.trace.spans())

    def harm_s(self, limit_s: float) -> int:
        """Count the seconds whose 99th percentile is above the limit: harm seconds."""
        seconds: dict[int, list[float]] = {}
        for wait in self.waited:
            seconds.setdefault(int(wait.at_s), []).append(wait.took_s)
        return sum(quantile(waits, 0.99) > limit_s for waits in seconds.values())

    def late_share(self, limit_s: float) -> float:
        """Return the share of transactions that took longer than the limit."""
        late = sum(w.took_s > limit_s for w in self.waited)
        return late / max(1, len(self.waited))

    def achieved_bytes_per_s(self, from_s: float, to_s: float) -> float:
        """Return the mean rate achieved in a span, from the steps inside it."""
        inside = [(t, got) for t, _, got in self.rates if from_s <= t <= to_s]
        moved = sum(got * (t - before) for (before, _), (t, got) in pairwise(inside))
        return moved / (inside[-1][0] - inside[0][0]) if len(inside) > 1 else 0.0


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed; 0 for none.

    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def lognormal(random: Random, median_s: float, sigma: float) -> float:
    """Draw a service time: most are near the median, a few are several times as long."""
    return median_s * math.exp(random.gauss(0.0, sigma))
