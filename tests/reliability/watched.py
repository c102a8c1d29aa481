"""A scenario with a real Prometheus and Alertmanager beside it: who is paged, and how often."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from alerts.rendering import write
from alerts.thresholds import load
from tests.alerting import VALUES, hastened, scrape
from tests.monitoring import (
    HOST,
    Desk,
    Prometheus,
    desk,
    eventually,
    free_port,
    program,
    running,
    watchers,
)
from tests.reliability.scenario import Scenario
from tests.reliability.stage import stage

QUIET_S = 15.0
"""Rules hold for 5 s here and a group waits for 2 s: whoever is to be paged is, by then."""
_SEEN = 'last_over_time(knockon_open_incident_info{node="n1"}[10m])'
_HURT = 'last_over_time(knockon_open_incident_victim{node="n1"}[10m])'


@dataclass(frozen=True, slots=True)
class Paged:
    """What arrived at the desk of those on call, and what Prometheus had seen."""

    titles: tuple[str, ...]
    texts: tuple[str, ...]
    """Of everything that was sent to anybody: channel, title and text."""
    incidents: frozenset[tuple[str, str]]
    """Cause, and whether it was planned, of all that was scraped."""
    victims: frozenset[str]

    @property
    def pages(self) -> int:
        """How often somebody was woken up."""
        return sum(title.startswith("Critical:") for title in self.titles)


def played(scenario: Scenario, tool: str) -> Paged:
    """Let it happen, wait until all is told, and see who was."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="knockon-paging-") as scratch:
        folder = Path(scratch)
        with (
            stage(folder, tool, scenario.journal_bytes, port) as made,
            _watching(folder, port) as (listening, server),
        ):
            scenario.act(made)
            eventually(lambda: server.instant(_SEEN), "the incident is scraped")
            time.sleep(QUIET_S)
            paged = _paged(listening, server)
    return paged


def _paged(listening: Desk, server: Prometheus) -> Paged:
    attached = [one["attachments"][0] | {"channel": one["channel"]} for one in listening.received]
    labels = [one["metric"] for one in server.instant(_SEEN)]
    hurt = server.instant(_HURT)
    return Paged(
        titles=tuple(one["title"] for one in attached),
        texts=tuple(f"{one['channel']}\n{one['title']}\n\n{one['text']}\n" for one in attached),
        incidents=frozenset((one["cause"], one["planned"]) for one in labels),
        victims=frozenset(one["metric"]["victim_pod"] for one in hurt),
    )


@contextmanager
def _watching(folder: Path, port: int) -> Iterator[tuple[Desk, Prometheus]]:
    """Prometheus scrapes the agent every second; what it tells goes to a desk on loopback."""
    prometheus = program("prometheus")
    alertmanager = program("prometheus-alertmanager", "alertmanager")
    with ExitStack() as scope:
        listening = scope.enter_context(desk())
        made, ports = folder / "etc", (free_port(), free_port())
        _configure(made, listening, port, ports[1])
        for line in watchers((prometheus, alertmanager), ports, folder, made):
            log = folder / f"{Path(line[0]).name}.log"
            scope.enter_context(running(*line, log=log))
        server = Prometheus(f"http://{HOST}:{ports[0]}")
        eventually(lambda: server.instant("up == 1"), "the agent is scraped")
        yield listening, server


def _configure(made: Path, listening: Desk, port: int, alertmanager_port: int) -> None:
    """Write the committed rules and routes, with short waits and addresses of this machine."""
    write(load(VALUES), made)
    (made / "slack-url").write_text(f"http://{HOST}:{listening.port}/slack", "utf-8")
    to = [{"static_configs": [{"targets": [f"{HOST}:{alertmanager_port}"]}]}]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["incidents.yaml", "agent.yaml"],
        "alerting": {"alertmanagers": to},
        "scrape_configs": [scrape("knockon", port, node="n1", namespace="knockon")],
    }
    (made / "prometheus.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    (made / "alertmanager.yaml").write_text(yaml.safe_dump(hastened(listening, made)), "utf-8")
