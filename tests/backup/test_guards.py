"""The guards: a miss is said half an hour ahead, once, and a floor is never demanded in silence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backup.law.guards import AHEAD_S, Deadline, Guards, Notice, Outlook, Progress

GB = 10**9


def run(
    guards: Guards, rate: float, total: int, length_s: float, wal: tuple[float, int] | None = None
) -> tuple[list[Notice], list[Outlook]]:
    said: list[Notice] = []
    seen: list[Outlook] = []
    for now in range(0, int(length_s), 5):
        kept, room = (int(wal[0] * now), wal[1]) if wal else (0, None)
        done = min(total, int(rate * now))
        outlook, fresh = guards.check(Progress(float(now), done, total, kept, room))
        said += fresh
        seen.append(outlook)
    return said, seen


@given(st.floats(1e6, 30e6), st.floats(7200, 86400))
def test_a_miss_is_announced_half_an_hour_ahead(rate: float, deadline_s: float) -> None:
    total = int(rate * deadline_s * 1.2)
    said, _ = run(Guards(Deadline(deadline_s)), rate, total, 600.0)
    first = next(notice for notice in said if notice.kind == "deadline")
    assert deadline_s - first.at_s >= AHEAD_S
    assert len([notice for notice in said if notice.kind == "deadline"]) == 1


def test_there_is_no_floor_while_there_is_slack() -> None:
    said, seen = run(Guards(Deadline(7200.0)), 20e6, 50 * GB, 1200.0)
    assert said == []
    assert {outlook.floor_bytes_per_s for outlook in seen[10:]} == {0.0}


def test_a_kept_deadline_demands_what_is_left_by_the_time_left() -> None:
    said, seen = run(Guards(Deadline(7200.0)), 5e6, 100 * GB, 600.0)
    assert seen[-1].floor_bytes_per_s > 97e9 / 6600
    assert "will wait" in said[0].says


def test_a_deadline_that_yields_demands_nothing_and_says_so() -> None:
    said, seen = run(Guards(Deadline(7200.0, keep=False)), 5e6, 100 * GB, 600.0)
    assert seen[-1].floor_bytes_per_s == 0.0
    assert seen[-1].will_miss
    assert "it will be missed" in said[0].says


def test_a_missed_deadline_is_said() -> None:
    said, _ = run(Guards(Deadline(100.0)), 1e6, GB, 200.0)
    assert [notice.kind for notice in said] == ["deadline", "deadline missed"]


def test_standing_still_is_a_miss_too() -> None:
    said, _ = run(Guards(Deadline(7200.0)), 0.0, GB, 100.0)
    assert [notice.kind for notice in said] == ["deadline"]


def test_wal_that_will_fill_its_room_before_the_end_is_announced() -> None:
    said, seen = run(Guards(), 1e6, 100 * GB, 1200.0, wal=(2e6, 10 * GB))
    wal = next(notice for notice in said if notice.kind == "wal")
    full_s = seen[-1].wal_full_at_s
    assert full_s is not None
    assert full_s - wal.at_s >= AHEAD_S


def test_wal_that_lasts_is_not_worth_a_word() -> None:
    said, _ = run(Guards(), 100e6, 10 * GB, 100.0, wal=(1e6, 10 * GB))
    assert said == []


def test_wal_over_its_share_is_said() -> None:
    said, _ = run(Guards(), 1e6, 100 * GB, 100.0, wal=(100e6, GB))
    assert "wal full" in {notice.kind for notice in said}


def test_nothing_is_known_before_the_server_has_said_how_much() -> None:
    guards = Guards(Deadline(7200.0))
    for now in range(0, 100, 5):
        outlook, said = guards.check(Progress(float(now), now * 1000, None))
        assert (outlook.floor_bytes_per_s, outlook.eta_s, said) == (0.0, None, ())


def test_a_clock_that_stands_still_changes_nothing() -> None:
    guards = Guards(Deadline(7200.0))
    for _ in range(3):
        assert guards.check(Progress(5.0, 10, 100))[1] == ()
