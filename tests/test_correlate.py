"""Which facts belong to one incident, and which are another story."""

from __future__ import annotations

import random

from agent.diagnosis.correlate import GAP_S, Scope, correlate
from agent.model import Fact, Kind, Pod, Subject, SubjectKind
from tests.said import DOCKER, KUBELET, T0_S, fact, pod, unit

KILL = fact(Kind.MONITOR_KILLS_RUNTIME, 0, DOCKER)
DEATH = fact(Kind.UNIT_ENDED_CLEAN, 4, DOCKER)
CHANGED = fact(Kind.SANDBOX_CHANGED, 9, pod("pg-0"), source="events")


def kinds(facts: tuple[Fact, ...]) -> list[Kind]:
    return [f.kind for f in facts]


def test_the_kill_its_death_and_its_victims_are_one_incident() -> None:
    found = correlate([KILL, DEATH, CHANGED])
    assert [kinds(i.facts) for i in found.incidents] == [
        [Kind.MONITOR_KILLS_RUNTIME, Kind.UNIT_ENDED_CLEAN, Kind.SANDBOX_CHANGED]
    ]


def test_arrival_order_does_not_matter() -> None:
    facts = [KILL, DEATH, CHANGED, fact(Kind.PACKAGE_CHANGED, -30)]
    expected = correlate(facts)
    for seed in range(20):
        shuffled = facts[:]
        random.Random(seed).shuffle(shuffled)
        assert correlate(shuffled) == expected


def test_what_led_up_to_it_belongs_to_it() -> None:
    found = correlate([fact(Kind.PACKAGE_CHANGED, -300), KILL])
    assert kinds(found.incidents[0].facts) == [Kind.PACKAGE_CHANGED, Kind.MONITOR_KILLS_RUNTIME]


def test_a_second_kill_after_a_long_silence_is_another_incident() -> None:
    again = fact(Kind.MONITOR_KILLS_RUNTIME, GAP_S + 10, DOCKER)
    assert len(correlate([KILL, again]).incidents) == 2


def test_two_paths_to_the_same_kill_make_one_incident() -> None:
    by_systemd = fact(Kind.UNIT_EXITED, 0.3, DOCKER)
    by_npd = fact(Kind.MONITOR_KILLS_RUNTIME, 1, DOCKER, source="events")
    assert len(correlate([KILL, by_systemd, by_npd]).incidents) == 1


def test_a_reboot_spans_two_boots() -> None:
    down = fact(Kind.SHUTDOWN, 0, boot="boot-1")
    stop = fact(Kind.UNIT_STOPPING, 1, DOCKER, boot="boot-1")
    up = fact(Kind.BOOT, 400, boot="boot-2")
    changed = fact(Kind.SANDBOX_CHANGED, 700, pod("pg-0"), source="events")
    assert len(correlate([down, stop, up, changed]).incidents) == 1


def test_a_kill_minutes_after_a_boot_is_no_part_of_the_boot() -> None:
    up = fact(Kind.BOOT, -115)
    found = correlate([up, KILL, DEATH, CHANGED])
    assert [kinds(i.facts) for i in found.incidents] == [
        [Kind.MONITOR_KILLS_RUNTIME, Kind.UNIT_ENDED_CLEAN, Kind.SANDBOX_CHANGED]
    ]


def test_a_container_over_its_limit_beside_a_kill_is_its_own_incident() -> None:
    oom = fact(Kind.OOM_AT_LIMIT, 5, pod("hog", uid="u-1"))
    found = correlate([KILL, oom, CHANGED])
    assert [kinds(i.facts)[0] for i in found.incidents] == [
        Kind.MONITOR_KILLS_RUNTIME,
        Kind.OOM_AT_LIMIT,
    ]


def test_a_pod_that_suffered_before_the_kill_is_not_its_victim() -> None:
    earlier = fact(Kind.SANDBOX_CHANGED, -200, pod("web-1"), source="events")
    found = correlate([earlier, KILL, CHANGED])
    assert [f.subject.name for f in found.incidents[0].facts if f.subject.namespace] == ["pg-0"]
    assert len(found.incidents) == 2


def test_pods_given_up_while_the_node_was_away_belong_to_its_return() -> None:
    given_up = fact(Kind.POD_GIVEN_UP, -6 * 3600.0, pod("pg-0"), source="pods")
    up = fact(Kind.BOOT, 0)
    (lost,) = correlate([given_up, up]).incidents
    assert given_up in lost.facts
    days_ago = fact(Kind.POD_GIVEN_UP, -3 * 24 * 3600.0, pod("pg-0"), source="pods")
    assert all(days_ago not in one.facts for one in correlate([days_ago, up]).incidents)


def test_a_pod_given_up_belongs_to_no_kill_that_came_hours_later() -> None:
    given_up = fact(Kind.POD_GIVEN_UP, -3600.0, pod("pg-0"), source="pods")
    assert all(given_up not in one.facts for one in correlate([given_up, KILL]).incidents)


def test_events_older_than_the_journal_are_set_aside() -> None:
    old = fact(Kind.SANDBOX_CHANGED, -100, pod("web-1"), source="events")
    found = correlate([old, KILL], Scope(window=(T0_S - 20, T0_S + 60)))
    assert found.before_window == (old,)
    assert len(found.incidents) == 1


def test_an_event_in_the_first_second_of_the_journal_is_inside() -> None:
    edge = fact(Kind.SANDBOX_CHANGED, -0.7, pod("web-1"), source="events")
    assert correlate([edge], Scope(window=(T0_S, None))).before_window == ()


def test_a_monitors_echo_opens_nothing_where_the_journal_is_there() -> None:
    echo = fact(Kind.OOM_KILL, 10, source="events", component="kernel-monitor")
    quiet = fact(Kind.MONITOR_WORKS, 0)
    assert correlate([quiet, echo]).incidents == ()


def test_one_kernel_oom_is_told_by_several_lines_about_one_pod() -> None:
    named = fact(Kind.OOM_AT_LIMIT, 1, Subject(SubjectKind.POD, "", "", "u-1"), pid="9")
    bare = fact(Kind.OOM_KILL, 1.1, pid="9", comm="java")
    found = correlate([bare, named], Scope(pods=(Pod("prod", "hog", "u-1"),)))
    assert {str(f.subject) for f in found.incidents[0].facts} == {"pod/prod/hog"}


def test_quiet_signs_of_life_are_no_incident() -> None:
    signs = [
        fact(Kind.MONITOR_WORKS, 0),
        fact(Kind.UNIT_STARTED, 1, DOCKER),
        fact(Kind.RUNTIME_SLOW, 2, DOCKER),
        fact(Kind.CONTAINER_KILLING, 3, pod("web-1")),
    ]
    assert correlate(signs).incidents == ()


def test_the_death_of_a_bystanders_unit_is_no_incident() -> None:
    assert correlate([fact(Kind.UNIT_EXITED, 0, unit("cron.service"))]).incidents == ()


def test_a_ticket_is_one_story_even_across_hours() -> None:
    facts = [
        fact(Kind.DISK_SHORT, 0, source="text"),
        fact(Kind.UNIT_EXITED, 20_000, KUBELET, source="text"),
    ]
    assert len(correlate(facts, Scope(quoted=True)).incidents) == 1


def test_the_same_incident_has_the_same_name_whoever_reads_it() -> None:
    first = correlate([KILL, DEATH]).incidents[0].id
    replayed = correlate([KILL, DEATH, CHANGED, KILL]).incidents[0].id
    assert first == replayed
