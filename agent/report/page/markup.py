"""Markup that cannot be forged: whatever is not ``Markup`` already is text, and is escaped.

Log text is written by strangers. It enters a page only as a child or an attribute of ``tag``, which
first spells out what does not print and then escapes for HTML.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.printable import safe

LONGEST_TEXT = 600  # characters of one text, as a Fact keeps them
_EMPTY = frozenset({"meta", "link", "br", "col", "input", "path", "rect", "line", "circle"})
_HYPHENATED = re.compile(r"\s*(\S+-\S+)\s*")
_LONGEST_WHOLE = 24  # characters of a heading that fit beside each other at 390 px
_NO_SCRIPT_END = {ord(c): f"\\u{ord(c):04x}" for c in "<>&'\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Markup:
    """A piece of a page that was made by ``tag`` or is a constant of ours."""

    text: str


Child = str | Markup | Iterable["Child"] | None
Value = str | int | float | bool | None

NOTHING = Markup("")
SPACE = Markup(" ")


def tag(name: str, /, *children: Child, **attributes: Value) -> Markup:
    """Make an element; ``class_`` and ``for_`` lose their underscore, others turn it into ``-``."""
    start = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Markup(f"<{name}{start}>" if name in _HTML_EMPTY else f"<{name}{start}/>")
    return Markup(f"<{name}{start}>{inside(children)}</{name}>")


_HTML_EMPTY = frozenset({"meta", "link", "br", "col", "input"})


def inside(child: Child) -> str:
    """Return children as page text: markup as it is, all else escaped."""
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child.text
    if isinstance(child, str):
        return html.escape(safe(child, LONGEST_TEXT))
    return "".join(map(inside, child))


def joined(*children: Child) -> Markup:
    """Put pieces behind each other without an element around them."""
    return Markup(inside(children))


def unbroken(text: str) -> list[Child]:
    """Return text whose names stay whole at the end of a line, though they have hyphens in them."""
    made: list[Child] = []
    for part in filter(None, _HYPHENATED.split(safe(text, LONGEST_TEXT))):
        whole = "-" in part and len(part) <= _LONGEST_WHOLE
        made += [tag("span", part, class_="whole") if whole else part, SPACE]
    return made[:-1]


def data_block(name: str, content: object) -> Markup:
    """Make a block of JSON for the script; nothing in it can end the block."""
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    block = text.translate(_NO_SCRIPT_END)
    return Markup(f'<script type="application/json" id="{html.escape(name)}">{block}</script>')


def _attribute(key: str, value: Value) -> str:
    if value is None or value is False:
        return ""
    word = key.rstrip("_").replace("_", "-")
    word = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio"}.get(word, word)
    if value is True:
        return f" {word}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {word}="{html.escape(safe(text, LONGEST_TEXT))}"'
