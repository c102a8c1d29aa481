"""One source, two forms: plain rule files, and PrometheusRule objects with the same groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from alerts import agent, backup, incidents, pressure
from alerts.dashboards import dashboards
from alerts.reference import alerts_page
from alerts.rule import Group
from alerts.thresholds import Links, Values

HERE = Path(__file__).parent
GENERATED = HERE / "generated"
_NOTE = "# Made by `python -m alerts`; change alerts/*.py or give --values, not this file.\n"
_OBJECT_LABELS = {"app.kubernetes.io/name": "knockon", "app.kubernetes.io/component": "alerts"}


def subjects(values: Values) -> dict[str, tuple[Group, ...]]:
    """Return the groups of each file."""
    limits = values.thresholds
    return {
        "incidents": (pressure.group(limits), incidents.group(limits)),
        "agent": (agent.group(limits),),
        "backup": (backup.group(limits),),
    }


def files(values: Values) -> Iterator[tuple[str, str]]:
    """Return name and text of everything that is generated."""
    for subject, groups in subjects(values).items():
        content = {"groups": [_as_dict(one, values.links) for one in groups]}
        yield f"{subject}.yaml", as_yaml(content)
        yield f"prometheusrule-{subject}.yaml", as_yaml(_prometheus_rule(subject, content))
    for name, board in dashboards().items():
        yield f"dashboards/{name}.json", json.dumps(board, indent=2, ensure_ascii=False) + "\n"


def write(values: Values, folder: Path) -> list[Path]:
    """Write the generated files below a folder, and return where they are."""
    written = []
    for name, text in files(values):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def readme(values: Values) -> str:
    """Return the page that lists every alert and every threshold."""
    return alerts_page(values, [one for groups in subjects(values).values() for one in groups])


def _as_dict(group: Group, links: Links) -> dict[str, object]:
    return {"name": group.name, "rules": [rule.as_rule(links) for rule in group.rules]}


def _prometheus_rule(subject: str, content: Mapping[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": f"knockon-{subject}", "labels": _OBJECT_LABELS},
        "spec": content,
    }


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it reads."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(content: object) -> str:
    """Return YAML that a person can review."""
    return _NOTE + yaml.dump(
        content, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True
    )
