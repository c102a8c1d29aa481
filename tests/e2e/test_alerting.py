"""A backup, a kill, and a backup that stops: the real programs, and every word that arrives.

One story in the order of its tests. An agent watches a node whose disk is eaten up while a base
backup of a real Postgres runs; the runtime answers late, its monitor kills it; the backup ends
well, is checked, and the next one is stopped by a signal.
"""

from __future__ import annotations

import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.exits import Exit
from tests.alerting import (
    BYSTANDER,
    Stage,
    alerting_stage,
    fleet_page,
    mail_page,
    mail_text,
    slack_text,
)
from tests.boards import NAMES, board, empty
from tests.golden_files import same_as_golden
from tests.monitoring import eventually
from tests.runbooks import PAGES, commands, inner
from tests.staged_node import BACKUP_POD, VICTIMS

pytestmark = pytest.mark.e2e

OWN_RULE = """[[rule]]
id = "our-monitor"
fact = "monitor_kills_runtime"
about = "runtime"
match = { _TRANSPORT = "stdout", _SYSTEMD_UNIT = "our-monitor.service", _UID = "0" }
pattern = '^Our runtime hangs'
guard = true
origin = "made up"
matches = ["Our runtime hangs"]
rejects = ["He said: Our runtime hangs"]
"""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-alerting-") as folder,
        alerting_stage(Path(folder)) as made,
    ):
        Path(folder).chmod(0o755)
        yield made


def test_a_runtime_that_waits_for_the_disk_is_told_before_it_is_killed(stage: Stage) -> None:
    node = stage.node
    with stage.backups.started(BACKUP_POD, node.announcements, "--ceiling", "1.2MB/s") as backup:
        eventually(lambda: "knockon_announced_backups 1.0" in node.page(), "the agent sees it")
        eventually(lambda: node.seconds_recorded() > 16, "there are minutes before")
        node.strain()
        said = eventually(lambda: stage.desk.messages("Warning: docker"), "the warning arrives")
        same_as_golden(slack_text(said[0]), "alert-slow-slack.txt")
        eventually(lambda: node.seconds_strained() > 16, "it goes on")
        node.kill()
        assert backup.wait(120) == Exit.DONE


def test_a_kill_arrives_with_killer_cause_offender_and_victims(stage: Stage) -> None:
    said = eventually(lambda: stage.desk.messages("Critical: Container"), "the page arrives")
    same_as_golden(slack_text(said[0]), "alert-incident-slack.txt")
    assert said[0]["title_link"].endswith("/d/knockon-nodes?var-cluster=eu&var-node=n1")


def test_the_same_arrives_by_mail(stage: Stage) -> None:
    mail = stage.mail("ontainer runtime of n1")
    same_as_golden(mail_text(mail), "alert-incident-mail.txt")
    page = mail_page(mail)
    assert "Cause: io saturation." in page
    assert page.count("<a href=") == 2


def test_what_was_published_is_counted_once_it_has_been_sent(stage: Stage) -> None:
    counted = 'sum(knockon_events_published_total{result="created"}) >= 2'
    eventually(lambda: stage.prometheus.instant(counted), "the Events on both victims count")


def test_it_holds_back_the_noise_of_its_own_victims_only(stage: Stage) -> None:
    wanted = dict.fromkeys(VICTIMS, "suppressed") | {BYSTANDER: "active"}
    eventually(
        lambda: stage.states("KubePodNotReady", "pod") == wanted, "only victims are held back"
    )


@pytest.mark.parametrize(
    ("alert", "subject", "command"),
    [
        ("PostgresBackupNeverVerified", "No backup of pg-main was verified", "verify"),
        ("PostgresRestoreTestOld", "No restore of pg-main was tested", "restore-test"),
    ],
)
def test_an_unproven_backup_is_mailed_until_somebody_checks_it(
    stage: Stage, alert: str, subject: str, command: str
) -> None:
    same_as_golden(mail_text(stage.mail(subject)), f"alert-no-{command}-mail.txt")
    assert stage.firing(alert)
    stage.backups.check(command)
    eventually(lambda: not stage.firing(alert), f"{alert} resolves")


def test_a_backup_that_is_stopped_arrives_as_failed_and_then_as_stale(stage: Stage) -> None:
    pod, place = "pg-backup-29384757", stage.node.announcements
    with stage.backups.started(pod, place, "--ceiling", "1MB/s") as backup:
        stage.backups.server.backup_pid()
        backup.send_signal(signal.SIGTERM)
        assert backup.wait(60) == Exit.ABORTED
    failed = eventually(lambda: stage.desk.messages("Warning: Last backup"), "the failure arrives")
    same_as_golden(slack_text(failed[0]), "alert-failed-slack.txt")
    stale = eventually(lambda: stage.desk.messages("Critical: Last good"), "the stale one arrives")
    same_as_golden(slack_text(stale[0]), "alert-stale-slack.txt")
    assert stale[0]["title_link"].endswith("/d/knockon-backups?var-cluster=eu&var-database=pg-main")


def test_the_next_good_backup_ends_it(stage: Stage) -> None:
    with stage.backups.started("pg-backup-29384758", stage.node.announcements) as backup:
        assert backup.wait(120) == Exit.DONE
    said = eventually(lambda: stage.desk.messages("Over: Last good"), "the all-clear arrives")
    assert said[0]["color"] == "good"


def test_two_hundred_nodes_at_once_are_one_message(stage: Stage) -> None:
    stage.desk.pages["/fleet"] = lambda: fleet_page(200)
    said = eventually(lambda: stage.desk.messages("Critical: 200 nodes"), "the fleet's arrives")
    same_as_golden(slack_text(said[0]), "alert-fleet-slack.txt")

    def held_back() -> list[str]:
        kills = stage.states("ContainerRuntimeKilled", "node")
        return [state for node, state in kills.items() if node.startswith("node-")]

    eventually(lambda: held_back() == ["suppressed"] * 200, "the single ones are held back")
    assert len(stage.desk.messages("Critical: Container")) == 1, "only that of the other cluster"


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_and_every_mark_has_data(stage: Stage, name: str) -> None:
    assert list(empty(board(name, stage.prometheus))) == []


OF_A_CLUSTER = ["incidents"]  # test_laptop.py runs it, where a cluster is


def of_the_runbooks(stage: Stage) -> list[tuple[str, list[str]]]:
    """Every command of ours in a runbook, with the variables and paths of this stage."""
    latest = re.findall(r"\d{8}T\d{6}Z-[0-9a-f]{8}", stage.backups.ask("list"))[-1]
    rules = stage.backups.folder / "my-rules"
    rules.mkdir()
    (rules / "ours.toml").write_text(OWN_RULE, "utf-8")
    values = {
        "$STORE": stage.backups.store,
        "$OTHER": f"file://{stage.backups.folder}/other",
        "$ID": latest,
        "$NODE": "lab-node",
        "/host": str(stage.node.kernel.tree.root),
        "bundle": "tests/stories/founding-incident",
        "./my-rules": str(rules),
    }
    asked = {
        " ".join(inner(words)[1:]): [values.get(word, word) for word in inner(words)[1:]]
        for page in PAGES.values()
        for words in commands(page)
        if inner(words)[0] == "knockon" and inner(words)[1:] != OF_A_CLUSTER
    }
    return sorted(asked.items())


def test_our_commands_in_the_runbooks_run_as_they_stand(stage: Stage) -> None:
    printed = {name: stage.backups.typed(*words) for name, words in of_the_runbooks(stage)}
    assert "pg-0" in printed["record show --root /host --last 10m"]
    assert "restores and starts" in printed["backup restore-test --from $STORE"]
    assert all(printed.values()), printed


def test_nobody_was_told_anything_else(stage: Stage) -> None:
    titles = {one["attachments"][0]["title"] for one in stage.desk.received}
    known = r"\w+: (?:Container runtime|docker on|200 nodes|Last good backup|Last backup run) "
    assert {title for title in titles if not re.match(known, title)} == set()
