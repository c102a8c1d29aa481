"""The loop with scripted sources: what it says, tells, writes down, and does not do twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from agent.daemon.sources import Batch
from agent.diagnosis.correlate import Correlation, Scope, correlate
from agent.model import BlindSpot, Fact, Record
from agent.rules.catalogue import Catalogue, Reading
from tests.agents import kill_lines, oom_lines, uid_of
from tests.daemons import T0, Daemon
from tests.replay import entry
from tests.test_attribution import process


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    made = Daemon(tmp_path).start()
    made.knows("web-0", "web-1")
    made.journal([])
    made.cycle()
    return made


def us(at_s: float) -> int:
    return round(at_s * 1e6)


def struck(daemon: Daemon) -> None:
    """Docker is killed, and a second later two sandboxes change."""
    daemon.journal(kill_lines(us(daemon.now_s)))
    daemon.cycle()
    daemon.pass_time(1)
    daemon.sandboxes_change("web-0", "web-1")


def test_nothing_is_said_of_a_quiet_node(daemon: Daemon) -> None:
    daemon.journal([entry(us(T0), "all is well", _SYSTEMD_UNIT="docker.service")])
    daemon.pass_time(60)
    assert daemon.sentences == ["Nothing is remembered of an agent before: a first start."]
    assert daemon.parts.pulse.age_s < 5


def test_an_incident_from_the_kill_to_its_end(daemon: Daemon) -> None:
    struck(daemon)
    assert len(daemon.says("opened: Docker was killed by kube-docker-monitor")) == 1
    assert daemon.told() == []
    daemon.pass_time(3)
    assert daemon.told() == ["web-0", "web-1"]
    assert daemon.told("ContainerRuntimeKilled") == []
    daemon.pass_time(70)
    assert daemon.told("ContainerRuntimeKilled") == ["node-1"]
    assert len(daemon.says("settled: 2 pods were re-created")) == 1
    (summary,) = daemon.parts.store.summaries()
    assert (summary["hurt"], summary["stage"]) == (2, "settled")
    assert daemon.parts.metrics.value("incident_victims_total") == 2
    before = list(daemon.sentences)
    daemon.pass_time(600)
    assert daemon.sentences == before


def test_pods_heard_of_before_the_kill_are_no_incidents_of_their_own(daemon: Daemon) -> None:
    killed_at_s = daemon.now_s
    daemon.pass_time(1)
    daemon.sandboxes_change("web-0", "web-1")
    daemon.pass_time(1)
    assert len(daemon.parts.store.summaries()) == 2, "nobody knows better yet"
    daemon.journal(kill_lines(us(killed_at_s)))  # a journal on a slow disk comes late
    daemon.pass_time(70)
    assert [one["hurt"] for one in daemon.parts.store.summaries()] == [2]
    assert daemon.parts.metrics.page().decode().count("knockon_open_incident_info{") == 1
    assert len(list((daemon.folder / "state/incidents").glob("*.json"))) == 1
    assert daemon.says("is part of another one")


def test_an_incident_that_our_own_code_stumbles_over_silences_no_other(daemon: Daemon) -> None:
    daemon.poison = "Docker daemon failed!"
    struck(daemon)
    daemon.journal(oom_lines(uid_of(7), us(daemon.now_s)))
    daemon.knows("job-7", uid=uid_of(7))
    daemon.pass_time(70)
    assert daemon.parts.metrics.value("own_faults_total", "diagnosis") >= 1
    (complaint,) = {line for line in daemon.log.lines if "a fault of ours" in line}
    assert "ZeroDivisionError('nobody thought of this') at daemon/affairs.py:" in complaint
    told = daemon.mouth.said.values()
    (note,) = [
        str(one.body["note"]) for one in told if "fault of Knock-on" in str(one.body["note"])
    ]
    assert note.startswith("Something happened on this node, but a fault of Knock-on's own")
    assert daemon.told() == ["job-7"], "the other incident is explained all the same"
    stages = [one["stage"] for one in daemon.parts.store.summaries()]
    assert stages == ["settled", "settled"]


def test_facts_that_correlation_stumbles_over_are_an_incident_of_unknown_cause(
    tmp_path: Path,
) -> None:
    def correlating(facts: Sequence[Fact], scope: Scope) -> Correlation:
        if any("Docker daemon failed!" in fact.text for fact in facts):
            raise ZeroDivisionError("nobody thought of this")
        return correlate(facts, scope)

    daemon = Daemon(tmp_path, correlating=correlating).start()
    daemon.knows("web-0")
    daemon.journal([kill_lines(us(T0))[0]])
    daemon.pass_time(2)
    daemon.journal(oom_lines(uid_of(7), us(daemon.now_s)))
    daemon.knows("job-7", uid=uid_of(7))
    daemon.pass_time(70)
    assert daemon.parts.metrics.value("own_faults_total", "correlation") == 1
    assert any("1 fact cannot be correlated" in line for line in daemon.log.lines)
    notes = [str(one.body["note"]) for one in daemon.mouth.said.values()]
    (note,) = [one for one in notes if "fault of Knock-on" in one]
    assert "a fault of Knock-on's own (ZeroDivisionError)" in note
    assert daemon.told() == ["job-7"], "the other incident is explained all the same"
    second = Daemon(tmp_path, correlating=correlating, now_s=daemon.now_s + 5).start()
    second.pass_time(5)
    assert second.mouth.said == {}


def test_an_entry_that_the_rules_stumble_over_is_passed(tmp_path: Path) -> None:
    class Stumbling(Catalogue):
        def read(self, record: Record) -> Reading:
            if "poison" in record.message:
                raise ZeroDivisionError("nobody thought of this")
            return super().read(record)

    catalogue = Stumbling.load()
    daemon = Daemon(tmp_path, catalogue=catalogue).start()
    poison = entry(us(T0), "poison", _SYSTEMD_UNIT="docker.service")
    daemon.journal([poison, *kill_lines(us(T0))])
    daemon.pass_time(2)
    assert daemon.says("opened: Docker was killed")
    assert daemon.parts.digest.reading.cursor == "s=3", "nobody meets the same entry again"
    assert daemon.parts.metrics.value("own_faults_total", "reading") == 1
    assert any("cannot be read, which is a fault of ours" in line for line in daemon.log.lines)


def test_a_victim_that_comes_late_is_told_all_the_same(daemon: Daemon) -> None:
    struck(daemon)
    daemon.pass_time(62)
    assert daemon.says("settled:")
    daemon.knows("web-2")
    daemon.sandboxes_change("web-2")
    daemon.pass_time(5)
    assert daemon.told() == ["web-0", "web-1", "web-2"]
    assert len(daemon.says("settled:")) == 1


def test_what_a_list_says_again_is_not_news(daemon: Daemon) -> None:
    struck(daemon)
    daemon.pass_time(3)
    facts = daemon.parts.live.facts
    daemon.journal(kill_lines(us(T0)))
    daemon.now_s, now_s = T0 + 1, daemon.now_s
    daemon.sandboxes_change("web-0", "web-1")
    daemon.now_s = now_s
    daemon.pass_time(3)
    assert daemon.parts.live.facts == facts


def test_a_successor_goes_on_where_the_agent_was_killed(daemon: Daemon, tmp_path: Path) -> None:
    struck(daemon)
    daemon.pass_time(2)
    told = daemon.told()
    second = Daemon(tmp_path, mouth=daemon.mouth, now_s=daemon.now_s + 30).start()
    assert "blind for 30" in second.sentences[0]
    assert second.parts.digest.reading.cursor == "s=2"
    second.knows("web-0", "web-1")
    second.journal([])
    second.pass_time(200)
    assert second.told() == told == ["web-0", "web-1"]
    assert second.says("opened:") == []
    assert len(second.says("settled:")) == 1
    assert second.mouth.counts["existed"] == 0
    ids = {one.incident.removesuffix(" over") for one in second.mouth.said.values()}
    assert len(ids) == 1


def test_what_was_decided_but_not_heard_is_said_by_the_successor(
    daemon: Daemon, tmp_path: Path
) -> None:
    daemon.mouth.away = True
    struck(daemon)
    daemon.pass_time(70)
    assert daemon.told() == []
    mouth = type(daemon.mouth)()
    second = Daemon(tmp_path, mouth=mouth, now_s=daemon.now_s + 4000).start()
    assert "4 Events are offered again" in second.sentences[0]
    assert second.told() == ["web-0", "web-1"]
    second.pass_time(40)
    third = Daemon(tmp_path, mouth=type(mouth)(), now_s=second.now_s + 5).start()
    assert third.told() == []


def test_a_disk_that_stalls_delays_an_event_by_two_seconds_and_no_more(daemon: Daemon) -> None:
    daemon.writer.stalled = True
    struck(daemon)
    daemon.pass_time(6)
    assert daemon.told() == ["web-0", "web-1"]
    daemon.writer.stalled = False
    daemon.pass_time(20)
    assert daemon.past().told_rows


def test_names_of_victims_are_waited_for_after_a_start(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    daemon.journal(oom_lines(uid_of(7), us(T0 - 300)))
    daemon.pass_time(40)
    assert daemon.says("opened:")
    assert not daemon.says("settled:")
    daemon.knows("job-7", uid=uid_of(7))
    daemon.pass_time(5)
    assert daemon.says("settled:")
    assert daemon.told() == ["job-7"]


def test_a_clock_set_back_closes_what_was_open(daemon: Daemon) -> None:
    struck(daemon)
    daemon.pass_time(3)
    daemon.now_s -= 3600
    daemon.pass_time(1)
    assert daemon.says("was set back by 1 h")
    assert daemon.says("settled:")
    daemon.journal(oom_lines(uid_of(9), us(daemon.now_s)))
    daemon.pass_time(2)
    assert len(daemon.says("opened:")) == 2


def test_while_the_past_is_read_the_past_is_now(daemon: Daemon) -> None:
    old_s = T0 - 7200
    daemon.journal(kill_lines(us(old_s)), caught_up=False)
    daemon.pass_time(2)
    assert daemon.says("opened:")
    assert not daemon.says("settled:")
    daemon.journal([entry(us(T0), "now", _SYSTEMD_UNIT="docker.service")])
    daemon.pass_time(2)
    assert daemon.says("settled:")


def test_a_blind_spot_without_an_end_takes_the_source_down(daemon: Daemon) -> None:
    daemon.inbox.put("pods", BlindSpot("pods", "may not list pods", T0))
    daemon.pass_time(2)
    assert daemon.parts.metrics.value("source_up", "pods") == 0
    daemon.inbox.put("pods", BlindSpot("pods", "may not list pods", T0, T0 + 30))
    daemon.pass_time(2)
    assert daemon.parts.metrics.value("source_up", "pods") == 1
    assert daemon.parts.metrics.value("blind_seconds_total", "pods") == 30


def test_entries_are_counted_by_what_became_of_them(daemon: Daemon) -> None:
    daemon.journal(
        [
            *kill_lines(us(T0)),
            entry(us(T0), "quiet", _SYSTEMD_UNIT="docker.service"),
            entry(us(T0), "Docker daemon failed!", _TRANSPORT="syslog", _UID="1000"),
        ]
    )
    daemon.pass_time(1)
    counted = {
        result: daemon.parts.metrics.value("journal_entries_total", result)
        for result in ("matched", "ignored", "spoofed")
    }
    assert counted == {"matched": 2, "ignored": 1, "spoofed": 1}


def test_a_source_with_too_much_to_say_loses_its_own(daemon: Daemon) -> None:
    for _ in range(300):
        daemon.inbox.put("recorder", "nothing")
    daemon.inbox.put("journal", Batch((), "s=9", True, None, 0, ""))
    daemon.pass_time(1)
    assert daemon.parts.metrics.value("facts_dropped_total", "recorder") == 44
    assert daemon.parts.metrics.value("facts_dropped_total", "journal") == 0
    assert daemon.parts.digest.reading.cursor == "s=9"


@pytest.mark.parametrize(("waiting_pct", "seen"), [(None, 1), (5.0, 0), (60.0, 1)])
def test_titles_of_walsenders_are_read_while_something_waits_or_may(
    daemon: Daemon, tmp_path: Path, waiting_pct: float | None, seen: int
) -> None:
    daemon.is_sampled(waiting_pct)
    title = 'postgres: walsender repl [local] sending backup "pg_basebackup base backup"'
    process(tmp_path, 10, title, "/system.slice/postgresql.service")
    daemon.pass_time(20)
    assert len(daemon.parts.backups.running) == seen


def test_two_pods_of_the_same_second_are_two_incidents(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path).start()
    daemon.knows("pg-0", "web-1")
    daemon.pass_time(3)
    daemon.sandboxes_change("pg-0", "web-1")
    daemon.pass_time(90)
    opened = " ".join(daemon.says("opened: "))
    assert "prod/pg-0" in opened
    assert "prod/web-1" in opened
