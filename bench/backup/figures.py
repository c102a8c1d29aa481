"""From raw runs to medians with intervals, to a table and to one picture."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from backup.simulation.plant import quantile
from bench.backup.measure import Run, backup_bytes
from bench.backup.trace import Trace, Used, leftover_bytes_per_s

RESAMPLES = 1000
HEAD = (
    "trace",
    "arm",
    "runs",
    "% of the oracle",
    "p99, times idle",
    "p50, times idle",
    "harm s",
    "probe misses",
    "load",
)
HARM_TIMES = 2.0
"""A second is one of harm when its 99th percentile is more than so many times the idle phase's."""


@dataclass(frozen=True, slots=True)
class Middle:
    """A median, and where it lies in nine of ten resamplings."""

    value: float
    low: float
    high: float

    def text(self, digits: int = 0) -> str:
        """Write it with its interval."""
        return f"{self.value:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Line:
    """One arm over one trace."""

    trace: str
    arm: str
    share: Middle
    """Of the bytes that a backup could have read and nobody would have missed."""
    p99_times: tuple[Middle, ...]
    p50_times: tuple[Middle, ...]
    p99_s: tuple[float, ...]
    harm_s: Middle
    """Seconds of harm in one run."""
    misses: int
    runs: int
    load: tuple[float, float]
    """The least and the most that the machine was loaded with when a run began."""

    def cells(self) -> tuple[str, ...]:
        """Return the table's row."""
        p99 = " / ".join(one.text(1) for one in self.p99_times)
        p50 = " / ".join(f"{one.value:.1f}" for one in self.p50_times)
        counts = self.harm_s.text(), str(self.misses), "{:.1f}-{:.1f}".format(*self.load)
        return self.trace, self.arm, str(self.runs), self.share.text(), p99, p50, *counts


def middle(values: Sequence[float], seed: int = 1) -> Middle:
    """Return the median and its bootstrap interval."""
    random = Random(seed)
    drawn = [quantile(random.choices(values, k=len(values)), 0.5) for _ in range(RESAMPLES)]
    return Middle(quantile(values, 0.5), quantile(drawn, 0.05), quantile(drawn, 0.95))


def leftover(trace: Trace, none: Sequence[Run]) -> tuple[float, ...]:
    """Return what the recorded foreground left over, in bytes a second of each phase."""
    found = []
    for number, phase in enumerate(trace.phases):
        spans = [one.spans[number] for one in none]
        length_s = sum(span.length_s for span in spans)
        reads = sum(span.reads for span in spans) / length_s
        size = sum(span.read_bytes for span in spans) / length_s
        found.append(leftover_bytes_per_s(phase, Used(reads, size)))
    return tuple(found)


def lines(trace: Trace, runs: Sequence[Run]) -> list[Line]:
    """Return a line for each arm of a trace, in the order in which they first ran."""
    mine = [run for run in runs if run.trace == trace.name]
    none = [run for run in mine if run.arm == "none"]
    rates = leftover(trace, none)
    names = sorted({run.arm for run in mine}, key=lambda name: (name != "none", name))
    return [_line(trace, [run for run in mine if run.arm == name], none, rates) for name in names]


def _line(trace: Trace, arm: Sequence[Run], none: Sequence[Run], rates: Sequence[float]) -> Line:
    possible = [
        sum(rate * span.length_s for rate, span in zip(rates, run.spans, strict=True))
        for run in arm
    ]
    shares = [100 * backup_bytes(run, none) / most for run, most in zip(arm, possible, strict=True)]
    spans = range(len(trace.phases))
    calm99 = [quantile([run.spans[n].p99_s for run in none], 0.5) for n in spans]
    calm50 = [quantile([run.spans[n].p50_s for run in none], 0.5) for n in spans]
    return Line(
        trace.name,
        arm[0].arm,
        middle(shares),
        tuple(middle([run.spans[n].p99_s / calm99[n] for run in arm]) for n in spans),
        tuple(middle([run.spans[n].p50_s / calm50[n] for run in arm]) for n in spans),
        tuple(quantile([run.spans[n].p99_s for run in arm], 0.5) for n in spans),
        middle([_harm_s(run, calm99) for run in arm]),
        sum(span.probe_misses for run in arm for span in run.spans),
        len(arm),
        (min(run.load_before for run in arm), max(run.load_before for run in arm)),
    )


def _harm_s(run: Run, calm_s: Sequence[float]) -> float:
    return sum(
        p99_s > HARM_TIMES * calm99_s
        for span, calm99_s in zip(run.spans, calm_s, strict=True)
        for p99_s in span.p99_by_second_s
    )


WIDTH, HEIGHT, LEFT, TOP = 640, 360, 60, 30


def picture(found: Sequence[Line], title: str) -> str:
    """Draw efficiency against the worst phase's p99: up and to the left is better."""
    worst = [max(one.value for one in line.p99_times) for line in found]
    decades = max(1.0, *(_log10(value) for value in worst)) * 1.1
    across = _scale(0.0, decades, LEFT, WIDTH - 150)
    down = _scale(0.0, 110.0, HEIGHT - 40, TOP)
    marks = [_axes(across, down, decades)]
    taken: list[float] = []
    for line, times in sorted(
        zip(found, worst, strict=True), key=lambda pair: -pair[0].share.value
    ):
        x, y = across(max(0.0, _log10(times))), down(min(110.0, line.share.value))
        label_y = _free(y + 4, taken)
        colour = "#c2410c" if line.arm == "knockon" else "#475569"
        marks.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="5" fill="{colour}"/>')
        marks.append(f'<text x="{x + 9:.0f}" y="{label_y:.0f}">{html.escape(line.arm)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{LEFT}" y="18" font-size="13">{html.escape(title)}</text>'
        f"{''.join(marks)}</svg>\n"
    )


def _axes(across: Callable[[float], float], down: Callable[[float], float], top: float) -> str:
    start, end = f"{across(0):.0f}", f"{across(top):.0f}"
    marks = [
        f'<line x1="{start}" x2="{end}" y1="{y:.0f}" y2="{y:.0f}" stroke="#e2e8f0"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{share} %</text>'
        for share, y in ((n, down(n)) for n in (0, 25, 50, 75, 100))
    ]
    marks += [
        f'<text x="{across(_log10(n)):.0f}" y="{HEIGHT - 22}" text-anchor="middle">{n} x</text>'
        for n in (1, 2, 5, 10, 20, 50, 100)
        if _log10(n) <= top
    ]
    marks.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">p99 of the worst phase, times idle</text>')
    return "".join(marks)


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _log10(value: float) -> float:
    return math.log10(max(value, 1e-3))


def _free(y: float, taken: list[float]) -> float:
    """Move a label down until it covers no other."""
    while any(abs(y - other) < 12 for other in taken):
        y += 3
    taken.append(y)
    return y
