"""Alerts: each is whole, each is proven by promtool, and each is silent when it should be."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.daemon.metrics import Told
from agent.model import Cause, KillerKind
from alerts import reference, rendering
from alerts.thresholds import Values
from backup.exits import Exit, reason_word
from tests.exposed import labels_of, metrics_in, wrong_labels
from tests.golden_files import GOLDEN
from tests.promtool import run

ALERTS = rendering.HERE
CASES = sorted((Path(__file__).parent / "alerts").glob("*.yaml"))
SUBJECTS = ("incidents", "agent", "backup")


def everything_told() -> list[Told]:
    """Every metric of agent, fleet and backup."""
    return [*reference.agent_table(), *reference.fleet_table(), *reference.backup_table()]


def rules_of(subject: str) -> list[dict[str, Any]]:
    text = (rendering.GENERATED / f"{subject}.yaml").read_text("utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


ALL = {rule["alert"]: rule for name in SUBJECTS for rule in rules_of(name) if "alert" in rule}


@cache
def cases() -> list[tuple[str, str, dict[str, Any]]]:
    """Every promtool case: the alert it is about, what happens, and the case itself."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = []
    for path in CASES:
        for case in yaml.load(path.read_text("utf-8"), loader)["tests"]:
            alert, _, says = case["name"].partition(": ")
            found.append((alert, says, case))
    return found


@pytest.mark.parametrize("name", [name for name, _ in rendering.files(Values())])
def test_what_is_committed_is_what_the_code_makes(name: str) -> None:
    made = dict(rendering.files(Values()))[name]
    assert (rendering.GENERATED / name).read_text("utf-8") == made, "run `python -m alerts`"


def test_the_reference_pages_are_what_the_code_makes() -> None:
    assert (ALERTS / "README.md").read_text("utf-8") == rendering.readme(Values())
    assert reference.METRICS_PAGE.read_text("utf-8") == reference.metrics_page()


def test_the_message_shown_in_the_readme_is_the_one_that_arrives() -> None:
    arrived = (GOLDEN / "alert-incident-slack.txt").read_text("utf-8")
    _, title, _, body, *_ = arrived.split("\n")
    shown = re.sub(r"Incident [0-9a-f]{10}", "Incident (id)", (ALERTS / "README.md").read_text())
    assert f"> **{title}**" in shown
    assert f"> {body}" in shown


@pytest.mark.parametrize("subject", SUBJECTS)
def test_both_forms_have_the_same_content(subject: str) -> None:
    folder = rendering.GENERATED
    plain = yaml.safe_load((folder / f"{subject}.yaml").read_text("utf-8"))
    wrapped = yaml.safe_load((folder / f"prometheusrule-{subject}.yaml").read_text("utf-8"))
    assert wrapped["kind"] == "PrometheusRule"
    assert wrapped["spec"] == plain


@pytest.mark.parametrize("alert", ALL)
def test_every_alert_is_whole(alert: str) -> None:
    rule = ALL[alert]
    said = rule["annotations"]
    assert rule["for"]
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert len(re.sub(r"\{\{.*?\}\}", "", said["summary"])) < 100
    assert re.search(r"Victims?:|Hurt:", said["description"])
    assert re.search(r"Offenders?\b", said["description"])
    assert said["runbook_url"].endswith(f"/{alert}")
    assert "/d/knockon-" in said["dashboard_url"]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_metric_of_a_rule_is_exposed_by_somebody(subject: str) -> None:
    used = {name for rule in rules_of(subject) for name in metrics_in(json.dumps(rule))}
    assert used - labels_of().keys() == set()


def test_every_label_of_a_rule_is_there() -> None:
    for subject in SUBJECTS:
        for rule in rules_of(subject):
            texts = [rule["expr"], *rule.get("annotations", {}).values()]
            assert [wrong for text in texts for wrong in wrong_labels(text)] == []


def test_the_golden_pages_hold_all_there_is() -> None:
    told = (*reference.agent_table(), *reference.backup_table())
    for one in told:
        name = f"{one.name}_bucket" if one.kind == "histogram" else one.name
        assert labels_of()[name] - {"le"} == set(one.labels), name


def test_every_word_a_rule_selects_is_a_word_of_the_model() -> None:
    words = {
        "cause": {one.value for one in Cause},
        "killer": {one.value for one in KillerKind},
        "reason": {reason_word(one) for one in Exit},
    }
    selected = re.findall(
        r'\b(cause|killer|reason)[!=]=?~?\\?["\']([\w|]+)', json.dumps(list(ALL.values()))
    )
    assert {label for label, _ in selected} == words.keys()
    for label, chosen in selected:
        assert set(chosen.split("|")) <= words[label]


def test_no_two_programs_say_different_things_by_one_name() -> None:
    told = Counter(one.name for one in everything_told())
    assert [name for name, times in told.items() if times > 1] == []


def test_names_follow_the_guidelines_of_prometheus() -> None:
    for one in everything_told():
        assert re.fullmatch(r"knockon(_[a-z]+)+", one.name), one.name
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert not re.search(r"_(ms|us|milliseconds|minutes|hours|mib|kb|percent)\b", one.name)
        assert not {"le", "quantile", "instance", "job", "pod_uid", "message"} & {*one.labels}
        assert one.says.endswith("."), one.name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_promtool_accepts_the_rules(subject: str) -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", rendering.GENERATED / f"{subject}.yaml")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_promtool_cases_hold(path: Path) -> None:
    assert "SUCCESS" in run("promtool", "test", "rules", path)


def checks_of(case: dict[str, Any]) -> Iterator[bool]:
    """Say for each check of a case whether it expects silence."""
    yield from (not check["exp_samples"] for check in case["promql_expr_test"])


KINDS = {
    "fires": 1,
    "silent": 2,  # the two most likely false alarms
    "flaps": 1,
    "resets": 1,  # a counter, an agent or a gateway that begins again
    "missing": 1,  # a source, a label or a history that is not there
}


@pytest.mark.parametrize("alert", ALL)
@pytest.mark.parametrize(("kind", "at_least"), KINDS.items())
def test_every_alert_has_a_case_of_each_kind(alert: str, kind: str, at_least: int) -> None:
    kinds = Counter(re.split(r"\W", says)[0] for about, says, _ in cases() if about == alert)
    assert kinds[kind] >= at_least


@pytest.mark.parametrize("alert", ALL)
def test_every_alert_is_seen_to_resolve_and_its_text_is_compared(alert: str) -> None:
    mine = [(says, case) for about, says, case in cases() if about == alert]
    resolving = [list(checks_of(case)) for says, case in mine if "resolves" in says]
    assert any(silent[-1] and not all(silent) for silent in resolving)
    assert any(case.get("alert_rule_test") for _, case in mine)


@pytest.mark.parametrize("alert", ["NodeIOStalled", "NodeMemoryStalled", "NodeCPUStarved"])
@pytest.mark.parametrize("source", ["knockon_pressure", "node_pressure", "container_pressure"])
def test_each_source_of_pressure_is_enough_alone(alert: str, source: str) -> None:
    def alone(case: dict[str, Any]) -> bool:
        told = [one["series"] for one in case["input_series"] if "_pressure_" in one["series"]]
        return all(one.startswith(source) for one in told)

    assert any(
        alone(case) for about, says, case in cases() if about == alert and says.startswith("fires")
    )


def test_no_case_tests_an_alert_that_does_not_exist() -> None:
    assert {about for about, _, _ in cases()} == {*ALL, "*"}


def test_a_case_that_is_silent_checks_nothing_else() -> None:
    for alert, says, case in cases():
        if says.startswith("silent"):
            assert all(checks_of(case)), f"{alert}: {says}"
        if says.startswith("fires"):
            assert not all(checks_of(case)), f"{alert}: {says}"


def test_most_checks_expect_silence() -> None:
    silent = [one for _, _, case in cases() for one in checks_of(case)]
    assert sum(silent) > len(silent) / 2


def test_missing_series_are_checked_for_every_subject() -> None:
    assert sum(says.startswith("missing") for _, says, _ in cases()) >= len(SUBJECTS)
