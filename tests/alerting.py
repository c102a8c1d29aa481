"""Prometheus, Alertmanager and node_exporter around a staged node and the backups of its database.

All three are the real programs, configured with what is committed: the generated rules with the
waits of ``tests/e2e/alerting.toml``, and the example Alertmanager configuration and templates, sent
to a desk on loopback instead of Slack and a mail server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from email.message import Message
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rendering import HERE, write
from alerts.thresholds import load
from tests.backup_jobs import BackupJobs, backup_jobs
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
    watchers,
)
from tests.replay import remote_tool
from tests.staged_node import VICTIMS, StagedNode, staged_node

VALUES = Path(__file__).parent / "e2e" / "alerting.toml"
BYSTANDER = "elsewhere-0"
_NOISE = """groups:
- name: noise
  rules:
  - alert: KubePodNotReady
    expr: kube_pod_status_ready{condition="true"} == 0
    labels: {severity: warning}
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    node: StagedNode
    backups: BackupJobs
    desk: Desk
    prometheus: Prometheus
    alertmanager: str

    def states(self, alert: str, label: str) -> dict[str, str]:
        """Return what Alertmanager does with each alert of a name, by one of its labels."""
        found = ask(f"{self.alertmanager}/api/v2/alerts")
        mine = [one for one in found if one["labels"]["alertname"] == alert]
        return {one["labels"][label]: one["status"]["state"] for one in mine}

    def firing(self, alert: str) -> bool:
        """Tell whether Prometheus has this alert firing now."""
        return bool(self.prometheus.instant(f'ALERTS{{alertname="{alert}", alertstate="firing"}}'))

    def mail(self, subject: str) -> Message:
        """Wait for the first mail whose subject contains this."""

        def found() -> list[Message]:
            return [one for one in self.desk.mails if subject in str(one["Subject"])]

        first: Message = eventually(found, f"a mail about {subject} arrives")[0]
        return first


@contextmanager
def alerting_stage(folder: Path) -> Iterator[Stage]:
    """Start everything; skips where a program is missing."""
    programs = (
        program("prometheus"),
        program("prometheus-alertmanager", "alertmanager"),
        program("prometheus-node-exporter", "node_exporter"),
    )
    tool = remote_tool()
    if tool is None:
        pytest.skip("systemd-journal-remote is not installed")
    pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
    with ExitStack() as scope:
        listening = scope.enter_context(desk())
        listening.pages |= {"/kube": _kube_page, "/fleet": bytes}
        backups = scope.enter_context(backup_jobs(folder, scale=2))
        node = scope.enter_context(staged_node(folder, tool))
        ports = [free_port() for _ in programs]
        made = _configured(folder, listening, (node, backups), ports)
        for line in _command_lines(programs, ports, (folder, made), (node, backups)):
            log = folder / f"{Path(line[0]).name}.log"
            scope.enter_context(running(*line, log=log))
        server = Prometheus(f"http://{HOST}:{ports[0]}")
        eventually(lambda: len(server.instant("up == 1")) == 4, "all but the backup are scraped")
        yield Stage(node, backups, listening, server, f"http://{HOST}:{ports[1]}")


def _command_lines(
    programs: tuple[str, str, str],
    ports: list[int],
    places: tuple[Path, Path],
    measured: tuple[StagedNode, BackupJobs],
) -> list[list[str]]:
    (folder, made), (node, backups) = places, measured
    prometheus, alertmanager, exporter = programs
    return [
        [
            exporter,
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={backups.textfiles}",
            "--collector.pressure",
            f"--path.procfs={node.kernel.tree.root / 'proc'}",
            f"--web.listen-address={HOST}:{ports[2]}",
        ],
        *watchers((prometheus, alertmanager), (ports[0], ports[1]), folder, made),
    ]


def _kube_page() -> bytes:
    return "".join(
        f'kube_pod_status_ready{{namespace="prod",pod="{pod}",condition="true"}} 0\n'
        for pod in (*VICTIMS, BYSTANDER)
    ).encode()


def fleet_page(nodes: int) -> bytes:
    """What the agents of another cluster say when the same storage fails them all at once."""
    labels = 'cluster="us",node="node-{0}"'
    said = (
        f"knockon_build_info{{{{{labels}}}}} 1\n"
        f'knockon_open_incident_info{{{{{labels},incident="{{0:010x}}",cause="io_saturation",'
        'killer="health_monitor",killer_name="kube-container-runtime-monitor",planned="false"}} 1\n'
    )
    return "".join(said.format(at) for at in range(nodes)).encode()


def _configured(
    folder: Path, listening: Desk, measured: tuple[StagedNode, BackupJobs], ports: list[int]
) -> Path:
    """Write the committed configuration with short intervals and addresses of this machine."""
    made = folder / "etc"
    node, backups = measured
    write(load(VALUES), made)
    (made / "noise.yaml").write_text(_NOISE, "utf-8")
    (made / "slack-url").write_text(f"http://{HOST}:{listening.port}/slack", "utf-8")
    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["incidents.yaml", "agent.yaml", "backup.yaml", "noise.yaml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"{HOST}:{ports[1]}"]}]}]},
        "scrape_configs": [
            scrape("knockon", node.agent.port(), node="n1", namespace="knockon"),
            scrape("node-exporter", ports[2], node="n1", namespace="monitoring"),
            scrape("kube-state-metrics", listening.port, "/kube"),
            scrape("knockon-backup", backups.port, namespace="prod"),
            scrape("fleet", listening.port, "/fleet") | {"honor_labels": True},
        ],
    }
    (made / "prometheus.yaml").write_text(yaml.safe_dump(prometheus), "utf-8")
    (made / "alertmanager.yaml").write_text(yaml.safe_dump(hastened(listening, made)), "utf-8")
    return made


def scrape(job: str, port: int, path: str = "/metrics", **labels: str) -> dict[str, Any]:
    """Return the scrape job of one address."""
    static = [{"targets": [f"{HOST}:{port}"], "labels": {"cluster": "eu", **labels}}]
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


def slack_text(message: dict[str, Any]) -> str:
    """Return a Slack message as a person reads it, without what differs each time."""
    return steady(f"{message['channel']}\n{message['title']}\n\n{message['text']}\n")


def mail_text(message: Message) -> str:
    """Return a mail's subject and plain text likewise."""
    parts = {part.get_content_type(): part for part in message.walk()}
    plain = parts["text/plain"].get_payload(decode=True)
    assert isinstance(plain, bytes)
    text = plain.decode().replace("\r\n", "\n")
    return steady(f"{message['Subject']}\n\n{text.rstrip()}\n")


def mail_page(message: Message) -> str:
    """Return a mail's HTML."""
    parts = {part.get_content_type(): part for part in message.walk()}
    page = parts["text/html"].get_payload(decode=True)
    assert isinstance(page, bytes)
    return unescape(page.decode())


def steady(text: str) -> str:
    """Return a message without the times and names that differ each time."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "(time)", text)
    text = re.sub(r" to \d\d:\d\d UTC", " to (time)", text)
    text = re.sub(r"Incident [0-9a-f]{10}", "Incident (id)", text)
    return re.sub(r"(?:\d+[dhm] )*[\d.]+m?s old", "(age) old", text)
