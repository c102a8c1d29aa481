"""How loudly each incident is told: the committed rules, asked about an agent's metrics."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import yaml

from alerts.rendering import HERE

RULES = HERE / "generated" / "incidents.yaml"
_SERIES = ("knockon_open_incident_info{", "knockon_open_incident_victim{")
_LOUDNESS = ("none", "info", "warning", "critical")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def alerts_of(pages: Sequence[str], folder: Path) -> dict[str, str]:
    """Return the severity of the loudest alert of each incident of these pages of metrics.

    A page that says two things of one incident (its cause became known) holds for a while each.
    """
    series = sorted({line.rpartition(" ")[0] for page in pages for line in _lines(page)})
    if not series:
        return {}
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": one, "values": "1x40"} for one in series],
                "promql_expr_test": [
                    {
                        "expr": 'ALERTS{alertstate="firing",incident!=""}',
                        "eval_time": "5m",
                        "exp_samples": [],
                    }
                ],
            }
        ],
    }
    path = folder / "alerts.yaml"
    path.write_text(yaml.safe_dump(test), "utf-8")
    promtool = shutil.which("promtool")
    if promtool is None:
        raise FileNotFoundError("promtool is not installed (apt: prometheus)")
    done = subprocess.run(
        [promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False
    )
    return _loudest(done.stdout + done.stderr)


def _lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith(_SERIES)]


def _loudest(said: str) -> dict[str, str]:
    """Read what promtool got instead of nothing."""
    found: dict[str, str] = {}
    for labels in re.findall(r'\{__name__="ALERTS"[^}]*\}', said):
        of = dict(_LABEL.findall(labels))
        incident, severity = of.get("incident", ""), of.get("severity", "none")
        before = found.get(incident, "none")
        found[incident] = max(before, severity, key=_LOUDNESS.index)
    return found
