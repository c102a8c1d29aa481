"""What both dashboards would show: the committed JSON, and a Prometheus that answers it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alerts.rendering import GENERATED
from tests.monitoring import Prometheus

NAMES = ("node-incidents", "postgres-backups")


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a panel: its name, its labels, and pairs of Unix seconds and value."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """One panel: what it is, where it stands, and what each of its queries gave."""

    title: str
    kind: str  # timeseries, stat, table, state-timeline
    unit: str
    place: Mapping[str, int]  # x, y, w, h in Grafana's grid
    queries: Mapping[str, tuple[Line, ...]]

    @property
    def lines(self) -> tuple[Line, ...]:
        """All series of all queries."""
        return tuple(line for lines in self.queries.values() for line in lines)


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: panels, headlines by their place, and marks on every time axis."""

    title: str
    headlines: Mapping[int, str]
    panels: tuple[Shown, ...]
    marks: Mapping[str, tuple[Line, ...]]  # by colour


def board(name: str, server: Prometheus, seconds: float = 600.0) -> Board:
    """Ask every query of one dashboard for the last seconds."""
    document = json.loads((GENERATED / "dashboards" / f"{name}.json").read_text("utf-8"))
    panels = document["panels"]

    def lines(query: str, legend: str) -> tuple[Line, ...]:
        return tuple(_line(one, legend) for one in server.span(filled(query), seconds))

    return Board(
        title=document["title"],
        headlines={one["gridPos"]["y"]: one["title"] for one in panels if one["type"] == "row"},
        panels=tuple(
            Shown(
                title=one["title"],
                kind=one["type"],
                unit=one["fieldConfig"]["defaults"]["unit"],
                place=one["gridPos"],
                queries={
                    target["expr"]: lines(target["expr"], target["legendFormat"])
                    for target in one["targets"]
                },
            )
            for one in panels
            if one["type"] != "row"
        ),
        marks={
            one["iconColor"]: lines(one["expr"], one["titleFormat"])
            for one in document["annotations"]["list"]
        },
    )


def empty(shown: Board) -> Iterator[str]:
    """Give what would be drawn as nothing: a panel's query or a mark without any series."""
    for panel in shown.panels:
        for query, lines in panel.queries.items():
            if not lines:
                yield f"{shown.title}: {panel.title}: {query}"
    for colour, lines in shown.marks.items():
        if not lines:
            yield f"{shown.title}: no {colour} marks"


def filled(query: str) -> str:
    """Put into a query what Grafana would: all of everything, and four scrapes a second apart."""
    for variable in ("$cluster", "$node", "$database"):
        query = query.replace(variable, ".*")
    return query.replace("$__rate_interval", "8s")


def _line(found: Mapping[str, Any], legend: str) -> Line:
    labels: dict[str, str] = found["metric"]
    name = re.sub(r"\{\{(\w+)\}\}", lambda word: labels.get(word[1], ""), legend)
    points = tuple((float(at_s), float(value)) for at_s, value in found["values"])
    return Line("" if name == "__auto" else name, labels, points)
