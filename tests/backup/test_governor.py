"""The governor: blocks the reader as long as the law says, and survives what its sensors do."""

from __future__ import annotations

import threading
import time

from backup.governor import Clock, Governor
from backup.law.guards import Deadline, Guards, Notice
from backup.law.law import LEAST_BYTES_PER_S, Law
from backup.sensors.node import Sensed

CALM = Sensed(0.0, 0.0002, 0.001, 0.0)


class FakeSensors:
    def __init__(self, says: Sensed = CALM) -> None:
        self.says, self.calls = says, []  # type: tuple[Sensed, list[tuple[bool, bool]]]
        self.started = self.stopped = False
        self.broken = False

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def read(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        del now_s
        if self.broken:
            raise RuntimeError("a bug")
        self.calls.append((quiet, eager))
        return self.says


class Time:
    """A clock that only waiting moves; each wait lets the governor tick, as its thread would."""

    def __init__(self) -> None:
        self.now_s, self.governor = 0.0, None  # type: tuple[float, Governor | None]

    def clock(self) -> Clock:
        return Clock(lambda: self.now_s, self.wait)

    def wait(self, changed: threading.Condition, timeout_s: float) -> None:
        self.now_s += min(timeout_s, 0.05)
        if self.governor:
            changed.release()
            try:
                self.governor.tick()
            finally:
                changed.acquire()


LAW = Law(200e6)


def made(sensors: FakeSensors, law: Law = LAW, **what: object) -> tuple[Governor, Time]:
    ticking = Time()
    governor = Governor(sensors, law, clock=ticking.clock(), **what)  # type: ignore[arg-type]
    ticking.governor = governor
    return governor, ticking


def read(governor: Governor, ticking: Time, seconds: float, piece: int = 65_536) -> int:
    done, until_s = 0, ticking.now_s + seconds
    while ticking.now_s < until_s:
        governor.pace(piece)
        done += piece
    return done


def test_the_reader_is_held_to_the_ceiling() -> None:
    governor, ticking = made(FakeSensors(), Law(10e6))
    read(governor, ticking, 5.0)
    assert 0.9 * 100e6 <= read(governor, ticking, 10.0) <= 1.01 * 100e6
    shot = governor.snapshot()
    assert shot.reason == "ceiling"
    assert sum(shot.throttled_s.values()) > 9.0


def test_a_pause_holds_the_reader_and_then_lets_go() -> None:
    sensors = FakeSensors()
    governor, ticking = made(sensors)
    read(governor, ticking, 1.0)
    sensors.says = Sensed(3.0, 0.0002, 0.001, 0.9, killer_grade=True)
    governor.tick()
    ticking.now_s += 0.05
    governor.tick()
    assert governor.snapshot().paused
    sensors.says = CALM
    before_s = ticking.now_s
    governor.pace(65_536)
    assert 0.8 <= ticking.now_s - before_s <= 1.5
    shot = governor.snapshot()
    assert any(reason.startswith("paused") for reason in shot.throttled_s)
    assert shot.harm_s > 0


def test_before_the_first_byte_it_only_looks_and_looks_eagerly() -> None:
    sensors = FakeSensors()
    governor, ticking = made(sensors)
    for _ in range(5):
        ticking.now_s += 0.05
        governor.tick()
    assert set(sensors.calls) == {(True, True)}
    ticking.now_s += 3600.0
    governor.pace(1)
    ticking.now_s += 0.05
    governor.tick()
    assert sensors.calls[-1] == (False, False)
    assert governor.snapshot().reason == "slow start"


def test_a_foreign_tool_is_counted_and_never_blocked() -> None:
    governor, ticking = made(FakeSensors(), Law(1e6))
    governor.moved(10**9)
    assert ticking.now_s == 0.0
    assert governor.snapshot().done_bytes == 10**9


def test_a_deadline_lifts_the_rate_and_says_so() -> None:
    said: list[Notice] = []
    late = Sensed(0.05, 0.0002, 0.001, 0.0)
    governor, ticking = made(FakeSensors(late), guards=Guards(Deadline(400.0)), say=said.append)
    governor.expect(8 * 10**9)
    read(governor, ticking, 60.0)
    shot = governor.snapshot()
    assert shot.rate_bytes_per_s >= 20e6
    assert [notice.kind for notice in said] == ["deadline"]
    assert shot.deadline_s == 400.0


def test_a_bug_in_the_thread_leaves_the_least_rate_and_says_why() -> None:
    sensors = FakeSensors()
    governor = Governor(sensors, Law(200e6))
    sensors.broken = True
    governor.start()
    deadline_s = time.monotonic() + 5.0
    while not governor.snapshot().failed and time.monotonic() < deadline_s:
        time.sleep(0.01)
    shot = governor.snapshot()
    governor.stop()
    assert shot.failed == "RuntimeError: a bug"
    assert shot.rate_bytes_per_s == LEAST_BYTES_PER_S
    assert sensors.stopped


def test_a_reader_that_does_not_wait_owes_nothing() -> None:
    busy = Sensed(0.0, 0.0002, 0.001, 0.3)
    governor, ticking = made(FakeSensors(busy))
    governor.listen(lambda: 0.0)
    read(governor, ticking, 1.0)
    for _ in range(20):  # a second in which an upload holds the reader
        ticking.now_s += 0.05
        governor.tick()
    assert governor.snapshot().reason == "slow start"


def test_wal_that_will_fill_its_room_is_announced() -> None:
    said: list[Notice] = []
    governor, ticking = made(FakeSensors(), Law(1e6), say=said.append)
    governor.expect(10**12)
    for second in range(120):
        governor.wal(second * 10**7, 10**10)
        read(governor, ticking, 1.0)
    assert [notice.kind for notice in said] == ["wal"]


def test_stopping_frees_a_blocked_reader() -> None:
    governor = Governor(FakeSensors(), Law(1e6))
    governor.start()
    reader = threading.Thread(target=governor.pace, args=(10**12,), daemon=True)
    reader.start()
    reader.join(timeout=0.1)
    assert reader.is_alive()
    governor.stop()
    reader.join(timeout=5.0)
    assert not reader.is_alive()
    governor.stop()
