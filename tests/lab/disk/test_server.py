"""The slow disk takes the time it should, and keeps what was written over what it was given."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.lab.disk.server import Content, Queue

BLOCK = 4096


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.write_bytes(b"".join(bytes([number]) * BLOCK for number in range(16)))
    return path


def test_bandwidth_decides_for_large_requests_and_operations_for_small() -> None:
    queue = Queue(bytes_per_s=20e6, iops=500)
    assert queue.done_at_s(10.0, 2_000_000) == pytest.approx(10.1)
    assert queue.done_at_s(10.0, BLOCK) == pytest.approx(10.102)


def test_an_idle_disk_saves_nothing_up() -> None:
    queue = Queue(iops=100)
    queue.done_at_s(0.0, BLOCK)
    assert queue.done_at_s(50.0, BLOCK) == pytest.approx(50.01)


def test_nothing_waits_for_a_limit_that_was_lifted() -> None:
    queue = Queue(bytes_per_s=1e6, iops=10)
    queue.done_at_s(0.0, 100_000_000)
    queue.turn(1.0, {"bytes_per_s": 0, "iops": 0})
    assert queue.done_at_s(1.0, 100_000_000) == 1.0


def test_what_is_read_is_what_was_written_last(base: Path, tmp_path: Path) -> None:
    content = Content.of(base, tmp_path / "changes")
    expected = bytearray(base.read_bytes())
    chance = random.Random(7)
    for number in range(200):
        offset = chance.randrange(len(expected) - 3 * BLOCK)
        data = bytes([number]) * chance.randrange(1, 3 * BLOCK)
        content.write(offset, memoryview(data))
        expected[offset : offset + len(data)] = data
        at, size = chance.randrange(len(expected)), chance.randrange(5 * BLOCK)
        assert content.read(at, size) == bytes(expected[at : at + size])
    assert base.read_bytes()[:BLOCK] == bytes(BLOCK)


def test_a_disk_served_again_holds_what_the_earlier_boot_wrote(base: Path, tmp_path: Path) -> None:
    Content.of(base, tmp_path / "changes").write(3 * BLOCK, memoryview(b"\xee" * BLOCK))
    again = Content.of(base, tmp_path / "changes")
    assert again.read(3 * BLOCK, BLOCK) == b"\xee" * BLOCK
    assert again.read(2 * BLOCK, BLOCK) == bytes([2]) * BLOCK
