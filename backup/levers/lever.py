"""A lever is one way to slow a program down; this says whether it bites here, and why (not)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Bites(StrEnum):
    """What to expect from a lever on this node."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lever:
    """One way to slow a program down, or one fact that decides whether the others work."""

    name: str
    bites: Bites
    why: str


def as_table(levers: Sequence[Lever], width: int = 100) -> str:
    """Lay the levers out in three columns, the last one wrapped."""
    name_width = max((len(lever.name) for lever in levers), default=5)
    indent = " " * (name_width + 11)
    text_width = max(30, width - len(indent))
    lines = [f"{'lever':<{name_width}}  {'bites':<7}  why"]
    for lever in levers:
        first, *rest = textwrap.wrap(lever.why, text_width) or [""]
        lines.append(f"{lever.name:<{name_width}}  {lever.bites:<7}  {first}".rstrip())
        lines += [indent + more for more in rest]
    return "\n".join(lines) + "\n"


def as_lines(levers: Iterable[Lever], most: int) -> list[str]:
    """Return one line a lever, in three groups; what does not fit is named without its reason."""
    ordered = sorted(levers, key=lambda lever: _ORDER.index(lever.bites))
    if len(ordered) <= most:
        return [_line(lever) for lever in ordered]
    cut = ordered[most - 1 :]
    named = ", ".join(f"{lever.name} ({lever.bites})" for lever in cut)
    return [_line(lever) for lever in ordered[: most - 1]] + [f"also: {named}"]


_ORDER = (Bites.YES, Bites.PARTLY, Bites.NO, Bites.UNKNOWN)
_HEADS = {
    Bites.YES: "bites",
    Bites.PARTLY: "bites partly",
    Bites.NO: "does not bite",
    Bites.UNKNOWN: "may bite",
}


def _line(lever: Lever) -> str:
    return f"{_HEADS[lever.bites]}: {lever.name}: {lever.why}"
