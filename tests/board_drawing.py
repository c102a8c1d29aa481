"""Draws a dashboard's data as one page of SVG: no Grafana is to be had from a package registry.

Positions are those of the dashboard; lines, numbers, tables and states are drawn plainly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from math import isnan

from tests.boards import Board, Line, Shown

WIDTH = 1440
COLUMN, ROW = WIDTH / 24, 30
_GAP, _HEAD, _FOOT, _LEFT = 6, 26, 36, 62
_COLOURS = ("#2f6fbb", "#d9822b", "#3d9a5f", "#c23c4e", "#7d5bb8", "#5f7f8f", "#a8763e", "#d0609a")
_MARKS = {"red": "#c23c4e", "blue": "#2f6fbb"}
_STYLE = """
body { margin: 0; background: #f4f5f7; font: 12px system-ui, sans-serif; }
text { font-family: system-ui, sans-serif; fill: #24292f; }
.small { font-size: 11px; fill: #57606a; } .title { font-size: 13px; font-weight: 600; }
.head { font-size: 15px; font-weight: 600; } .stat { font-size: 34px; font-weight: 600; }
"""
_STEPS = {
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1)),
    "Bps": (("GB/s", 1e9), ("MB/s", 1e6), ("kB/s", 1e3), ("B/s", 1)),
    "s": (("d", 86400), ("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3)),
    "short": (("M", 1e6), ("k", 1e3), ("", 1)),
}


def page(board: Board) -> str:
    """Return a whole HTML page; its body is one picture."""
    height = 44 + ROW * max(one.place["y"] + one.place["h"] for one in board.panels) + _GAP
    span = _span(board.panels)
    body = [f'<text class="head" x="12" y="28">{escape(board.title)}</text>']
    for y, title in board.headlines.items():
        body.append(f'<text class="head" x="12" y="{44 + y * ROW + 20}">{escape(title)}</text>')
    body += [_panel(one, board, span) for one in board.panels]
    return (
        f'<!doctype html><meta charset="utf-8"><title>{escape(board.title)}</title>'
        f'<style>{_STYLE}</style><svg xmlns="http://www.w3.org/2000/svg" '
        f'width="{WIDTH + _GAP}" height="{height}">{"".join(body)}</svg>'
    )


def readable(value: float, unit: str) -> str:
    """Return a number with its unit, as people say it.

    >>> readable(1_500_000, "Bps"), readable(0.25, "percentunit"), readable(90, "s")
    ('1.5 MB/s', '25 %', '1.5 min')
    """
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit in ("cps", "reqps"):
        return f"{value:.3g} /s"
    for name, size in _STEPS[unit]:
        if abs(value) >= size:
            return f"{value / size:.3g} {name}".rstrip()
    return f"{value:.2g}"


def _span(panels: Sequence[Shown]) -> tuple[float, float]:
    times = [at_s for one in panels for line in one.lines for at_s, _ in line.points]
    return min(times), max(times)


def _panel(panel: Shown, board: Board, span: tuple[float, float]) -> str:
    x, y = panel.place["x"] * COLUMN + _GAP, panel.place["y"] * ROW + 44 + _GAP / 2
    width, height = panel.place["w"] * COLUMN - _GAP, panel.place["h"] * ROW - _GAP
    draw = {"stat": _stat, "table": _table, "state-timeline": _states}.get(panel.kind)
    inner = draw(panel, width, height) if draw else _chart(panel, board, span, (width, height))
    return (
        f'<g transform="translate({x:.0f},{y:.0f})">'
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="4" fill="#fff" stroke="#d0d7de"/>'
        f'<text class="title" x="10" y="18">{escape(panel.title)}</text>{inner}</g>'
    )


def _stat(panel: Shown, width: float, height: float) -> str:
    values = [line.points[-1][1] for line in panel.lines]
    said = readable(min(values), panel.unit) if values else "none"
    x, y = width / 2, height / 2 + 22
    return f'<text class="stat" text-anchor="middle" x="{x:.0f}" y="{y:.0f}">{said}</text>'


def _table(panel: Shown, width: float, _height: float) -> str:
    heads = sorted({name for line in panel.lines for name in line.labels} - {"__name__"})
    step = (width - 20) / max(len(heads), 1)
    rows: list[Sequence[str]] = [heads]
    rows += [[line.labels.get(name, "") for name in heads] for line in panel.lines[:5]]
    return "".join(
        f'<text class="{"small" if at == 0 else ""}" x="{10 + step * column:.0f}" '
        f'y="{44 + 22 * at}">{escape(cell[: int(step / 6)])}</text>'
        for at, row in enumerate(rows)
        for column, cell in enumerate(row)
    )


def _states(panel: Shown, width: float, height: float) -> str:
    drawn = []
    lines = [line for line in panel.lines if line.points]
    first, last = _span((panel,))
    scale = (width - _LEFT - 106) / (last - first + 1)
    tall = min(28.0, (height - _HEAD - 16) / max(len(lines), 1))
    for at, line in enumerate(lines):
        y = _HEAD + 8 + at * tall
        drawn.append(f'<text class="small" x="10" y="{y + tall / 2 + 3:.0f}">{escape(line.name)}')
        drawn.append("</text>")
        for at_s, value in line.points:
            colour = _COLOURS[2] if value else _COLOURS[3]
            if "reason" in line.labels and line.labels["reason"] != "done":
                colour = _COLOURS[3]
            drawn.append(
                f'<rect x="{_LEFT + 90 + (at_s - first) * scale:.1f}" y="{y:.1f}" '
                f'width="{scale + 0.5:.1f}" height="{tall - 6:.1f}" fill="{colour}"/>'
            )
    return "".join(drawn)


def _chart(panel: Shown, board: Board, span: tuple[float, float], size: tuple[float, float]) -> str:
    (first, last), (width, height) = span, size
    wide, tall = width - _LEFT - 14, height - _HEAD - _FOOT - 16
    values = [value for line in panel.lines for _, value in line.points if not isnan(value)]
    low, high = min([0.0, *values]), max([0.0, *values]) or 1.0

    def x(at_s: float) -> float:
        return _LEFT + wide * (at_s - first) / max(last - first, 1)

    def y(value: float) -> float:
        return _HEAD + 6 + tall * (high - value) / ((high - low) or 1)

    drawn = list(_marked(board, x, (_HEAD + 6, tall)))
    for part in (0.0, 0.5, 1.0):
        level = low + part * (high - low)
        drawn.append(
            f'<path d="M{_LEFT},{y(level):.1f}h{wide:.0f}" stroke="#e4e8ec"/>'
            f'<text class="small" text-anchor="end" x="{_LEFT - 6}" y="{y(level) + 4:.1f}">'
            f"{readable(level, panel.unit)}</text>"
        )
        at_s = first + part * (last - first)
        moment = datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")
        anchor = {0.0: "start", 1.0: "end"}.get(part, "middle")
        drawn.append(
            f'<text class="small" text-anchor="{anchor}" x="{x(at_s):.0f}" '
            f'y="{_HEAD + tall + 22:.0f}">{moment}</text>'
        )
    for at, line in enumerate(panel.lines[: len(_COLOURS)]):
        colour = _COLOURS[at]
        for run in _unbroken(line):
            path = " ".join(f"{x(at_s):.1f},{y(value):.1f}" for at_s, value in run)
            drawn.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            )
    return "".join([*drawn, _legend(panel.lines, width, height)])


def _marked(board: Board, x: object, place: tuple[float, float]) -> Iterable[str]:
    assert callable(x)
    top, tall = place
    for colour, lines in board.marks.items():
        for line in lines:
            for run in _unbroken(line):
                left, right = x(run[0][0]), x(run[-1][0])
                yield (
                    f'<rect x="{left:.1f}" y="{top:.0f}" width="{max(right - left, 1):.1f}" '
                    f'height="{tall:.0f}" fill="{_MARKS[colour]}" opacity="0.08"/>'
                )


def _legend(lines: Sequence[Line], width: float, height: float) -> str:
    drawn, x = [], 12.0
    for at, line in enumerate(lines[: len(_COLOURS)]):
        room = 24 + 6.2 * len(line.name)
        if x + room > width:
            drawn.append(f'<text class="small" x="{x:.0f}" y="{height - 9:.0f}">…</text>')
            break
        drawn.append(
            f'<rect x="{x:.0f}" y="{height - 18:.0f}" width="10" height="10" rx="2" '
            f'fill="{_COLOURS[at]}"/><text class="small" x="{x + 14:.0f}" '
            f'y="{height - 9:.0f}">{escape(line.name)}</text>'
        )
        x += room
    return "".join(drawn)


def _unbroken(line: Line, gap_s: float = 5.0) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = []
    for at_s, value in line.points:
        if isnan(value):
            continue
        if runs and at_s - runs[-1][-1][0] <= gap_s:
            runs[-1].append((at_s, value))
        else:
            runs.append([(at_s, value)])
    return runs
