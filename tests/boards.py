"""What the panels of both dashboards would show, asked of a Prometheus with the same queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alerts import backup_board, node_board
from alerts.panels import Panel, Query, Row
from tests.monitoring import Prometheus

BOARDS: dict[str, tuple[Row, ...]] = {
    "Node incidents": node_board.rows(),
    "Postgres backups": backup_board.rows(),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel: its labels, and pairs of Unix seconds and value."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one query of one panel gave."""

    board: str
    panel: Panel
    query: Query
    series: tuple[Series, ...]


def filled(query: str) -> str:
    """Put into a query what Grafana would: all of everything, and four scrapes a second apart."""
    for variable in ("$cluster", "$node", "$database"):
        query = query.replace(variable, ".*")
    return query.replace("$__rate_interval", "8s")


def answers(server: Prometheus, seconds: float = 600.0) -> Iterator[Answer]:
    """Ask every query of every panel for the last seconds."""
    for board, rows in BOARDS.items():
        for panel in (panel for row in rows for panel in row.panels):
            for query in panel.queries:
                found = server.span(filled(query.expr), seconds)
                yield Answer(board, panel, query, tuple(_series(one) for one in found))


def _series(found: dict[str, object]) -> Series:
    labels, values = found["metric"], found["values"]
    assert isinstance(labels, dict)
    assert isinstance(values, list)
    return Series(dict(labels), tuple((float(at_s), float(value)) for at_s, value in values))
