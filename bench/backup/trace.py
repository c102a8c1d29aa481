"""What happens to the disk and the foreground in the course of a run, and what that leaves over."""

from __future__ import annotations

from dataclasses import dataclass

from bench.backup.slow_disk import BYTES_PER_S, IOPS

READ_AHEAD_BYTES = 131_072
"""What one request of a streaming backup fetches."""


@dataclass(frozen=True, slots=True)
class Phase:
    """So long, so many transactions a second, on a volume that allows so much."""

    length_s: float
    tps: int = 250
    bytes_per_s: int = BYTES_PER_S
    iops: int = IOPS


@dataclass(frozen=True, slots=True)
class Trace:
    """Phases, one after the other."""

    name: str
    phases: tuple[Phase, ...]

    @property
    def length_s(self) -> float:
        """How long it takes."""
        return sum(phase.length_s for phase in self.phases)


@dataclass(frozen=True, slots=True)
class Used:
    """What the foreground took of the disk in one phase without any backup."""

    reads_per_s: float
    bytes_per_s: float


def leftover_bytes_per_s(phase: Phase, used: Used) -> float:
    """Return the most that a backup could take in this phase and nobody would miss."""
    by_bytes = phase.bytes_per_s - used.bytes_per_s
    by_requests = (phase.iops - used.reads_per_s) * READ_AHEAD_BYTES
    return max(0.0, min(by_bytes, by_requests))


def steady(length_s: float) -> Trace:
    """One load on one volume."""
    return Trace("steady", (Phase(length_s),))


def varying(each_s: float) -> Trace:
    """A load that doubles, then a volume whose credits are gone."""
    poor = Phase(each_s, bytes_per_s=BYTES_PER_S // 3, iops=IOPS // 2)
    return Trace("varying", (Phase(each_s), Phase(each_s, tps=500), poor))
