"""Incidents while they happen: told once when they open, and once when they settle."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.unfolding import MOST_FACTS, Live, Stage, Told
from agent.model import BlindSpot, Fact, Kind, Subject, SubjectKind, Trust

T = 1_800_000_000.0


def fact(at_s: float, kind: Kind = Kind.MONITOR_KILLS_RUNTIME, text: str = "") -> Fact:
    return Fact(
        kind=kind,
        at_s=at_s,
        subject=Subject(SubjectKind.UNIT, "docker.service"),
        source="journal",
        trust=Trust.TRUSTED,
        text=text or f"{kind} at {at_s}",
        boot="b",
    )


def stages(told: tuple[Told, ...]) -> list[Stage]:
    return [one.stage for one in told]


def test_a_pod_given_up_hours_ago_waits_for_its_nodes_return() -> None:
    live = Live()
    live.add([fact(T - 3 * 3600, Kind.POD_GIVEN_UP)])
    assert live.tell(T) == ()
    live.add([fact(T + 1, Kind.BOOT), fact(T + 5, Kind.NODE_REBOOTED)])
    (told,) = live.tell(T + 6)
    assert Kind.POD_GIVEN_UP in {one.kind for one in told.incident.facts}


def test_a_kill_opens_an_incident_at_once_and_only_once() -> None:
    live = Live()
    live.add([fact(T)])
    assert stages(live.tell(T + 0.1)) == [Stage.OPENED]
    assert live.tell(T + 0.2) == ()
    live.add([fact(T + 1, Kind.UNIT_EXITED)])
    assert live.tell(T + 1.1) == ()
    assert len(live.open) == 1


def test_it_settles_after_silence_with_everything_that_happened_meanwhile() -> None:
    live = Live(settle_s=30)
    live.add([fact(T)])
    (opened,) = live.tell(T)
    live.add([fact(T + 20, Kind.UNIT_RESTART_SCHEDULED)])
    assert live.tell(T + 45) == ()
    (settled,) = live.tell(T + 51)
    assert settled.stage is Stage.SETTLED
    assert settled.incident.id == opened.incident.id
    assert len(settled.incident.facts) == 2
    assert live.tell(T + 999) == ()
    assert live.open == ()


def test_it_keeps_its_name_when_an_earlier_trigger_is_read_later() -> None:
    live = Live(settle_s=30)
    live.add([fact(T + 5, Kind.UNIT_FAILED)])
    (opened,) = live.tell(T + 5)
    live.add([fact(T)])
    assert live.tell(T + 6) == ()
    (settled,) = live.tell(T + 60)
    assert settled.incident.id == opened.incident.id
    assert settled.incident.opened_at_s == T


def test_what_is_no_trigger_tells_nothing() -> None:
    live = Live()
    live.add([fact(T, Kind.RUNTIME_SLOW), fact(T, Kind.MONITOR_WORKS)])
    assert live.tell(T + 1) == ()
    assert live.finish() == ()


def test_a_fact_without_a_trigger_explains_a_later_one() -> None:
    live = Live()
    live.add([fact(T - 60, Kind.RUNTIME_SLOW)])
    live.tell(T - 60)
    live.add([fact(T)])
    (opened,) = live.tell(T)
    assert {one.kind for one in opened.incident.facts} == {
        Kind.RUNTIME_SLOW,
        Kind.MONITOR_KILLS_RUNTIME,
    }


def test_two_blows_far_apart_are_two_incidents() -> None:
    live = Live(settle_s=30)
    live.add([fact(T)])
    live.tell(T)
    live.tell(T + 100)
    live.add([fact(T + 600)])
    assert stages(live.tell(T + 600)) == [Stage.OPENED]


def test_the_window_forgets_but_not_an_open_incident() -> None:
    live = Live(window_s=900, settle_s=10_000)
    live.add([fact(T - 2000, Kind.RUNTIME_SLOW), fact(T)])
    live.tell(T)
    assert live.facts == 1
    live.add([fact(T + 5000, Kind.RUNTIME_SLOW)])
    live.tell(T + 5000)
    assert live.facts == 2


def test_a_storm_is_bounded_and_what_was_dropped_is_counted() -> None:
    live = Live()
    live.add([fact(T + n / 1000, Kind.RUNTIME_SLOW, f"slow {n}") for n in range(MOST_FACTS + 7)])
    live.tell(T + 30)
    assert live.facts == MOST_FACTS
    assert live.dropped == 7


def test_a_blind_spot_goes_with_the_incident() -> None:
    live = Live()
    live.add_blind(BlindSpot("journal", "rotated away", T - 5, T - 1))
    live.add([fact(T)])
    (opened,) = live.tell(T)
    assert opened.incident.blind


def test_finish_settles_what_is_open_and_opens_what_was_not_told() -> None:
    live = Live()
    live.add([fact(T)])
    assert stages(live.finish()) == [Stage.OPENED, Stage.SETTLED]
    assert live.finish() == ()


def test_the_same_facts_again_tell_nothing_new() -> None:
    live = Live()
    live.add([fact(T)])
    live.tell(T)
    live.add([replace(fact(T), subject=Subject(SubjectKind.UNIT, "other.service"))])
    assert live.tell(T + 1) == ()


@given(
    st.lists(
        st.tuples(st.floats(0, 3000), st.sampled_from(sorted(Kind)), st.floats(0, 5)), max_size=30
    )
)
def test_whatever_comes_each_incident_opens_once_and_settles_once(
    steps: list[tuple[float, Kind, float]],
) -> None:
    live = Live(settle_s=60)
    now_s = T
    told: list[Told] = []
    for at_s, kind, later_s in steps:
        live.add([fact(T + at_s, kind)])
        now_s = max(now_s, T + at_s) + later_s
        told += live.tell(now_s)
    told += live.finish()
    opened = [one.incident.id for one in told if one.stage is Stage.OPENED]
    settled = [one.incident.id for one in told if one.stage is Stage.SETTLED]
    assert len(settled) == len(set(settled))
    assert set(settled) <= set(opened)
    assert live.open == ()
