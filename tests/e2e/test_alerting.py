"""An incident, then a backup that stops: real Prometheus, real Alertmanager, and what arrives."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent import __version__
from agent.daemon.metrics import SOURCES, Metrics
from alerts.dashboards import dashboards
from alerts.rendering import HERE, write
from alerts.thresholds import load
from backup.exits import Exit
from backup.metrics import Key, Outlet, ended
from tests.golden_files import same_as_golden
from tests.monitoring import (
    HOST,
    Desk,
    Prometheus,
    ask,
    desk,
    eventually,
    free_port,
    program,
    running,
)
from tests.promtool import filled

pytestmark = pytest.mark.e2e

INCIDENT = ("7f3a", "io_saturation", "health_monitor", "docker-monitor", "pod", "prod", "pg-backup")
NOISE = """groups:
- name: noise
  rules:
  - alert: KubePodNotReady
    expr: kube_pod_status_ready{condition="true"} == 0
    labels: {severity: warning}
"""


@dataclass(slots=True)
class Node:
    """A node as its two pages show it: the agent's, and a backup's textfile."""

    metrics: Metrics
    textfiles: Path
    began_s: float = field(default_factory=time.time)
    backing_up: bool = True

    def agent_page(self) -> bytes:
        """Return the agent's page after counters went on as they do on a busy node."""
        self.metrics.add("recorder_samples_total")
        self.metrics.add("journal_entries_total", 5, "ignored")
        self.metrics.add("runtime_probe_unanswered_total", 0, "docker")
        self.metrics.observe("runtime_probe_duration_seconds", 0.2, "docker")
        self.metrics.set("recorder_last_sample_timestamp_seconds", time.time())
        self.metrics.add("kube_requests_total", 1, "get", "pods", "200")
        self.metrics.add("events_published_total", 1, "created")
        for resource in ("cpu", "io", "memory"):
            self.metrics.add("pressure_waiting_seconds_total", 0.01, resource)
            self.metrics.add("pressure_stalled_seconds_total", 0.01, resource)
        if self.backing_up:
            self.back_up()
        return self.metrics.page()

    def back_up(self) -> None:
        """Leave what a good run leaves."""
        now_s = time.time()
        values: dict[Key, float] = {
            (name, ""): 1e6
            for name in (
                "expected_bytes", "read_bytes", "wal_bytes", "stored_bytes",
                "store_retries", "achieved_bytes_per_second", "allowed_bytes_per_second",
                "max_rate_bytes_per_second",
            )
        }  # fmt: skip
        values |= {
            (f"{name}_timestamp_seconds", ""): now_s
            for name in ("last_success", "last_run", "deadline", "verify", "restore_test")
        }
        values |= {(name, ""): 1.0 for name in ("verify_good", "restore_test_good")}
        values |= {("running", ""): 0.0, ("duration_seconds", ""): 30.0, ("harm_seconds", ""): 0.5}
        values |= {("throttled_seconds", "probe"): 3.0} | ended(Exit.DONE)
        assert Outlet(self.textfiles).keep(values) == []

    def suffer(self) -> None:
        """Have the incident that founded this project."""
        self.metrics.replace("open_incident_info", {(*INCIDENT, "false"): 1.0})
        self.metrics.replace(
            "open_incident_victim",
            {(INCIDENT[0], "prod", pod): 1.0 for pod in ("pg-0", "web-1")},
        )
        self.metrics.add("incidents_total", 1, "io_saturation", "health_monitor", "false")
        self.metrics.add("incident_victims_total", 2)
        self.metrics.set("last_incident_timestamp_seconds", time.time())

    def recover(self) -> None:
        """Be over it."""
        self.metrics.replace("open_incident_info", {})
        self.metrics.replace("open_incident_victim", {})


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    node: Node
    desk: Desk
    prometheus: Prometheus
    alertmanager: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("alerting")
    names = (
        ("prometheus",),
        ("prometheus-alertmanager", "alertmanager"),
        ("prometheus-node-exporter", "node_exporter"),
    )
    prometheus, alertmanager, exporter = (program(*one) for one in names)
    ports = [free_port() for _ in names]
    with ExitStack() as scope:
        listening = scope.enter_context(desk())
        node = Node(quiet_agent(), folder / "textfiles")
        node.textfiles.mkdir()
        node.back_up()
        listening.pages |= {"/agent": node.agent_page, "/kube": kube_page}
        configured = configure(folder, listening, ports)
        for command in (
            [exporter, "--collector.disable-defaults", "--collector.textfile",
             f"--collector.textfile.directory={node.textfiles}", "--collector.pressure",
             f"--web.listen-address={HOST}:{ports[2]}"],
            [alertmanager, f"--config.file={configured / 'alertmanager.yaml'}",
             f"--storage.path={folder / 'am'}", "--cluster.listen-address=",
             f"--web.listen-address={HOST}:{ports[1]}"],
            [prometheus, f"--config.file={configured / 'prometheus.yaml'}",
             f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address={HOST}:{ports[0]}"],
        ):  # fmt: skip
            log = folder / f"{Path(command[0]).name}.log"
            scope.enter_context(running(*command, log=log))
        server = Prometheus(f"http://{HOST}:{ports[0]}")
        eventually(lambda: len(server.instant("up == 1")) == 3, "all three targets are scraped")
        yield Stage(node, listening, server, f"http://{HOST}:{ports[1]}")


def quiet_agent() -> Metrics:
    metrics = Metrics(__version__)
    for source in SOURCES:
        metrics.set("source_up", 1, source)
    for name in ("recorder_bytes", "journal_lag_seconds", "journal_unreadable_files"):
        metrics.set(name, 0)
    metrics.set("runtime_probe_last_seconds", 0.2, "docker")
    metrics.set("open_incidents", 0, "io_saturation")
    metrics.add("incidents_total", 0, "io_saturation", "health_monitor", "false")
    return metrics


def kube_page() -> bytes:
    pods = ("pg-0", "elsewhere-0")
    return "".join(
        f'kube_pod_status_ready{{namespace="prod",pod="{pod}",condition="true"}} 0\n'
        for pod in pods
    ).encode()


def configure(folder: Path, listening: Desk, ports: list[int]) -> Path:
    """Write the committed configuration with short intervals and addresses of this machine."""
    made = folder / "etc"
    write(load(Path(__file__).with_name("alerting.toml")), made)
    (made / "noise.yaml").write_text(NOISE, "utf-8")
    (made / "slack-url").write_text(f"http://{HOST}:{listening.port}/slack", "utf-8")
    own = f"{HOST}:{listening.port}"
    scrapes = [
        _scrape("knockon", "/agent", own),
        _scrape("kube-state-metrics", "/kube", own),
        _scrape("node-exporter", "/metrics", f"{HOST}:{ports[2]}"),
    ]
    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["incidents.yaml", "agent.yaml", "backup.yaml", "noise.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{ports[1]}"]}]}]},
        "scrape_configs": scrapes,
    }
    (made / "prometheus.yaml").write_text(yaml.safe_dump(prometheus), "utf-8")
    (made / "alertmanager.yaml").write_text(yaml.safe_dump(hastened(listening, made)), "utf-8")
    return made


def _scrape(job: str, path: str, target: str) -> dict[str, Any]:
    labels = {"cluster": "eu", "node": "n1", "namespace": "prod"}
    if job == "kube-state-metrics":
        labels = {"cluster": "eu"}
    static = [{"targets": [target], "labels": labels}]
    return {"job_name": job, "metrics_path": path, "static_configs": static}


def hastened(listening: Desk, made: Path) -> Any:
    """Return the example configuration, sent to our desk, with its waits cut short."""
    config = yaml.safe_load((HERE / "alertmanager.yaml").read_text("utf-8"))
    config["templates"] = [str(HERE / "templates" / "knockon.tmpl")]
    config["global"] = {
        "slack_api_url_file": str(made / "slack-url"),
        "smtp_smarthost": f"{HOST}:{listening.smtp_port}",
        "smtp_from": config["global"]["smtp_from"],
        "smtp_require_tls": False,
    }
    for route in [config["route"], *config["route"]["routes"]]:
        route |= {"group_wait": "2s", "group_interval": "2s"}
    return config


def told(message: dict[str, Any]) -> str:
    """Return a Slack message as a person reads it, without what differs each time."""
    text = f"{message['channel']}\n{message['title']}\n\n{message['text']}\n"
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "(time)", text)
    text = re.sub(r" to \d\d:\d\d UTC", " to (time)", text)
    return re.sub(r"(?:\d+[dhm] )*[\d.]+m?s old", "(age) old", text)


def test_an_incident_arrives_with_killer_cause_offender_and_victims(stage: Stage) -> None:
    stage.node.suffer()
    said = eventually(lambda: stage.desk.messages("Critical: Container"), "the page arrives")
    same_as_golden(told(said[0]), "alert-incident-slack.txt")
    assert said[0]["title_link"].endswith("/d/knockon-nodes?var-cluster=eu&var-node=n1")


def test_the_same_arrives_by_mail(stage: Stage) -> None:
    mails = eventually(
        lambda: [one for one in stage.desk.mails if "ontainer" in str(one["Subject"])],
        "the mail arrives",
    )
    parts = {part.get_content_type(): part for part in mails[0].walk()}
    plain = parts["text/plain"].get_payload(decode=True).decode()
    assert "Offender: pod prod/pg-backup. Hurt: 2 pods: prod/pg-0, prod/web-1." in plain
    page = unescape(parts["text/html"].get_payload(decode=True).decode())
    assert "Cause: io saturation." in page
    assert page.count("<a href=") == 2


def test_it_holds_back_the_noise_of_its_own_victims_only(stage: Stage) -> None:
    def states() -> dict[str, str]:
        found = ask(f"{stage.alertmanager}/api/v2/alerts")
        noise = [one for one in found if one["labels"]["alertname"] == "KubePodNotReady"]
        return {one["labels"]["pod"]: one["status"]["state"] for one in noise}

    wanted = {"pg-0": "suppressed", "elsewhere-0": "active"}
    eventually(lambda: states() == wanted, "only the victim is held back")


def test_a_stopped_backup_arrives_as_stale(stage: Stage) -> None:
    stage.node.backing_up = False
    said = eventually(lambda: stage.desk.messages("Critical: Last good"), "the stale alert arrives")
    same_as_golden(told(said[0]), "alert-stale-slack.txt")


def test_every_panel_has_data(stage: Stage) -> None:
    empty = [
        f"{name}: {panel['title']}: {query}"
        for name, board in dashboards().items()
        for panel in json.loads(json.dumps(board["panels"]))
        for query in (target["expr"] for target in panel.get("targets", []))
        if not stage.prometheus.span(filled(query).replace("[1m]", "[10s]"))
    ]
    assert empty == []


def test_it_says_when_it_is_over(stage: Stage) -> None:
    stage.node.recover()
    said = eventually(lambda: stage.desk.messages("Over: Container"), "the all-clear arrives")
    assert said[0]["color"] == "good"


def test_nobody_was_told_anything_else(stage: Stage) -> None:
    titles = {one["attachments"][0]["title"].partition(" on ")[0] for one in stage.desk.received}
    words = {re.sub(r"(?:\d+[dhm] )*[\d.]+m?s", "", title) for title in titles}
    assert all(re.match(r"\w+: (Container runtime|Last good backup)", one) for one in words), words
