"""The time a timeline shows, in cells of at least a second, and the pairs of samples in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from agent.model import Sample

BEFORE_S, AFTER_S = 45 * 60.0, 15 * 60.0  # of the kill: an hour
MOST_CELLS = 3600
GAP_S = 2.5  # as the recorder: two samples further apart mean that nobody looked

Values = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The time a timeline shows, cut into cells of ``step_s``."""

    from_s: float
    step_s: float
    cells: int

    @property
    def to_s(self) -> float:
        """The end of the last cell."""
        return self.from_s + self.step_s * self.cells

    def cell(self, at_s: float) -> int:
        """The cell of a time; outside 0..cells when the time is outside."""
        return math.floor((at_s - self.from_s) / self.step_s)

    def share(self, at_s: float) -> float:
        """Where a time stands between the start (0) and the end (1)."""
        return (at_s - self.from_s) / (self.to_s - self.from_s)


def span_around(
    pivot_s: float | None, dated: Iterable[float], samples: Sequence[Sample]
) -> Span | None:
    """Choose at most an hour around the pivot in which there is something to see."""
    times = sorted({*dated, *(sample.at_s for sample in (*samples[:1], *samples[-1:]))})
    if not times:
        return None
    middle_s = times[-1] if pivot_s is None else pivot_s
    near = [at_s for at_s in times if middle_s - BEFORE_S <= at_s <= middle_s + AFTER_S]
    if samples and samples[0].at_s < middle_s - BEFORE_S < samples[-1].at_s:
        near.append(middle_s - BEFORE_S)
    if samples and samples[0].at_s < middle_s + AFTER_S < samples[-1].at_s:
        near.append(middle_s + AFTER_S)
    near = near or [middle_s]
    from_s = math.floor(min(near)) - 1.0
    seconds = math.ceil(max(near)) + 2.0 - from_s
    step_s = max(1.0, math.ceil((seconds - 4.0) / MOST_CELLS))  # an hour and its ends fit
    return Span(from_s, step_s, max(10, math.ceil(seconds / step_s)))


@dataclass(frozen=True, slots=True)
class Steps:
    """Pairs of neighbouring samples and the cells between them."""

    span: Span
    pairs: tuple[tuple[Sample, Sample], ...]
    places: tuple[tuple[int, int, float], ...]  # of each pair: first cell, end, seconds between

    @classmethod
    def of(cls, span: Span, samples: Sequence[Sample]) -> Steps:
        """Pair the samples up, but not across a gap in which nobody looked."""
        gaps = [b.at_s - a.at_s for a, b in pairwise(samples) if b.at_s > a.at_s]
        longest_s = max(GAP_S, 2.5 * median(gaps)) if gaps else GAP_S
        near = [(a, b) for a, b in pairwise(samples) if 0 < b.at_s - a.at_s <= longest_s]
        places = (_place(span, a.at_s, b.at_s) for a, b in near)
        return cls(span, tuple(near), tuple(places))

    def values(self, change: Callable[[Sample, Sample], float | None]) -> Values:
        """Give each cell the largest change a second seen in it; a counter never runs backwards."""
        found: list[float | None] = [None] * self.span.cells
        for (a, b), (first, end, between_s) in zip(self.pairs, self.places, strict=True):
            moved = change(a, b)
            if moved is None:
                continue
            rate = moved / between_s if moved > 0 else 0.0
            for cell in range(first, end):
                known = found[cell]
                if known is None or known < rate:
                    found[cell] = rate
        return tuple(found)


def _place(span: Span, from_s: float, to_s: float) -> tuple[int, int, float]:
    first = span.cell(from_s)
    return first, min(max(span.cell(to_s), first + 1), span.cells), to_s - from_s


def round_up(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= value)
