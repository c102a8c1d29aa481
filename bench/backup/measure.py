"""One run of one arm over one trace, and what came of it."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backup.simulation.plant import Waited, quantile
from bench.backup.arms import Arm
from bench.backup.load import PROBE_PATIENCE_S, Pgbench, RuntimeProbe
from bench.backup.server import Evictor, Server
from bench.backup.slow_disk import SlowDisk
from bench.backup.trace import Phase, Trace

QUIET_LOAD = 1.5
QUIET_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Span:
    """What one phase of a run gave."""

    length_s: float
    transactions: int
    p50_s: float
    p99_s: float
    worst_s: float
    probe_p99_s: float
    probe_misses: int
    read_bytes: int
    """Of the device, by everybody."""
    reads: int
    p99_by_second_s: tuple[float, ...] = ()
    """By the second in which a transaction was due."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run, raw."""

    arm: str
    trace: str
    load_before: float
    spans: tuple[Span, ...]
    streamed_bytes: int

    def as_json(self) -> dict[str, object]:
        """Return it for the file of raw data."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Run:
        """Return what was kept by ``as_json``."""
        spans = tuple(
            Span(**{**span, "p99_by_second_s": tuple(span["p99_by_second_s"])})
            for span in kept["spans"]
        )
        return cls(**{**kept, "spans": spans})


class Stage:
    """Server, disk and probe, ready for one run after the other."""

    def __init__(self, server: Server, disk: SlowDisk, scratch: Path) -> None:
        self._server, self._disk, self._scratch = server, disk, scratch

    def run(self, arm: Arm, trace: Trace) -> Run:
        """Play one trace; the clock starts when the backup has begun to read."""
        server, disk = self._server, self._disk
        first = trace.phases[0]
        load = _quiet()
        server.sql("CHECKPOINT")
        with (
            tempfile.TemporaryDirectory(dir=self._scratch) as folder,
            Evictor(server.files()),
            RuntimeProbe(disk.folder / "runtime") as probe,
        ):
            place = Path(folder)
            place.chmod(0o755)
            time.sleep(1.0)
            disk.cap(first.bytes_per_s, first.iops)
            try:
                with arm.running(server, place / "arm"):
                    probe.take()
                    spans = [
                        self._span(phase, place / f"load{number}", probe)
                        for number, phase in enumerate(trace.phases)
                    ]
                    streamed = server.streamed_bytes()
            finally:
                disk.cap(0, 0)
        return Run(arm.name, trace.name, load, tuple(spans), streamed)

    def _span(self, phase: Phase, folder: Path, probe: RuntimeProbe) -> Span:
        self._disk.cap(phase.bytes_per_s, phase.iops)
        began_s, (reads, size) = time.monotonic(), self._disk.read_so_far()
        foreground = Pgbench(self._server, phase, folder)
        time.sleep(max(0.0, began_s + phase.length_s - time.monotonic()))
        reads_after, size_after = self._disk.read_so_far()
        ended_s = time.monotonic()
        found, asked = foreground.waits(), probe.take()
        waits = [one.took_s for one in found]
        return Span(
            length_s=ended_s - began_s,
            transactions=len(waits),
            p50_s=quantile(waits, 0.5),
            p99_s=quantile(waits, 0.99),
            worst_s=max(waits, default=0.0),
            probe_p99_s=quantile(asked, 0.99),
            probe_misses=sum(took_s > PROBE_PATIENCE_S for took_s in asked),
            read_bytes=size_after - size,
            reads=reads_after - reads,
            p99_by_second_s=by_second(found),
        )


def by_second(waits: Sequence[Waited]) -> tuple[float, ...]:
    """Return the 99th percentile of each second in which something was due."""
    began_s = min((one.at_s for one in waits), default=0.0)
    seconds: dict[int, list[float]] = {}
    for one in waits:
        seconds.setdefault(int(one.at_s - began_s), []).append(one.took_s)
    return tuple(quantile(seconds[second], 0.99) for second in sorted(seconds))


def _quiet() -> float:
    """Wait for a quiet machine, though not for ever; return the load that a run begins with."""
    until_s = time.monotonic() + QUIET_PATIENCE_S
    while os.getloadavg()[0] > QUIET_LOAD and time.monotonic() < until_s:
        time.sleep(1.0)
    return os.getloadavg()[0]


def backup_bytes(run: Run, none: Sequence[Run]) -> float:
    """Return what the backup read: all that was read, less what these transactions read alone."""
    alone = sum(span.read_bytes for one in none for span in one.spans)
    each = alone / max(1, sum(span.transactions for one in none for span in one.spans))
    return sum(max(0.0, span.read_bytes - each * span.transactions) for span in run.spans)
