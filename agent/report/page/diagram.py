"""The chain as a picture: one box a step, side by side on a screen, below each other on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.printable import columns, safe, wrapped
from agent.report.page.markup import Markup, tag
from agent.report.steps import Step
from agent.times import offset

_PAD, _GAP = 12, 28
_PIECE = re.compile(r"[^-/.]*[-/.]|[^-/.]+")
_NAME_PX, _WORD_PX = 8.6, 6.5  # width of an average character, bold 15 and plain 12


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How boxes are laid out, and how much text one holds."""

    name: str
    size: tuple[int, int]
    boxes: tuple[_Box, ...]
    details: int  # lines

    @classmethod
    def wide(cls, count: int) -> _Form:
        starts = [i * (1200 + _GAP) // count for i in range(count + 1)]
        boxes = tuple(_Box(x, 1, after - _GAP - x, 136) for x, after in pairwise(starts))
        return cls("wide", (1200, 138), boxes, 4)

    @classmethod
    def tall(cls, count: int) -> _Form:
        boxes = tuple(_Box(1, 1 + i * (84 + 22), 346, 84) for i in range(count))
        return cls("tall", (348, count * (84 + 22) - 20), boxes, 2)


def chain_pictures(steps: Sequence[Step], kill_at_s: float | None) -> tuple[Markup, ...]:
    """Draw the chain twice; the style sheet shows the one that fits."""
    told = "; then ".join(f"{step.role}: {step.what}" for step in steps)
    forms = (_Form.wide(len(steps)), _Form.tall(len(steps)))
    return tuple(_picture(form, steps, kill_at_s, told) for form in forms)


def _picture(form: _Form, steps: Sequence[Step], kill_at_s: float | None, told: str) -> Markup:
    arrows = [_arrow(a, b) for a, b in pairwise(form.boxes)]
    boxes = [_box(form, box, step, kill_at_s) for box, step in zip(form.boxes, steps, strict=True)]
    width, height = form.size
    return tag(
        "svg",
        arrows,
        boxes,
        class_=f"chain {form.name}",
        viewbox=f"0 0 {width} {height}",
        role="img",
        aria_label=told,
    )


def _arrow(a: _Box, b: _Box) -> Markup:
    if a.y == b.y:
        y, x = a.y + a.height // 2, b.x
        line = f"M{a.x + a.width + 4} {y}H{x - 5}M{x - 10} {y - 5}L{x - 4} {y}L{x - 10} {y + 5}"
    else:
        x, y = 30, b.y
        line = f"M{x} {a.y + a.height + 3}V{y - 4}M{x - 5} {y - 9}L{x} {y - 3}L{x + 5} {y - 9}"
    return tag("path", d=line, class_="arrow")


def _box(form: _Form, box: _Box, step: Step, kill_at_s: float | None) -> Markup:
    kind = "box kill" if step.role == "Kill" else "box"
    kind = kind if step.seen else f"{kind} unseen"
    frame = tag("rect", x=box.x + 0.5, y=box.y, width=box.width - 1, height=box.height, rx=6)
    return tag("g", frame, _head(box, step, kill_at_s), _words(form, box, step), class_=kind)


def _head(box: _Box, step: Step, kill_at_s: float | None) -> Iterator[Markup]:
    yield tag("text", step.role, x=box.x + _PAD, y=box.y + 21, class_="role")
    if step.at_s is not None and kill_at_s is not None and step.role != "Kill":
        when = offset(step.at_s - kill_at_s)
        end = box.x + box.width - _PAD
        yield tag("text", when, x=end, y=box.y + 21, class_="when", text_anchor="end")


def _words(form: _Form, box: _Box, step: Step) -> Iterator[Markup]:
    room = box.width - 2 * _PAD
    y = box.y + 43
    for line in _fitting(step.what, int(room / _NAME_PX), 2):
        yield tag("text", line, x=box.x + _PAD, y=y, class_="what")
        y += 18
    for line in _fitting(step.detail, int(room / _WORD_PX), _lines_left(form, box, y)):
        yield tag("text", line, x=box.x + _PAD, y=y, class_="detail")
        y += 15


def _lines_left(form: _Form, box: _Box, y: int) -> int:
    return min(form.details, (box.y + box.height - y - 2) // 15 + 1)


def _fitting(text: str, width: int, most: int) -> list[str]:
    lines = _broken(safe(text), width)
    if len(lines) <= most or most < 1:
        return lines[: max(most, 0)]
    return [*lines[: most - 1], f"{lines[most - 1][: width - 1].rstrip()}…"]


def _broken(text: str, width: int) -> list[str]:
    """Break at spaces, and long names behind their hyphens and slashes before anywhere else."""
    lines: list[str] = []
    for word in text.split():
        for place, piece in enumerate(_PIECE.findall(word) if columns(word) > width else [word]):
            joint = "" if place else " "
            if lines and columns(lines[-1] + joint + piece) <= width:
                lines[-1] += joint + piece
            else:
                lines += wrapped(piece, width)
    return lines
