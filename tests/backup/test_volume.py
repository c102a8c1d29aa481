"""The volume below the database: its counters, and what the law learns of its two limits."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.recorder.host import Host
from backup.law.law import INTERVAL_S
from backup.law.volume import Moved, Volume, full, observe, undisturbed
from backup.sensors.volume import VolumeMeter, volume_under


def moved_for(
    volume: Volume, seconds: float, bytes_per_s: float, requests_per_s: float, own: float
) -> Volume:
    for _ in range(round(seconds / INTERVAL_S)):
        moved = Moved(bytes_per_s, requests_per_s)
        volume = observe(volume, moved, own, INTERVAL_S, steady=True)
    return volume


def test_what_is_moved_when_full_is_the_limit_and_the_others_part_is_taken_off() -> None:
    volume = full(moved_for(Volume(), 5.0, 60e6, 900, own=50e6), now_s=5.0)
    assert volume.bytes.limit == pytest.approx(60e6, rel=0.03)
    assert volume.left_bytes_per_s(131_072) == pytest.approx(48e6, rel=0.05)


def test_far_more_requests_than_ever_with_fewer_bytes_are_the_other_limit() -> None:
    volume = full(moved_for(Volume(), 5.0, 60e6, 900, own=55e6), now_s=5.0)
    assert math.isinf(volume.requests.limit)
    volume = full(moved_for(volume, 5.0, 45e6, 1200, own=35e6), now_s=10.0)
    assert volume.requests.limit == pytest.approx(1200, rel=0.05)
    assert volume.bytes.limit == pytest.approx(60e6, rel=0.05)
    others = 1200 - 35e6 / 131_072
    assert volume.left_bytes_per_s(131_072) <= (1200 - others) * 131_072


def test_a_volume_out_of_credit_has_new_limits_and_forgets_the_old() -> None:
    volume = full(moved_for(Volume(), 5.0, 60e6, 900, own=55e6), now_s=5.0)
    volume = full(moved_for(volume, 5.0, 20e6, 500, own=16e6), now_s=10.0)
    assert volume.bytes.limit < 21e6
    assert math.isinf(volume.requests.limit)


def test_a_limit_is_doubted_after_a_while_and_rises_only_while_it_is_leaned_on() -> None:
    volume = full(moved_for(Volume(), 5.0, 60e6, 900, own=55e6), now_s=5.0)
    leaning = idling = volume
    for tick in range(200):
        now_s = 5.0 + tick * INTERVAL_S
        leaning = undisturbed(leaning, now_s, INTERVAL_S)
        idling = undisturbed(moved_for(idling, INTERVAL_S, 5e6, 90, own=1e6), now_s, INTERVAL_S)
    assert leaning.bytes.limit > 1.1 * volume.bytes.limit
    assert idling.bytes.limit < 1.02 * volume.bytes.limit


@pytest.mark.parametrize(("pushed_to", "least", "most"), [(66e6, 58e6, 62e6), (120e6, 90e6, 120e6)])
def test_a_push_too_far_does_not_unlearn_what_held(
    pushed_to: float, least: float, most: float
) -> None:
    """A volume's savings carry it a little beyond what it can; twice as much is a larger volume."""
    volume = full(moved_for(Volume(), 5.0, 60e6, 900, own=55e6), now_s=5.0)
    held = moved_for(volume, 10.0, 58e6, 900, own=53e6)
    pushed = full(moved_for(held, 0.5, pushed_to, 950, own=pushed_to - 5e6), now_s=15.5)
    assert volume.bytes.limit <= pushed.bytes.limit
    assert least <= pushed.bytes.limit <= most


@given(
    st.lists(
        st.tuples(st.floats(0, 1e12), st.floats(0, 1e9), st.floats(0, 1e12), st.booleans()),
        max_size=60,
    )
)
def test_whatever_the_counters_say_what_is_left_is_a_sane_number(
    said: list[tuple[float, float, float, bool]],
) -> None:
    volume, now_s = Volume(), 0.0
    for bytes_per_s, requests_per_s, own, is_full in said:
        now_s += INTERVAL_S
        moved = Moved(bytes_per_s, requests_per_s)
        volume = observe(volume, moved, own, INTERVAL_S, steady=True)
        volume = full(volume, now_s) if is_full else undisturbed(volume, now_s, INTERVAL_S)
        left = volume.left_bytes_per_s(131_072)
        assert left >= 0
        assert not math.isnan(left)


def stat(reads: int, read_sectors: int, writes: int = 0, written_sectors: int = 0) -> str:
    return f" {reads} 0 {read_sectors} 7 {writes} 0 {written_sectors} 9 0 5 16 0 0 0 0 0 0\n"


def test_the_counters_of_the_one_disk_below_are_turned_into_rates(tmp_path: Path) -> None:
    folder = tmp_path / "sys" / "dev" / "block" / "7:1"
    (folder / "queue").mkdir(parents=True)
    (folder / "dev").write_text("7:1\n")
    (folder / "stat").write_text(stat(100, 2000, 10, 80))
    meter = volume_under(Host(tmp_path), "7:1")
    assert meter is not None
    assert meter.moved(1.0) is None
    (folder / "stat").write_text(stat(150, 4000, 20, 160))
    seen = meter.moved(1.5)
    meter.close()
    assert seen == Moved((2000 + 80) * 512 / 0.5, 60 / 0.5)


@pytest.mark.parametrize("text", ["", "nonsense", "1 2\n", "a b c d e f g h\n"])
def test_counters_that_cannot_be_read_are_a_blind_spot(tmp_path: Path, text: str) -> None:
    file = tmp_path / "stat"
    file.write_text(text)
    meter = VolumeMeter(file)
    assert meter.moved(1.0) is None
    assert "volume" in meter.blind
    meter.close()


def test_where_there_is_no_single_disk_there_is_no_meter(tmp_path: Path) -> None:
    assert volume_under(Host(tmp_path), "") is None
    assert volume_under(Host(tmp_path), "0:44") is None
