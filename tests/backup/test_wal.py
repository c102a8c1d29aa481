"""WAL is cut into whole files, and nothing of it may be missing."""

from __future__ import annotations

import pytest

from backup.exits import Failure
from backup.postgres.wal import Cutter, Segment, lsn_number, lsn_text, segment_name

SEGMENT = 1 << 20


@pytest.mark.parametrize("lsn", ["0/0", "0/33000028", "1/FFFFFFFF", "12AB/1"])
def test_positions_survive_the_way_there_and_back(lsn: str) -> None:
    assert lsn_text(lsn_number(lsn)) == lsn


@pytest.mark.parametrize(
    ("timeline", "lsn", "segment_bytes", "name"),
    [
        (1, "0/33000028", 16 << 20, "000000010000000000000033"),
        (2, "1/FF000000", 16 << 20, "0000000200000001000000FF"),
        (1, "1/40000000", 1 << 30, "000000010000000100000001"),
    ],
)
def test_names_are_the_servers(timeline: int, lsn: str, segment_bytes: int, name: str) -> None:
    assert segment_name(timeline, lsn_number(lsn), segment_bytes) == name


def test_pieces_become_whole_files() -> None:
    cutter = Cutter(1, 5 * SEGMENT + 40, SEGMENT)
    assert cutter.begins == 5 * SEGMENT
    wal = bytes(range(256)) * (SEGMENT * 5 // 2 // 256)
    files: list[Segment] = []
    for at in range(0, len(wal), 70_000):
        files += cutter.feed(5 * SEGMENT + at, wal[at : at + 70_000])
    assert [one.data for one in files] == [wal[:SEGMENT], wal[SEGMENT : 2 * SEGMENT]]
    [last] = cutter.rest()
    assert last.data == wal[2 * SEGMENT :] + bytes(SEGMENT // 2)
    assert [*cutter.rest()] == []


def test_a_gap_is_refused() -> None:
    cutter = Cutter(1, 0, SEGMENT)
    assert [*cutter.feed(0, b"abc")] == []
    with pytest.raises(Failure, match=r"WAL is missing between 0/3 and 0/5"):
        list(cutter.feed(5, b"d"))
