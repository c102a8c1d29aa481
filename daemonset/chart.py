"""A rendering as a helm chart, for who has helm and nothing else: its values are already in it."""

from __future__ import annotations

from pathlib import Path

from agent import __version__
from agent.report.whole_file import write_whole

_CHART = f"""\
apiVersion: v2
name: knockon
description: Tells you why the pods on a Kubernetes node were re-created
type: application
version: {__version__}
appVersion: "{__version__}"
kubeVersion: ">=1.30.0-0"
"""
_VALUES = """\
# Made by `knockon render --chart`: the values are in the templates. Render it again to change them.
"""


def write_chart(folder: Path, manifests: str) -> None:
    """Write the three files of a chart; what else lies in the folder stays."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "Chart.yaml", _CHART)
    write_whole(folder / "values.yaml", _VALUES)
    write_whole(folder / "templates" / "knockon.yaml", as_template(manifests))


def as_template(manifests: str) -> str:
    """Keep helm from reading what Prometheus and Grafana shall: alerts are full of ``{{``."""
    return manifests.replace("{{", '{{ "{{" }}')
