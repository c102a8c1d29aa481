"""The ring: what goes in comes out, and goes on where it stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import UserError
from agent.model import BlindSpot, Probe
from agent.recorder.delta import Decoder, Encoder
from agent.recorder.frame import DISK, GROUP, MEMORY, PART, PSI, WIDTHS, Frame, Key, Row
from agent.recorder.ring import RingBusy, RingWriter
from agent.recorder.ring_format import SLOT_BYTES, Layout, layout_for
from agent.recorder.ring_read import Span, load_ring
from agent.recorder.varint import Cursor, Damaged, put, put_signed, put_text
from tests.rings import SIZE, SLOT, T0_MS, frame, ring_of, times

KEYS: tuple[Key, ...] = (
    (PSI, "io"),
    (MEMORY,),
    (DISK, "vda"),
    (GROUP, "unit", "docker.service", "", ""),
    (GROUP, "pod", "", "", "u-1"),
    (PART, "pod", "", "", "u-1", "abc"),
)
counters = st.integers(0, 2**64 - 1)


def rows_of(keys: tuple[Key, ...]) -> st.SearchStrategy[dict[Key, Row]]:
    """Any values under some of the keys."""
    one = {key: st.tuples(*[counters] * WIDTHS[key[0]]) for key in keys}
    return st.sets(st.sampled_from(keys)).flatmap(
        lambda chosen: st.fixed_dictionaries({key: one[key] for key in sorted(chosen)})
    )


frames = st.lists(st.tuples(st.integers(0, 2**45), rows_of(KEYS)), max_size=12).map(
    lambda seconds: [Frame(at_ms, rows) for at_ms, rows in seconds]
)


@given(st.lists(st.integers(-(2**65), 2**65)))
def test_numbers_survive(values: list[int]) -> None:
    out = bytearray()
    for value in values:
        put_signed(out, value)
        put(out, abs(value))
    put_text(out, "Zwölf \ud800")
    cursor = Cursor(bytes(out))
    for value in values:
        assert (cursor.signed(), cursor.number()) == (value, abs(value))
    assert cursor.text() == "Zwölf ?"
    assert cursor.done


@given(frames)
def test_frames_survive(seconds: list[Frame]) -> None:
    encoder, decoder = Encoder(), Decoder()
    for second in seconds:
        assert decoder.decode(encoder.encode(second)) == second


@given(st.binary(max_size=200), frames)
def test_the_decoder_refuses_and_never_breaks(junk: bytes, seconds: list[Frame]) -> None:
    encoder, decoder = Encoder(), Decoder()
    payloads = [encoder.encode(second) for second in seconds]
    for payload in (*payloads, junk, junk + b"".join(payloads)):
        try:
            decoder.decode(payload)
        except Damaged:
            return


def test_an_unchanged_row_costs_nothing_and_stays_the_same_object() -> None:
    encoder, decoder = Encoder(), Decoder()
    first, later = frame(1), Frame(T0_MS + 2000, frame(1).rows)
    before = decoder.decode(encoder.encode(first))
    payload = encoder.encode(later)
    assert len(payload) < 10
    after = decoder.decode(payload)
    assert all(after.rows[key] is before.rows[key] for key in before.rows)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(seconds=frames)
def test_a_ring_survives(tmp_path: Path, seconds: list[Frame]) -> None:
    path = tmp_path / "r.ring"
    path.unlink(missing_ok=True)
    writer = RingWriter(path, SIZE, SLOT)
    for second in seconds:
        writer.add(second)
    writer.close()
    kept = sorted(round(sample.at_s * 1000) for sample in load_ring(path).samples)
    assert kept == sorted(second.at_ms for second in seconds)


def test_the_oldest_seconds_are_written_over_and_no_others(tmp_path: Path) -> None:
    ring_of(tmp_path / "r", 2000)
    recording = load_ring(tmp_path / "r")
    found = times(recording)
    assert found == list(range(found[0], 2000))
    assert len(found) > 200
    assert recording.blind == ()
    assert (tmp_path / "r").stat().st_size == SIZE


def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    for life in range(40):
        writer = RingWriter(tmp_path / "r", SIZE, SLOT)
        for second in range(5):
            writer.add(frame(life * 5 + second, unit=f"life{life}-"))
        writer.close()
    recording = load_ring(tmp_path / "r")
    assert times(recording)[-1] == 199
    assert len(times(recording)) > 100, "forty restarts do not use up forty slots"
    assert recording.samples[-1].cgroups[0].owner.name == "life39-0.service"
    assert recording.blind == ()


def test_two_recorders_do_not_share_a_ring(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "r", SIZE, SLOT)
    with pytest.raises(RingBusy, match="another recorder"):
        RingWriter(tmp_path / "r", SIZE, SLOT)
    writer.close()
    RingWriter(tmp_path / "r", SIZE, SLOT).close()


@pytest.mark.parametrize("before", [b"", b"something else", b"\xff" * 100_000])
def test_what_is_no_ring_is_replaced(tmp_path: Path, before: bytes) -> None:
    (tmp_path / "r").write_bytes(before)
    ring_of(tmp_path / "r", 3)
    assert times(load_ring(tmp_path / "r")) == [0, 1, 2]


def test_probes_notes_limits_and_names_travel_along(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "r", SIZE, SLOT)
    writer.name_pod("u-1", "prod", "pg-0")
    writer.add_note(BlindSpot("recorder", "no writes seen"))
    writer.add_note(BlindSpot("recorder", "disks: torn", 5.0, 5.0))
    writer.add_note(BlindSpot("recorder", "disks: torn", 5.0, 15.0))
    for took_s in (1.5, 2.5, 63.0):
        writer.add_probe(Probe(7.0, "docker ps", took_s, took_s > 60))
    rows: dict[Key, Row] = {(GROUP, "pod", "", "", "u-1"): (1,) * 12}
    for second in range(500):
        writer.add(Frame(second * 1000, {**frame(second).rows, **rows}))
    writer.close()
    late = load_ring(tmp_path / "r")
    pod = next(group for group in late.samples[-1].cgroups if group.owner.uid)
    assert (pod.owner.namespace, pod.owner.name) == ("prod", "pg-0"), "repeated in every slot"
    assert late.limits == ("no writes seen",)


def test_a_question_and_an_outage_are_what_was_said_last(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "r", SIZE, SLOT)
    for to_s in (5.0, 15.0):
        writer.add_note(BlindSpot("recorder", "disks: torn", 5.0, to_s))
    for took_s in (1.5, 2.5, 63.0):
        writer.add_probe(Probe(7.0, "docker ps", took_s, took_s > 60))
    writer.close()
    recording = load_ring(tmp_path / "r")
    assert recording.probes == (Probe(7.0, "docker ps", 63.0, True),)
    assert recording.blind == (BlindSpot("recorder", "disks: torn", 5.0, 15.0),)


def test_a_gap_and_a_clock_set_back_are_said(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "r", SIZE, SLOT)
    for second in (0, 1, 2, 60, 61, 30, 31):
        writer.add(frame(second))
    writer.close()
    recording = load_ring(tmp_path / "r")
    start_s = T0_MS / 1000
    assert recording.blind == (
        BlindSpot("recorder", "nothing was sampled", start_s + 2, start_s + 60),
        BlindSpot("recorder", "the node's clock was set back", start_s + 30, start_s + 61),
    )


def test_only_the_asked_span_is_made(tmp_path: Path) -> None:
    ring_of(tmp_path / "r", 100)
    start_s = T0_MS / 1000
    assert times(load_ring(tmp_path / "r", Span(start_s + 50, start_s + 52))) == [50, 51, 52]
    for begin in range(0, 100, 9):
        found = times(load_ring(tmp_path / "r", Span(start_s + begin)))
        assert found == list(range(begin, 100))


def test_a_frame_larger_than_a_slot_is_refused_and_the_ring_goes_on(tmp_path: Path) -> None:
    writer = RingWriter(tmp_path / "r", SIZE, SLOT)
    writer.add(frame(0))
    with pytest.raises(ValueError, match="does not fit"):
        writer.add(frame(1, groups=500))
    writer.add(frame(2))
    writer.close()
    assert times(load_ring(tmp_path / "r")) == [0, 2]


def test_a_ring_is_never_larger_than_it_was_asked_to_be() -> None:
    assert layout_for(8 << 20).size_bytes <= 8 << 20
    assert layout_for(8 << 20) == Layout()
    assert Layout().slots == (8 << 20) // SLOT_BYTES - 1


def test_a_copy_is_as_good_as_the_ring(tmp_path: Path) -> None:
    ring_of(tmp_path / "r", 50)
    shutil.copy(tmp_path / "r", tmp_path / "recorder.ring")
    assert load_ring(tmp_path / "recorder.ring") == load_ring(tmp_path / "r")


def test_what_is_no_ring_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    with pytest.raises(UserError, match="not a recorder ring"):
        load_ring(tmp_path / "small")
