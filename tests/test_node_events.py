"""What is said on the Node besides incidents: that one is over, and what we cannot see."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.daemon.aftermath import FORGOTTEN_AFTER_S, UNRESOLVED_AFTER_S
from agent.daemon.blindness import HOLD_S, LONG_ABSENCE_S
from agent.fleet.told import told_of
from tests.agents import kill_lines, oom_lines, uid_of
from tests.daemons import NODE, T0, Daemon
from tests.fake_events import to_core
from tests.replay import entry

DAY_S = 86_400


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    made = Daemon(tmp_path).start()
    made.knows("web-0", "web-1")
    made.journal([])
    made.cycle()
    return made


def struck(daemon: Daemon, *, ready: bool | None) -> None:
    """Docker is killed, two pods are re-created, and the incident settles."""
    daemon.journal(kill_lines(round(daemon.now_s * 1e6)))
    daemon.pass_time(1)
    daemon.sandboxes_change("web-0", "web-1")
    daemon.knows("web-0", "web-1", ready=ready)
    daemon.pass_time(70)
    assert daemon.says("settled:")


def test_an_incident_is_over_once_every_pod_it_hurt_is_ready_again(daemon: Daemon) -> None:
    struck(daemon, ready=False)
    assert daemon.note("IncidentResolved") == ""
    daemon.knows("web-0")
    daemon.pass_time(20)
    assert daemon.note("IncidentResolved") == ""
    daemon.knows("web-1")
    daemon.pass_time(10)
    note = daemon.note("IncidentResolved")
    assert note.startswith("Over 1 min 36 s after it began: all 2 pods it hurt are Ready again.")
    assert "2 pods were re-created when docker was killed by kube-docker-monitor" in note
    (event,) = [e for e in daemon.mouth.said.values() if e.body["reason"] == "IncidentResolved"]
    assert event.body["type"] == "Normal"
    assert event.body["regarding"]["name"] == NODE  # type: ignore[index]
    daemon.pass_time(3600)
    assert daemon.mouth.counts["existed"] == 0


def test_what_is_said_of_the_end_is_no_second_incident_to_the_fleet(daemon: Daemon) -> None:
    struck(daemon, ready=True)
    assert daemon.note("IncidentResolved")
    told = [told_of(to_core(dict(one.body))) for one in daemon.mouth.said.values()]
    assert len([one for one in told if one is not None]) == 3


def test_a_pod_that_has_left_the_node_or_finished_is_not_waited_for(daemon: Daemon) -> None:
    struck(daemon, ready=False)
    daemon.loses("web-0")
    daemon.knows("web-1", ready=None)
    daemon.pass_time(10)
    said = "0 of 2 pods it hurt Ready again, 2 finished or gone from this node."
    assert said in daemon.note("IncidentResolved")


def test_pods_that_do_not_come_back_are_named_after_half_an_hour(daemon: Daemon) -> None:
    struck(daemon, ready=False)
    daemon.knows("web-0")
    daemon.pass_time(UNRESOLVED_AFTER_S)
    note = daemon.note("IncidentNotResolved")
    assert note.startswith("Not Ready 30 min")
    assert "after it began: prod/web-1." in note
    assert daemon.note("IncidentResolved") == ""
    daemon.knows("web-1")
    daemon.pass_time(10)
    assert daemon.note("IncidentResolved"), "in the end they are"


def test_nobody_is_waited_for_for_ever(daemon: Daemon) -> None:
    struck(daemon, ready=False)
    daemon.now_s += FORGOTTEN_AFTER_S
    daemon.pass_time(10)
    assert daemon.parts.aftermath.followed == {}
    assert daemon.note("IncidentResolved") == ""


def test_a_successor_goes_on_waiting_and_says_it_once(daemon: Daemon, tmp_path: Path) -> None:
    struck(daemon, ready=False)
    second = Daemon(tmp_path, mouth=daemon.mouth, now_s=daemon.now_s + 5).start()
    second.pass_time(30)
    assert second.note("IncidentResolved") == "", "nobody has named a pod yet"
    second.knows("web-0", "web-1")
    second.pass_time(20)
    assert second.note("IncidentResolved")
    third = Daemon(tmp_path, mouth=daemon.mouth, now_s=second.now_s + 5).start()
    third.knows("web-0", "web-1")
    third.pass_time(60)
    assert third.parts.aftermath.followed == {}
    assert third.mouth.counts["existed"] == 0


def test_a_container_over_its_own_limit_is_not_followed(daemon: Daemon) -> None:
    daemon.knows("job-7", uid=uid_of(7), ready=False)
    daemon.journal(oom_lines(uid_of(7), round(T0 * 1e6)))
    daemon.pass_time(80)
    assert daemon.told() == ["job-7"]
    assert daemon.parts.aftermath.followed == {}


def test_a_journal_that_cannot_be_read_is_told_once_a_day(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, reads_journal=False).start()
    daemon.pass_time(HOLD_S - 5)
    assert daemon.note("JournalUnreadable") == "", "it may be empty for a moment"
    daemon.pass_time(600)
    note = daemon.note("JournalUnreadable")
    assert note.startswith("Knock-on cannot read this node's journal")
    assert f"There is no journal folder at {tmp_path}/journal." in note
    second = Daemon(tmp_path, reads_journal=False, now_s=daemon.now_s, mouth=daemon.mouth).start()
    second.pass_time(600)
    assert len(daemon.told("JournalUnreadable")) == 1, "under the same name"
    second.now_s += DAY_S
    second.pass_time(2)
    assert len(daemon.told("JournalUnreadable")) == 2


def test_entries_that_arrive_show_that_a_journal_can_be_read(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, reads_journal=False).start()
    daemon.journal([entry(round(T0 * 1e6), "all is well", _SYSTEMD_UNIT="docker.service")])
    daemon.pass_time(600)
    assert daemon.note("JournalUnreadable") == ""


def test_seconds_the_recorder_missed_are_told_once_an_hour(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, records=True).start()
    for _ in range(30):
        daemon.is_sampled()
        daemon.pass_time(1)
    daemon.pass_time(4)
    daemon.is_sampled()
    daemon.pass_time(1)
    assert daemon.note("RecorderGap") == "", "a short one is counted only"
    for _ in range(2):
        daemon.pass_time(20)
        daemon.is_sampled()
        daemon.pass_time(1)
    note = daemon.note("RecorderGap")
    assert note.startswith("The flight recorder did not see this node for 21.0 s (")
    assert "the agent was not given a turn" in note


def test_a_recorder_that_does_not_run_is_told_with_the_reason(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, records=True).start()
    daemon.is_sampled()
    daemon.pass_time(HOLD_S + 10)
    note = daemon.note("RecorderGap")
    assert note.startswith("The flight recorder has seen nothing of this node since ")
    assert note.endswith("without pressure, loads and probes.")


def test_an_agent_that_was_away_long_says_so_on_the_node(tmp_path: Path) -> None:
    first = Daemon(tmp_path, records=True).start()
    first.is_sampled()
    first.pass_time(40)
    short = Daemon(tmp_path, records=True, now_s=first.now_s + LONG_ABSENCE_S / 2).start()
    short.is_sampled()
    short.pass_time(2)
    assert short.note("RecorderGap") == "", "a rollout is nothing to tell"
    second = Daemon(tmp_path, records=True, now_s=short.now_s + 3600).start()
    second.pass_time(2)
    assert "for 1 h (" in second.note("RecorderGap")
    assert ": the agent was not running." in second.note("RecorderGap")
