"""The ring when it is cut off, flipped, written by a stranger, killed or read too early."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import UserError
from agent.model import BlindSpot, Probe, Sample
from agent.recorder.ring_format import HEAD_BYTES, Layout, pack_head
from agent.recorder.ring_read import Limit, load_ring, read_ring
from tests.rings import SIZE, SLOT, T0_MS, ring_of, times


def test_cut_off_anywhere_it_gives_what_came_before(tmp_path: Path) -> None:
    data = ring_of(tmp_path / "r", 40)
    before = 0
    for size in range(0, len(data), 61):
        try:
            found = times(load_ring(data[:size]))
        except UserError:
            assert size < HEAD_BYTES + 100
            continue
        assert found == sorted(found)
        assert len(found) >= before
        before = len(found)
    assert len(times(load_ring(data))) == 40


@settings(max_examples=40)
@given(size=st.integers(0, SIZE))
def test_cut_off_at_any_byte_it_is_still_in_order(ring_bytes: bytes, size: int) -> None:
    try:
        found = times(load_ring(ring_bytes[:size]))
    except UserError:
        assert size < HEAD_BYTES
        return
    assert found == sorted(found)


@settings(max_examples=80)
@given(place=st.integers(0, SIZE - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_costs_little_and_never_lies(ring_bytes: bytes, place: int, bit: int) -> None:
    data = bytearray(ring_bytes)
    data[place] ^= 1 << bit
    try:
        recording = load_ring(bytes(data))
    except UserError:
        assert place < HEAD_BYTES
        return
    for sample in recording.samples:
        second = round(sample.at_s - T0_MS / 1000)
        assert sample.io is not None
        assert sample.io.some_total_s == pytest.approx(second / 1000)


@pytest.fixture(scope="module")
def ring_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ring that went round several times."""
    return ring_of(tmp_path_factory.mktemp("ring") / "r", 1500)


@settings(max_examples=60)
@given(st.binary(max_size=5000))
def test_a_stranger_may_have_written_it(junk: bytes) -> None:
    head = pack_head(Layout(SLOT, 8)).ljust(HEAD_BYTES, b"\0")
    try:
        for found in read_ring(head + junk):
            assert isinstance(found, Sample | Probe | BlindSpot | Limit)
        load_ring(junk)
    except UserError:
        return


def test_damage_in_the_middle_is_a_blind_spot(tmp_path: Path) -> None:
    data = bytearray(ring_of(tmp_path / "r", 1500))
    whole = times(load_ring(bytes(data)))
    slot = 3
    data[HEAD_BYTES + slot * SLOT + 900] ^= 0xFF
    recording = load_ring(bytes(data))
    lost = sorted(set(whole) - set(times(recording)))
    assert lost
    start_s = T0_MS / 1000
    for a, b in pairwise([*lost, lost[-1] + 2]):
        assert b - a <= 2
    assert any(
        (spot.from_s or 0) - start_s <= lost[0] <= lost[-1] <= (spot.to_s or 0) - start_s
        for spot in recording.blind
    )


_WRITER = """
import sys
from pathlib import Path
from agent.recorder.ring import RingWriter
from tests.rings import SIZE, SLOT, frame
start = int(sys.argv[2])
writer = RingWriter(Path(sys.argv[1]), SIZE, SLOT)
for second in range(start, start + 10**9):
    writer.add(frame(second))
    print(second, flush=True)
"""


def test_killed_at_any_moment_everything_it_reported_is_there(tmp_path: Path) -> None:
    path = tmp_path / "r"
    rng = random.Random(4)
    start = 0
    for _ in range(12):
        command = [sys.executable, "-c", _WRITER, str(path), str(start)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            killer = threading.Timer(rng.random() * 0.05, child.send_signal, [signal.SIGKILL])
            killer.start()
            said = [int(line) for line in child.stdout if line.endswith("\n")]
        last = said[-1] if said else start
        recording = load_ring(path)
        found = times(recording)
        assert found[-1] in (last, last + 1), "written, perhaps not yet reported"
        assert found == list(range(found[0], found[-1] + 1))
        assert recording.blind == ()
        start = found[-1] + 1


def test_it_can_be_read_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "r"
    command = [sys.executable, "-c", _WRITER, str(path), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        drain = threading.Thread(target=child.stdout.read)
        drain.start()
        last, reads = 0, 0
        while reads < 20 or last <= 500:  # however slow this machine is
            found = times(load_ring(path))
            assert found == sorted(found)
            assert found[-1] >= last
            last, reads = found[-1], reads + 1
        child.kill()
        drain.join()
