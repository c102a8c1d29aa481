"""What the governor hears of a foreign tool: lumps, shortfalls, and its own stalls taken off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backup.foreign.governor import LONGEST_S, Account, CountingSensors, OwnStalls
from backup.sensors.node import Sensed

STEP_S = 0.05


def told_share(moved: Callable[[int], int], allowed: Callable[[int], float]) -> float:
    """The share of what was allowed in the last second that is told as achieved."""
    account, told, may = Account(), 0.0, 0.0
    for step in range(400):
        bytes_told = account.tell(moved(step), allowed(step), step * STEP_S)
        if step >= 380:
            told, may = told + bytes_told, may + allowed(step) * STEP_S
    return told / may


def test_a_tool_at_its_cap_owes_nothing_although_it_moves_in_lumps() -> None:
    def lumps(step: int) -> int:
        return 8 << 20 if step % 4 == 0 else 0

    assert told_share(lumps, lambda _: (8 << 20) / (4 * STEP_S) * 1.1) > 0.99


def test_at_the_lowest_rate_a_lump_each_few_seconds_is_progress() -> None:
    assert told_share(lambda step: 1 << 20 if step % 40 == 0 else 0, lambda _: 256e3) > 0.99


def test_a_climb_is_no_shortfall() -> None:
    def climbing(step: int) -> float:
        return 4e6 * 1.02**step

    assert told_share(lambda step: int(climbing(step) * STEP_S), climbing) > 0.99


def test_a_large_shortfall_is_told() -> None:
    share = told_share(lambda _: int(10e6 * STEP_S), lambda _: 50e6)
    assert 0.2 < share < 0.3  # a fifth, with the leniency


def test_what_was_forgiven_is_kept_apart() -> None:
    account = Account()
    moved = [1000, 0, 5000, 0]
    told = [account.tell(n, 40e3, step * STEP_S) for step, n in enumerate(moved)]
    assert account.forgiven_bytes == sum(told) - sum(moved)


def test_a_first_reading_has_no_time_to_tell_of() -> None:
    assert Account().tell(1 << 30, 1e9, 1e6) == 0


class Scripted:
    """Sensors that always say the same, and progress that the test sets."""

    def __init__(self, psi: float | None) -> None:
        self.psi = psi
        self.moved = 0
        self.waits = False

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def read(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        del now_s, quiet, eager
        return Sensed(None, 0.0, 0.0, self.psi)

    def delta(self) -> int:
        return self.moved

    def waiting(self) -> bool:
        return self.waits


def shares(node: float | None, own: Path | None, *, capped: bool) -> list[float | None]:
    one = Scripted(node)
    sensors = CountingSensors(one, one, OwnStalls(own, capped=capped))
    found: list[float | None] = []
    for step in range(4):
        if own is not None:
            own.write_text(f"some avg10=0.00 total={step * 60_000}\n")
        found.append(sensors.read(step * 0.1, quiet=False, eager=False).psi_stalled_share)
    return found


def test_the_tools_own_stalls_are_not_everybody_elses(tmp_path: Path) -> None:
    assert [
        round(x, 3) for x in shares(0.9, tmp_path / "io", capped=True)[1:] if x is not None
    ] == [
        0.3,
        0.3,
        0.3,
    ]
    assert shares(0.2, tmp_path / "io", capped=True)[-1] == 0.0


def test_without_a_group_a_capped_tools_pressure_says_nothing() -> None:
    assert shares(0.9, None, capped=True) == [None] * 4
    assert shares(0.9, None, capped=False) == [0.9] * 4
    assert shares(None, None, capped=False) == [None] * 4


def test_a_tool_that_neither_moves_nor_waits_asks_for_nothing() -> None:
    one = Scripted(None)
    heard: list[bool] = []
    sensors = CountingSensors(one, one, OwnStalls(None, capped=False))
    sensors.tell = lambda _bytes, _now_s, asking: heard.append(asking)
    for at_s, moved, waits in ((0.0, 0, False), (1.0, 5, False), (1.2, 0, False), (2.0, 0, False)):
        one.moved, one.waits = moved, waits
        sensors.read(at_s, quiet=False, eager=False)
    one.waits = True
    sensors.read(LONGEST_S, quiet=False, eager=False)
    assert heard == [False, True, True, False, True]
