"""What a rule is, before it becomes YAML: the parts nobody may forget are fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from textwrap import dedent
from types import MappingProxyType

from alerts.thresholds import Links

NO_LABELS: Mapping[str, str] = MappingProxyType({})


class Severity(StrEnum):
    """What an alert asks of people."""

    CRITICAL = "critical"  # wakes somebody
    WARNING = "warning"  # is read in working hours
    INFO = "info"  # is there when somebody looks
    NONE = "none"  # tells nobody: exists for inhibition


class Board(StrEnum):
    """The dashboard that shows what an alert is about, by its fixed uid."""

    NODES = "knockon-nodes"
    BACKUPS = "knockon-backups"


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS)

    def as_rule(self, _links: Links) -> dict[str, object]:
        """Return it as Prometheus reads it."""
        rule: dict[str, object] = {"record": self.name, "expr": tidy(self.expr)}
        return rule | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule; runbook and dashboard follow from its name and board."""

    name: str
    expr: str
    hold: str  # Prometheus calls it `for`
    severity: Severity
    summary: str
    description: str
    board: Board
    keep: str = ""  # `keep_firing_for`, Prometheus 2.42: what comes and goes is one alert

    def as_rule(self, links: Links) -> dict[str, object]:
        """Return it as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": tidy(self.expr),
            "for": self.hold,
            **({"keep_firing_for": self.keep} if self.keep else {}),
            "labels": {"severity": self.severity.value, "product": "knockon"},
            "annotations": {
                "summary": one_line(self.summary),
                "description": one_line(self.description),
                "runbook_url": f"{links.runbooks}/{self.name}",
                "dashboard_url": f"{links.grafana}/d/{self.board.value}?{_QUERY[self.board]}",
            },
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other."""

    name: str
    rules: tuple[Alert | Record, ...]


_CLUSTER = "var-cluster={{ or $labels.cluster `.*` | urlquery }}"
_QUERY = {
    Board.NODES: f"{_CLUSTER}&var-node={{{{ or $labels.node `.*` | urlquery }}}}",
    Board.BACKUPS: f"{_CLUSTER}&var-database={{{{ or $labels.database `.*` | urlquery }}}}",
}


def tidy(expr: str) -> str:
    """Return PromQL as it is committed: no common indent, no blank ends."""
    return dedent(expr).strip()


def one_line(text: str) -> str:
    """Return prose that was wrapped in the source as one line."""
    return " ".join(text.split())
