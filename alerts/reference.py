"""Reference pages made from the code: docs/metrics.md, and alerts/README.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from string import Template

from agent.daemon import metrics as agent_metrics
from agent.daemon.metrics import Told
from agent.fleet.metrics import FleetMetrics
from agent.fleet.state import Fleet
from alerts.rule import Alert, Group, one_line
from alerts.thresholds import Values, sentences
from backup import metrics as backup_metrics

HERE = Path(__file__).parent
METRICS_PAGE = HERE.parent / "docs" / "metrics.md"


def metrics_page() -> str:
    """Return docs/metrics.md."""
    agent = _table(("name", "type", "labels", "meaning"), map(_told, agent_table()))
    backup = _table(("name", "type", "labels", "meaning"), map(_told, backup_table()))
    fleet = _table(("name", "type", "labels", "meaning"), map(_told, fleet_table()))
    return _filled("metrics.md", agent=agent, fleet=fleet, backup=backup)


def agent_table() -> tuple[Told, ...]:
    """Return what the agent exposes, by its whole name."""
    return tuple(replace(one, name=agent_metrics.PREFIX + one.name) for one in agent_metrics.TABLE)


def fleet_table() -> tuple[Told, ...]:
    """Return what the cluster's replica exposes while it leads."""
    shown = FleetMetrics(Fleet(), dict, dict, lambda: True).collect()
    return tuple(
        Told(
            f"{one.name}_total" if one.type == "counter" else one.name,
            one.type,
            tuple(one._labelnames),  # type: ignore[attr-defined]  # noqa: SLF001 - nothing else has them
            one.documentation,
            {},
        )
        for one in shown
    )


def backup_table() -> tuple[Told, ...]:
    """Return what `knockon backup run` exposes, in the same form."""
    return tuple(
        Told(
            backup_metrics.PREFIX + name,
            "gauge",
            ("database", *([label] if label else [])),
            says,
            {},
        )
        for name, label, says in backup_metrics.TABLE
    )


def alerts_page(values: Values, groups: Sequence[Group]) -> str:
    """Return alerts/README.md."""
    alerts = [rule for group in groups for rule in group.rules if isinstance(rule, Alert)]
    listed = _table(("alert", "severity", "waits", "runbook says"), map(_alert, alerts))
    limits = _table(
        ("threshold", "default", "why"),
        ((f"`{name}`", f"`{value}`", says) for name, value, says in sentences(values.thresholds)),
    )
    return _filled("README.md", alerts=listed, thresholds=limits)


def _filled(name: str, **tables: str) -> str:
    return Template((HERE / "templates" / name).read_text("utf-8")).substitute(tables)


def _alert(alert: Alert) -> tuple[str, ...]:
    runbook = HERE / "runbooks" / f"{alert.name}.md"
    meaning = ""
    if runbook.is_file():
        meaning = one_line(runbook.read_text("utf-8").split("## Meaning")[1].split("\n\n")[1])
    first = meaning.partition(". ")[0].rstrip(".")
    return (
        f"[{alert.name}](runbooks/{alert.name}.md)",
        alert.severity.value,
        alert.hold,
        first + "." if first else "",
    )


def _told(one: Told) -> tuple[str, ...]:
    return f"`{one.name}`", one.kind, ", ".join(f"`{name}`" for name in one.labels), one.says


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)
