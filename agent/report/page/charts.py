"""Charts as inline SVG, and the same numbers packed for the page's script and told as a table.

Everything is whole numbers: a value becomes a level of 0..4095 of its track's scale, and a path is
made from levels only. The script draws what is zoomed into by the same rule, so that its first
picture is the one that stands in the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from agent.report.page.markup import Markup, tag
from agent.report.page.span import Span, Values
from agent.report.page.tracks import LEAST_PROBE_S, Series, Track
from agent.times import clock, span

LEVELS = 4095
WIDTH, HEIGHT = 1200, 200  # of the drawing; the page stretches it
BUCKETS = 300
_DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NOTHING = ".."

Level = int | None


@lru_cache(maxsize=64)  # drawn, and packed for the script
def levels(series: Series, track: Track) -> list[Level]:
    """Map values to the track's scale; time is logarithmic, for 10 ms and 60 s both matter."""
    if track.unit != "wait":
        top = track.top
        return [
            None if value is None else round(LEVELS * min(max(value / top, 0.0), 1.0))
            for value in series.values
        ]
    return [None if value is None else _level(value, track) for value in series.values]


def _level(value: float, track: Track) -> int:
    share = value / track.top
    if track.unit == "wait":
        floor = max(value, LEAST_PROBE_S) / LEAST_PROBE_S
        share = math.log(floor) / math.log(track.top / LEAST_PROBE_S)
    return round(LEVELS * min(max(share, 0.0), 1.0))


def packed(found: Sequence[Level]) -> str:
    """Write two characters a cell."""
    return "".join(
        _NOTHING if level is None else _DIGITS[level >> 6] + _DIGITS[level & 63] for level in found
    )


@dataclass(frozen=True, slots=True)
class _Bucket:
    x: int
    to_x: int
    low: Level
    high: Level


def _buckets(found: Sequence[Level]) -> list[_Bucket]:
    """Keep the lowest and the highest level of each bucket, so that no peak is lost."""
    count = min(len(found), BUCKETS)
    made: list[_Bucket] = []
    for number in range(count):
        part = found[number * len(found) // count : (number + 1) * len(found) // count]
        seen = [level for level in part if level is not None]
        x, to_x = number * WIDTH // count, (number + 1) * WIDTH // count
        made.append(_Bucket(x, to_x, min(seen, default=None), max(seen, default=None)))
    return made


def path(found: Sequence[Level], style: str) -> str:
    """Return the outline: from zero to the highest, or for a line from the lowest to it."""
    parts: list[str] = []
    run: list[_Bucket] = []
    for bucket in [*_buckets(found), None]:
        if bucket and bucket.high is not None:
            run.append(bucket)
        elif run:
            parts.append(_outline(run, style))
            run = []
    return "".join(parts)


def _outline(run: Sequence[_Bucket], style: str) -> str:
    there = _edge([(b.x, b.to_x, _y(b.high)) for b in run])
    if style != "line":
        return f"M{run[0].x} {HEIGHT}{there}V{HEIGHT}Z"
    back = _edge([(b.to_x, b.x, _y(b.low)) for b in reversed(run)])
    return f"M{run[0].x} {_y(run[0].high)}{there}{back}Z"


def _y(level: Level) -> int:
    return HEIGHT - ((level or 0) * HEIGHT + LEVELS // 2) // LEVELS


def _edge(points: Sequence[tuple[int, int, int]]) -> str:
    """Walk along steps; what stays level is one stroke."""
    text: list[str] = []
    last_y: int | None = None
    for _, to_x, y in points:
        if y == last_y:
            text.pop()
        else:
            text.append(f"V{y}")
        text.append(f"H{to_x}")
        last_y = y
    return "".join(text)


def plot(track: Track, label: str, kill: float | None = None) -> Markup:
    """Draw one track and, at its share of the width, the kill; ``label`` says it in words."""
    content = [_drawn(one, track) for one in track.series]
    if track.limit:
        y = _y(_level(track.limit[0], track))
        content.append(tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="limit"))
    if kill is not None:
        x = round(kill * WIDTH)
        content.append(tag("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="kill-line"))
    return tag(
        "svg",
        content,
        class_="plot",
        role="img",
        aria_label=label,
        viewbox=f"0 0 {WIDTH} {HEIGHT}",
        preserveaspectratio="none",
    )


def _drawn(series: Series, track: Track) -> Markup:
    """Build the path by hand: ``tag`` cuts long values, and nothing here is a stranger's."""
    return Markup(
        f'<path class="s-{series.style}" d="{path(levels(series, track), series.style)}"/>'
    )


def scale_words(track: Track) -> str:
    """Say what the top of a track's scale is."""
    if track.unit == "wait":
        return f"log scale, to {track.top:.0f} s"
    return quantity(track.top, track.unit)


def quantity(value: float, unit: str) -> str:
    """Say a value with its unit."""
    if unit == "pct":
        return f"{value:.0f} %"
    if unit == "wait":
        return f"{value:.2f} s" if value < 1 else span(value)
    per = "/s" if unit == "rate" else ""
    for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= size:
            shown = value / size
            return f"{shown:.1f} {name}{per}" if shown < 9.95 else f"{shown:.0f} {name}{per}"
    return f"{value:.0f} B{per}"


@dataclass(frozen=True, slots=True)
class Told:
    """One series in numbers."""

    label: str
    low: float
    typical: float
    high: float
    high_at_s: float
    at_kill: float | None


def told(series: Series, cells: Span, kill_at_s: float | None) -> Told | None:
    """Sum one series up for those who cannot, or do not want to, see the picture."""
    seen = [value for value in series.values if value is not None]
    if not seen:
        return None
    high = max(seen)
    high_at_s = cells.from_s + cells.step_s * series.values.index(high)
    at_kill = _at(series.values, cells, kill_at_s)
    return Told(series.label, min(seen), median(seen), high, high_at_s, at_kill)


def _at(values: Values, cells: Span, at_s: float | None) -> float | None:
    if at_s is None or not 0 <= cells.cell(at_s) < len(values):
        return None
    return values[cells.cell(at_s)]


def sentence(found: Sequence[Told], track: Track) -> str:
    """Say a whole track in one sentence."""
    parts = [
        f"{one.label}: typically {quantity(one.typical, track.unit)}, "
        f"at most {quantity(one.high, track.unit)} at {clock(one.high_at_s)}"
        for one in found
    ]
    return f"{track.title}: {'; '.join(parts)}." if parts else track.title
