"""Two dashboards: what happened on the nodes, and how the backups are."""

from __future__ import annotations

from collections.abc import Sequence

from alerts import backup_board, node_board
from alerts.panels import Json, Row, Variable, annotation, laid_out, variables
from alerts.rule import Board

_RAN = "knockon_backup_running"


def dashboards() -> dict[str, Json]:
    """Return each dashboard by the name of its file."""
    return {
        "node-incidents": _dashboard(
            Board.NODES,
            "Node incidents",
            "Why pods were re-created: incidents, the pressure before them, and the agent itself.",
            (
                Variable("cluster", "Cluster", "label_values(knockon_build_info, cluster)"),
                Variable(
                    "node", "Node", 'label_values(knockon_build_info{cluster=~"$cluster"}, node)'
                ),
            ),
            node_board.rows(),
        ),
        "postgres-backups": _dashboard(
            Board.BACKUPS,
            "Postgres backups",
            "How old, how fast, how proven, and whom they made wait.",
            (
                Variable("cluster", "Cluster", f"label_values({_RAN}, cluster)"),
                Variable(
                    "database", "Database", f'label_values({_RAN}{{cluster=~"$cluster"}}, database)'
                ),
                Variable("node", "Node", "label_values(knockon_build_info, node)"),
            ),
            backup_board.rows(),
        ),
    }


def _dashboard(
    board: Board, title: str, says: str, choices: Sequence[Variable], rows: Sequence[Row]
) -> Json:
    return {
        "uid": board.value,
        "title": title,
        "description": says,
        "tags": ["knockon"],
        "schemaVersion": 38,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables(choices)},
        "annotations": {
            "list": [
                annotation(
                    "Incidents",
                    "max by (node, incident, cause, killer) "
                    f"(knockon_open_incident_info{{{node_board.NODE}}})",
                    "{{node}}: {{cause}}, killer {{killer}}, incident {{incident}}",
                    "red",
                ),
                annotation(
                    "Backups",
                    'max by (cluster, node) (knockon_backup_running{cluster=~"$cluster"} == 1)',
                    "A backup runs",
                    "blue",
                ),
            ]
        },
        "panels": laid_out(rows),
    }
