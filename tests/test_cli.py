"""The command's answers as a person or a script gets them: text, JSON, and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.report.jsonform import SCHEMA
from tests.command import calm_bundle, is_one_line, killed_bundle, knockon, puzzling_bundle

PASTED = (
    "May 21 18:02:41 n1 health-monitor.sh[1170]: Docker daemon failed!\n"
    "May 21 18:02:42 n1 dockerd[900]: Processing signal 'terminated'\n"
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return killed_bundle(tmp_path_factory.mktemp("cli") / "killed")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return calm_bundle(tmp_path_factory.mktemp("cli") / "calm")


@pytest.fixture(scope="module")
def puzzling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return puzzling_bundle(tmp_path_factory.mktemp("cli") / "puzzling")


def test_explained_incident(killed: Path) -> None:
    done = knockon("why", "--bundle", killed)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first = done.stdout.splitlines()[0]
    assert "2 pods" in first
    assert "health" in done.stdout or "monitor" in done.stdout
    assert "StatefulSet prod/pg" in done.stdout
    assert "\x1b" not in done.stdout


def test_json_and_text_agree(killed: Path) -> None:
    done = knockon("why", "--bundle", killed, "--json")
    said = json.loads(done.stdout)
    assert (done.returncode, said["schema"], said["quiet"]) == (0, SCHEMA, False)
    first = said["incidents"][0]
    assert first["killer"]["kind"] == "health_monitor"
    assert {victim["pod"] for victim in first["victims"]} == {"pg-0", "web-1"}
    text = knockon("why", "--bundle", killed).stdout.replace("\n", " ")
    assert first["verdict"] in text
    assert f"{first['confidence']:.2f}" in text
    assert knockon("why", "--bundle", killed, "--json").stdout == done.stdout


def test_spoofed_line_is_counted_not_believed(killed: Path) -> None:
    said = json.loads(knockon("why", "--bundle", killed, "--json").stdout)
    assert said["input"]["spoofed"] == 1


@pytest.mark.parametrize(
    "words",
    [["pod/pg-0"], ["pg-0"], ["pg-0", "-n", "prod"], ["pod", "pg-0"], ["prod/pg-0"]],
)
def test_a_pod_may_be_named_as_people_name_pods(killed: Path, words: list[str]) -> None:
    given = ["--bundle", str(killed)]
    for order in ([*words, *given], [*given, *words]):
        done = knockon("why", *order, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["asked"]["found"] is True


def test_pod_in_no_incident_is_said_clearly(killed: Path) -> None:
    done = knockon("why", "pod/pg-9", "--bundle", killed)
    assert done.returncode == 3
    assert done.stdout.startswith("Pod pg-9 is in no incident found in ")
    assert "Did you mean prod/pg-0" in done.stdout


def test_pod_in_another_namespace_is_suggested(killed: Path) -> None:
    done = knockon("why", "pg-0", "-n", "dev", "--bundle", killed)
    assert done.returncode == 3
    assert "prod/pg-0" in done.stdout


def test_quiet_bundle(calm: Path) -> None:
    done = knockon("why", "--bundle", calm)
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing to report")
    assert json.loads(knockon("why", "--bundle", calm, "--json").stdout)["quiet"] is True
    assert knockon("incidents", "--bundle", calm).stdout.startswith("Nothing to report")


def test_unknown_is_a_status_of_its_own(puzzling: Path) -> None:
    done = knockon("why", "--bundle", puzzling, "--json")
    assert done.returncode == 3
    assert json.loads(done.stdout)["incidents"][0]["cause"] == "unknown"
    assert json.loads(done.stdout)["incidents"][0]["missing"]


def test_incidents_are_one_line_each(killed: Path) -> None:
    done = knockon("incidents", "--bundle", killed)
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    assert "2018-05-21 18:02:41 UTC" in done.stdout


def test_pasted_log_on_standard_input() -> None:
    done = knockon("why", "--log", "-", "--now", "2018-05-21T19:00:00Z", stdin=PASTED)
    assert done.returncode in (0, 3), done.stderr
    assert "health" in done.stdout
    assert "nobody vouches" in " ".join(done.stdout.split())


def test_rules_are_listed_and_checked(tmp_path: Path) -> None:
    assert "monitor_kills_runtime" in knockon("rules").stdout
    mine = tmp_path / "mine.toml"
    rule = (
        '[[rule]]\nid = "mine"\nfact = "operator_acts"\nabout = "node"\n'
        'match = { _SYSTEMD_UNIT = "mine.service" }\npattern = "^I restart docker"\n'
        'matches = ["I restart docker"]\nrejects = ["he says: I restart docker"]\n'
    )
    mine.write_text(rule)
    done = knockon("rules", "--check", tmp_path)
    assert (done.returncode, done.stdout) == (0, "1 rule in 1 file, 2 samples: all hold\n")
    mine.write_text(rule.replace('"I restart docker"]', '"I do not"]'))
    done = knockon("rules", "--check", tmp_path)
    assert done.returncode == 2
    assert "mine" in done.stderr
    assert is_one_line(done.stderr)


@pytest.mark.shared
def test_every_recording_gets_an_answer_in_both_forms(shared: Path) -> None:
    for folder in sorted((shared / "recordings").iterdir()):
        if not folder.is_dir():
            continue
        said = knockon("why", "--bundle", folder, "--json")
        text = knockon("why", "--bundle", folder, "--all", "--explain", env={"COLUMNS": "60"})
        assert said.returncode == text.returncode, folder.name
        assert said.returncode in (0, 3), said.stderr
        verdicts = [incident["verdict"] for incident in json.loads(said.stdout)["incidents"]]
        words = " ".join(text.stdout.split())
        assert all(verdict in words for verdict in verdicts), folder.name
        assert max(map(len, text.stdout.splitlines())) <= 60, folder.name
