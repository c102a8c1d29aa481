"""The strip of marks, one a Fact, over the tracks; and what the page's script needs to redraw."""

from __future__ import annotations

from collections.abc import Sequence

from agent.model import Fact, Trust
from agent.report.page.charts import levels, packed
from agent.report.page.markup import Markup, tag
from agent.report.page.span import Span
from agent.report.page.tracks import LEAST_PROBE_S, Track
from agent.times import clock

LANES = ("journal", "kernel", "events", "other")
LANE_PX = 16
MOST_MARKS = 160
TICKS = 7  # labels that fit at 390 px

Numbered = tuple[int, Fact]


def lane_of(fact: Fact) -> str:
    """Name the lane of the strip that a fact stands in."""
    return fact.source if fact.source in LANES else LANES[-1]


def lanes_of(facts: Sequence[Numbered]) -> tuple[str, ...]:
    """Name the lanes that hold anything."""
    used = {lane_of(fact) for _, fact in facts}
    return tuple(lane for lane in LANES if lane in used)


def strip(facts: Sequence[Numbered], cells: Span, prefix: str, kill_at_s: float | None) -> Markup:
    """Draw the marks; each is a link to its line in the table."""
    lanes = lanes_of(facts)
    marks: list[Markup] = []
    for number, fact in facts:
        if fact.at_s is not None and 0 <= cells.share(fact.at_s) <= 1:
            lane = lanes.index(lane_of(fact))
            marks.append(_mark(f"{prefix}f{number}", fact, (cells, lane, kill_at_s)))
    kill: list[Markup] = []
    if kill_at_s is not None and 0 <= cells.share(kill_at_s) <= 1:
        x = f"{100 * cells.share(kill_at_s):.3f}%"
        kill = [tag("line", x1=x, x2=x, y1=0, y2="100%", class_="kill-line")]
    return tag(
        "svg",
        kill,
        marks,
        class_="strip",
        height=LANE_PX * len(lanes),
        role="group",
        aria_label=f"{len(marks)} facts on the time line, in lanes: {', '.join(lanes)}",
    )


def _mark(target: str, fact: Fact, place: tuple[Span, int, float | None]) -> Markup:
    cells, lane, kill_at_s = place
    at_s = fact.at_s or 0.0
    kill = kill_at_s is not None and abs(at_s - kill_at_s) < 1e-3
    kind = "mark kill" if kill else "mark" if fact.trust is Trust.TRUSTED else "mark quoted"
    shape = tag(
        "rect",
        x=f"{100 * cells.share(at_s):.3f}%",
        y=lane * LANE_PX + 3,
    )
    what = f"{clock(at_s)} {str(fact.kind).replace('_', ' ')}"
    return tag("a", shape, href=f"#{target}", class_=kind, aria_label=what)


def axis(cells: Span) -> Markup:
    """Draw the time of day under the tracks."""
    whole = cells.to_s - cells.from_s
    labels = [
        tag(
            "text",
            _tick(cells.from_s + whole * tick / (TICKS - 1), whole),
            x=f"{100 * tick / (TICKS - 1):.2f}%",
            y=14,
            text_anchor="start" if tick == 0 else "end" if tick == TICKS - 1 else "middle",
        )
        for tick in range(TICKS)
    ]
    return tag("svg", labels, class_="axis", height=18, aria_hidden="true")


def _tick(at_s: float, whole_s: float) -> str:
    return clock(at_s) if whole_s < 600 else clock(at_s)[:5]


def script_data(
    cells: Span, tracks: Sequence[Track], facts: Sequence[Numbered], kill_at_s: float | None
) -> dict[str, object]:
    """Return what the script redraws from: cells, levels, and the time of each mark."""
    return {
        "from": cells.from_s,
        "step": cells.step_s,
        "cells": cells.cells,
        "kill": None if kill_at_s is None else round(kill_at_s - cells.from_s, 3),
        "floor": LEAST_PROBE_S,
        "tracks": [
            {
                "unit": track.unit,
                "top": track.top,
                "series": [[one.style, packed(levels(one, track))] for one in track.series],
            }
            for track in tracks
        ],
        "marks": [
            round(fact.at_s - cells.from_s, 3)
            for _, fact in facts
            if fact.at_s is not None and 0 <= cells.share(fact.at_s) <= 1
        ],
    }
