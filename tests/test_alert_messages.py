"""Messages of one, several, many and resolved alerts, rendered by amtool as Alertmanager would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from alerts.rendering import HERE
from tests.golden_files import same_as_golden
from tests.promtool import run

TEMPLATES = HERE / "templates" / "*.tmpl"
WHOLE = '{{ template "knockon.title" . }}\n\n{{ template "knockon.slack" . }}\n'


def alert(node: str, *, over: bool = False, says: str = "") -> dict[str, Any]:
    """A node's alert as Alertmanager hands it to a template."""
    return {
        "status": "resolved" if over else "firing",
        "labels": {"alertname": "NodeIOStalled", "severity": "warning", "node": node},
        "annotations": {
            "summary": f"Everything on {node} waits for I/O 60% of the time",
            "description": says or f"Victim: every pod of {node}. Offender: not named yet.",
            "runbook_url": "https://example.com/knockon/runbooks/NodeIOStalled",
            "dashboard_url": f"https://grafana.example.com/d/knockon-nodes?var-node={node}",
        },
        "startsAt": "2026-01-01T03:00:00Z",
        "endsAt": "2026-01-01T03:20:00Z",
    }


def rendered(folder: Path, alerts: list[dict[str, Any]], text: str = WHOLE) -> str:
    """Return what the template makes of a group of alerts."""
    over = all(one["status"] == "resolved" for one in alerts)
    common = {"alertname": "NodeIOStalled", "severity": "warning", "cluster": "eu"}
    alone = alerts[0]["labels"] if len(alerts) == 1 else {}
    data = {
        "receiver": "channel",
        "status": "resolved" if over else "firing",
        "alerts": alerts,
        "groupLabels": {"alertname": "NodeIOStalled", "cluster": "eu"},
        "commonLabels": common | alone,
        "commonAnnotations": alerts[0]["annotations"] if len(alerts) == 1 else {},
        "externalURL": "https://alertmanager.example.com",
    }
    path = folder / "data.json"
    path.write_text(json.dumps(data), "utf-8")
    kind = "--template.type=html" if "html" in text else "--template.type=text"
    asked = (f"--template.glob={TEMPLATES}", f"--template.data={path}", kind)
    return run("amtool", "template", "render", *asked, f"--template.text={text}")


@pytest.mark.parametrize(
    ("name", "alerts"),
    [
        ("one", [alert("n1")]),
        ("three", [alert(f"n{at}") for at in (1, 2, 3)]),
        ("some-over", [alert("n1"), alert("n2", over=True)]),
        ("over", [alert("n1", over=True)]),
        ("all-over", [alert("n1", over=True), alert("n2", over=True)]),
    ],
)
def test_a_group_of_alerts_reads_well(
    tmp_path: Path, name: str, alerts: list[dict[str, Any]]
) -> None:
    same_as_golden(rendered(tmp_path, alerts), f"message-{name}.txt")


def test_nobody_is_sent_more_than_ten(tmp_path: Path) -> None:
    said = rendered(tmp_path, [alert(f"n{at}") for at in range(200)])
    assert said.startswith("Warning: 200 \N{MULTIPLICATION SIGN} NodeIOStalled on eu\n")
    assert said.count("|Runbook>") == 10
    assert said.rstrip().endswith("200 in all; the first ten are shown.")


def test_what_a_pod_calls_itself_does_not_become_html(tmp_path: Path) -> None:
    hostile = alert("n1", says="Offender: <script>alert(1)</script>")
    page = rendered(tmp_path, [hostile], '{{ template "knockon.html" . }}')
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_what_a_process_calls_itself_calls_nobody_in_slack(tmp_path: Path) -> None:
    said = rendered(tmp_path, [alert("n1", says="Offender: process <!channel> & co.")])
    assert "Offender: process &lt;!channel&gt; &amp; co." in said


def test_the_plain_mail_of_several_names_each(tmp_path: Path) -> None:
    said = rendered(tmp_path, [alert("n1"), alert("n2")], '{{ template "knockon.text" . }}')
    same_as_golden(said, "message-mail-two.txt")
