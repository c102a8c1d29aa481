"""What child and parent say to each other; when a kernel line was said; what matches mean."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.heard import Frame, Unframed, frames, unbatch
from agent.journal.plan import MOST_EXPANDED, Plan, fits
from agent.journal.wire import (
    COLUMNS,
    Say,
    batch,
    columns_of,
    cursor_time_us,
    frame,
    texts,
)
from agent.sources.kernel_time import said_at_us

Fields = dict[str, bytes | list[bytes]]

VALUES: st.SearchStrategy[Fields] = st.dictionaries(
    st.sampled_from(COLUMNS), st.one_of(st.binary(max_size=40), st.lists(st.binary(), min_size=1))
)


@given(st.lists(VALUES, max_size=6), st.text("abc;=0123456789", max_size=80))
def test_any_entries_survive_the_pipe(entries: list[Fields], cursor: str) -> None:
    rows = [columns_of(entry) for entry in entries]
    told, fields = unbatch(batch(cursor, rows))
    assert told == cursor
    assert len(fields) == len(entries)
    for entry, back in zip(entries, fields, strict=True):
        for name, value in entry.items():
            first = value[0] if isinstance(value, list) else value
            expected = first.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
            assert back.get(name, "") == expected


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 7))
def test_frames_are_whole_however_the_pipe_cuts_them(bodies: list[bytes], step: int) -> None:
    stream = b"".join(frame(Say.RECORDS, body) for body in bodies)
    buffer, got = bytearray(), []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        got += list(frames(buffer))
    assert got == [Frame(Say.RECORDS, body) for body in bodies]
    assert not buffer


@pytest.mark.parametrize(
    "garbage", [b"\x00\x00\x00\x00\x00", b"\x02\xff\xff\xff\xff", b"Traceback"]
)
def test_what_is_no_frame_is_refused(garbage: bytes) -> None:
    with pytest.raises(Unframed):
        list(frames(bytearray(garbage)))


def test_a_batch_with_columns_missing_is_refused() -> None:
    with pytest.raises(Unframed):
        unbatch(batch("c", [b"one\0two"]))


def test_texts_are_words_with_nul_between() -> None:
    assert texts("why", "", "7") == b"why\x00\x007"


def test_a_cursor_knows_its_time() -> None:
    assert cursor_time_us("s=1;i=2;b=3;m=4;t=60a24181ea88a;x=5") == 0x60A24181EA88A
    assert cursor_time_us("s=1;i=2") is None
    assert cursor_time_us("") is None


@pytest.mark.parametrize(
    ("uptime_s", "late_s", "corrected"),
    [
        (100, 0.0, False),
        (100, 0.5, False),  # journald was busy
        (100, 60.0, True),  # said a minute ago, read again by a new journald
        (100, -3.0, False),  # the kernel's clock runs ahead
        (40 * 86400, 120.0, False),  # its clock has wandered off in 40 days
        (40 * 86400, 3600.0, True),
    ],
)
def test_a_kernel_line_is_dated_by_its_own_clock_only_when_it_was_read_late(
    uptime_s: int, late_s: float, corrected: bool
) -> None:
    at_us, late_us = 1_795_000_000_000_000, int(late_s * 1e6)
    monotonic_us = uptime_s * 1_000_000
    said_us = said_at_us(at_us, monotonic_us, monotonic_us - late_us)
    assert said_us == (at_us - late_us if corrected else at_us)


def test_a_plan_expands_globs_by_what_the_journal_has() -> None:
    plan = Plan.of(["_PID=1", "_SYSTEMD_UNIT=docker.service", "_SYSTEMD_UNIT=*-monitor.service"])
    seen = {"kube-docker-monitor.service", "web.service", "docker.service"}
    assert plan.fields == ("_PID", "_SYSTEMD_UNIT")
    assert plan.expanded("_SYSTEMD_UNIT", seen) == {"kube-docker-monitor.service"}
    assert plan.present("_SYSTEMD_UNIT", seen) == {"kube-docker-monitor.service", "docker.service"}
    assert plan.present("_PID", {"7"}) == frozenset()


def test_of_very_many_sessions_the_newest_are_matched() -> None:
    plan = Plan.of(["_SYSTEMD_UNIT=session-*.scope"])
    kept = plan.expanded("_SYSTEMD_UNIT", {f"session-{n}.scope" for n in range(10_000)})
    assert kept == {f"session-{n}.scope" for n in range(10_000 - MOST_EXPANDED, 10_000)}


@given(st.text("ab.[", max_size=12), st.text("ab.*?", max_size=8))
def test_globs_mean_what_the_rules_mean_by_them(value: str, glob: str) -> None:
    assert fits(value, glob) == fnmatchcase(value, glob)


def test_a_bracket_in_a_glob_reads_too_much_rather_than_too_little() -> None:
    assert fits("session-7.scope", "session-[0-9].scope")
    assert not fits("user-7.scope", "session-[0-9].scope")
