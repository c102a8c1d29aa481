"""The example for Alertmanager: accepted, routed by severity, and joined where it holds back."""

from __future__ import annotations

import re

import pytest
import yaml

from tests.promtool import run
from tests.test_alerts import ALERTS, ALL

CONFIG = ALERTS / "alertmanager.yaml"


def test_amtool_accepts_the_example() -> None:
    assert "SUCCESS" in run("amtool", "check-config", CONFIG)


@pytest.mark.parametrize(
    ("severity", "receiver"),
    [("critical", "page"), ("warning", "channel"), ("info", "mail"), ("none", "nobody")],
)
def test_each_severity_goes_where_it_belongs(severity: str, receiver: str) -> None:
    asked = ("config", "routes", "test", f"--config.file={CONFIG}", "product=knockon")
    assert run("amtool", *asked, f"severity={severity}").strip() == receiver


def test_noise_of_pods_is_held_back_by_pod_and_never_by_node() -> None:
    rules = yaml.safe_load(CONFIG.read_text("utf-8"))["inhibit_rules"]
    others = [rule for rule in rules if "Kube" in str(rule["target_matchers"])]
    assert [rule["source_matchers"] for rule in others] == [['alertname="PodRecreatedByIncident"']]
    assert others[0]["equal"] == ["cluster", "namespace", "pod"]


def test_inhibition_names_only_alerts_that_exist() -> None:
    rules = yaml.safe_load(CONFIG.read_text("utf-8"))["inhibit_rules"]
    for rule in rules:
        (source,) = rule["source_matchers"]
        assert re.findall(r'"(\w+)"', source)[0] in ALL
        targets = re.findall(r"\w+", rule["target_matchers"][0].partition("=")[2])
        assert all(name in ALL for name in targets) or "KubePodNotReady" in targets
