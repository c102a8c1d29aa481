"""Parts of a Grafana dashboard as plain data: every panel has a title, a sentence and a unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Json = dict[str, object]

DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"
COUNT, SECONDS, BYTES, SHARE = "short", "s", "bytes", "percentunit"
PER_SECOND, BYTES_PER_SECOND = "cps", "Bps"
_COLUMNS = 24


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and what its series are called."""

    expr: str
    legend: str = "__auto"


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture."""

    title: str
    says: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"  # timeseries, stat, table, state-timeline
    width: int = 12
    height: int = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A headline and the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top; the values come from a query."""

    name: str
    label: str
    query: str


def laid_out(rows: Sequence[Row]) -> list[Json]:
    """Return the panels with their places: left to right, then down."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        placed.append(
            {
                "id": len(placed) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
                "panels": [],
            }
        )
        x, y, tallest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                x, y, tallest = 0, y + tallest, 0
            place: Json = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            placed.append(_panel(panel, len(placed) + 1, place))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return placed


def _panel(panel: Panel, number: int, place: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "noValue": "none"},
            "overrides": [],
        },
        "options": _OPTIONS.get(panel.kind, {}),
        "targets": [
            _target(query, chr(ord("A") + at), panel.kind) for at, query in enumerate(panel.queries)
        ],
    }


_OPTIONS: dict[str, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"},
}


def _target(query: Query, letter: str, kind: str) -> Json:
    target: Json = {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
    }
    if kind == "table":
        return target | {"instant": True, "range": False, "format": "table"}
    return target


def variables(choices: Sequence[Variable]) -> list[Json]:
    """Return the data source and one multiple choice each; "All" also matches a missing label."""
    source: Json = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "current": {"text": "default", "value": "default"},
    }
    return [source, *(_variable(one) for one in choices)]


def _variable(one: Variable) -> Json:
    return {
        "name": one.name,
        "label": one.label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": one.query, "refId": f"variable-{one.name}"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def annotation(name: str, expr: str, title: str, color: str) -> Json:
    """Return a mark on every time axis, for as long as the expression has a value."""
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expr,
        "titleFormat": title,
        "iconColor": color,
        "step": "30s",
    }
