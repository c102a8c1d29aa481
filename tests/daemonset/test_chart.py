"""The chart: what helm makes of it is what was rendered, alerts with their braces included."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from agent import __version__
from tests.command import knockon
from tests.daemonset.manifest import EVERYTHING

_ACTION = re.compile(r"\{\{(.*?)\}\}")


def as_helm(template: str) -> str:
    """What Go's templates make of a text whose only actions are quoted strings."""
    assert {one.strip() for one in _ACTION.findall(template)} <= {'"{{"'}
    return template.replace('{{ "{{" }}', "{{")


def test_helm_gets_what_was_rendered(tmp_path: Path) -> None:
    done = knockon("render", "-f", EVERYTHING, "--chart", tmp_path / "chart")
    assert (done.returncode, done.stdout) == (0, "")
    template = (tmp_path / "chart" / "templates" / "knockon.yaml").read_text("utf-8")
    rendered = knockon("render", "-f", EVERYTHING).stdout
    assert "{{ $labels" in rendered, "alerts speak Go's templates too"
    assert as_helm(template) == rendered


def test_the_chart_says_what_it_is(tmp_path: Path) -> None:
    knockon("render", "--chart", tmp_path)
    chart = yaml.safe_load((tmp_path / "Chart.yaml").read_text("utf-8"))
    assert (chart["apiVersion"], chart["name"]) == ("v2", "knockon")
    assert chart["version"] == chart["appVersion"] == __version__
    assert yaml.safe_load((tmp_path / "values.yaml").read_text("utf-8")) is None


def test_a_chart_and_a_difference_are_two_things(tmp_path: Path) -> None:
    done = knockon("render", "--chart", tmp_path, "--diff", "x")
    assert done.returncode == 2
    assert "--chart and --diff" in done.stderr
