"""What a second of the recorder means for the metrics: pressure, probes, gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.daemon.metrics import Metrics
from agent.daemon.recent import Recent
from agent.model import Probe
from agent.recorder.frame import PSI
from agent.recorder.loop import Second
from agent.recorder.ring_read import GAP_S

_RESOURCES = ("cpu", "io", "memory")
_STRAINED_FROM_PCT = 20.0  # of the time


@dataclass(slots=True)
class Seconds:
    """Takes seconds in; knows whether they still come, and how long the disk makes others wait."""

    metrics: Metrics
    ring: Path
    recent: Recent = field(default_factory=Recent)
    last_s: float | None = None
    io_waiting_pct: float | None = None  # none where the kernel counts no pressure
    trouble: str = ""
    last_probe_s: dict[str, float] = field(default_factory=dict)
    gaps: list[tuple[float, float]] = field(default_factory=list)  # since they were last asked for
    _gap_s: float = 0.0
    _waiting: dict[str, float] = field(default_factory=dict)  # question: since when

    def take(self, second: Second) -> None:
        """Take one second in."""
        frame = second.taken.frame
        at_s = frame.at_ms / 1000
        self._count(at_s)
        self.trouble = second.ring_error
        self.recent.take(frame, second.probes)
        for resource in _RESOURCES:
            row = frame.rows.get((PSI, resource))
            if row:
                self.metrics.total("pressure_waiting_seconds_total", row[1] / 1e6, resource)
                self.metrics.total("pressure_stalled_seconds_total", row[3] / 1e6, resource)
        io = frame.rows.get((PSI, "io"))
        self.io_waiting_pct = io[0] / 100 if io else None
        for probe in second.probes:
            self._probe(probe)

    @property
    def strained(self) -> bool:
        """Whether something waits for the disk, or may: who does what is then worth a look."""
        return self.io_waiting_pct is None or self.io_waiting_pct >= _STRAINED_FROM_PCT

    def missed(self) -> list[tuple[float, float]]:
        """Give the gaps since the last time: from one sample to the next."""
        gaps, self.gaps = self.gaps, []
        return gaps

    def measure_ring(self) -> None:
        """Look how large the ring is."""
        try:
            self.metrics.set("recorder_bytes", self.ring.stat().st_size)
        except OSError:
            self.metrics.set("recorder_bytes", 0)

    def _count(self, at_s: float) -> None:
        self.metrics.add("recorder_samples_total")
        self.metrics.set("recorder_last_sample_timestamp_seconds", at_s)
        if self.last_s is not None:
            gap_s = at_s - self.last_s
            self._gap_s = max(self._gap_s, gap_s)
            self.metrics.set("recorder_gap_seconds_max", self._gap_s)
            if gap_s > GAP_S:
                self.metrics.add("blind_seconds_total", gap_s, "recorder")
                self.gaps.append((self.last_s, at_s))
        self.last_s = at_s

    def _probe(self, probe: Probe) -> None:
        """A question that waits is told every second; it is unanswered once the next one is put."""
        runtime = "docker" if probe.question.startswith("docker") else "cri"
        since_s = self._waiting.get(runtime)
        if since_s is not None and since_s != probe.at_s:
            self.metrics.add("runtime_probe_unanswered_total", 1, runtime)
            del self._waiting[runtime]
        if probe.answered:
            self._waiting.pop(runtime, None)
            self.metrics.observe("runtime_probe_duration_seconds", probe.took_s, runtime)
        else:
            self._waiting[runtime] = probe.at_s
        self.last_probe_s[runtime] = probe.at_s + probe.took_s
        self.metrics.set("runtime_probe_last_seconds", probe.took_s, runtime)
