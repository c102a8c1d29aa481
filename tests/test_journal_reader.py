"""The live journal: real files made by systemd-journal-remote, read through the real child."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.journal.handle import JournalHandle
from agent.journal.heard import frames, unbatch
from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.journal.matches import matches_for
from agent.journal.plan import Plan
from agent.journal.tail import Place, Tail
from agent.journal.wire import Say
from agent.model import BlindSpot, Record
from agent.rules.catalogue import Catalogue
from tests.journals import (
    MATCHES,
    NOW_US,
    PATIENCE_S,
    TOOL,
    Start,
    blind,
    docker,
    has,
    lines,
    read_until,
    said,
    starting,
)
from tests.replay import Entry, entry, journal_writer, write_journal

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed")


@pytest.fixture
def start() -> Iterator[Start]:
    yield from starting()


def test_only_what_the_rules_want_is_read_and_it_is_whole(tmp_path: Path, start: Start) -> None:
    unwanted = entry(
        NOW_US + 5000, "nobody asked", _SYSTEMD_UNIT="web.service", UNIT="docker.service"
    )
    write_journal(TOOL, tmp_path / "a.journal", [*lines(0, 3), unwanted, *lines(6, 9)])
    items = read_until(start(tmp_path))
    assert said(items) == [f"line {n}" for n in (0, 1, 2, 6, 7, 8)]
    first = items[0]
    assert isinstance(first, Record)
    assert first.at_s == NOW_US / 1e6
    assert first.fields["_SYSTEMD_UNIT"] == "docker.service"
    assert first.fields["_UID"] == "0"
    assert first.boot == "6f2d8e0b4c5a4e1f9a7b3c2d1e0f9a8b"


def test_claims_do_not_pass_for_trusted_fields(tmp_path: Path, start: Start) -> None:
    """Container output, logger and native clients may say anything but underscore fields."""
    kill = "Docker daemon failed!"
    stranger = {"_SYSTEMD_UNIT": "app.service", "_PID": "77", "_COMM": "logger"}
    speakers = [
        entry(NOW_US + 1, kill, _SYSTEMD_UNIT="docker.service", CONTAINER_ID="c0ffee"),
        entry(NOW_US + 2, kill, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="kubelet", **stranger),
        entry(
            NOW_US + 3, kill, _TRANSPORT="journal", UNIT="kube-docker-monitor.service", **stranger
        ),
        entry(NOW_US + 4, kill, _SYSTEMD_UNIT="kube-docker-monitor.service"),
    ]
    write_journal(TOOL, tmp_path / "a.journal", speakers)
    catalogue = Catalogue.load()
    items = read_until(start(tmp_path, matches=matches_for(catalogue.rules)))
    readings = [catalogue.read(item) for item in items if isinstance(item, Record)]
    assert [len(reading.facts) for reading in readings] == [0, 0, 1]
    assert [bool(reading.spoofed) for reading in readings] == [True, True, False]


def test_from_the_end_only_what_is_new_is_read(tmp_path: Path, start: Start) -> None:
    with journal_writer(TOOL, tmp_path / "a.journal") as writer:
        writer.write(lines(0, 50))
        time.sleep(0.5)
        journal = start(tmp_path, Begin())
        assert said(read_until(journal)) == []
        writer.write(lines(50, 52))
        assert said(read_until(journal, has(2))) == ["line 50", "line 51"]


def test_an_empty_folder_is_read_as_soon_as_something_is_in_it(
    tmp_path: Path, start: Start
) -> None:
    journal = start(tmp_path, Begin())
    assert read_until(journal) == []
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 2))
    assert said(read_until(journal, has(2))) == ["line 0", "line 1"]


def test_rotation_is_followed_into_the_next_file(tmp_path: Path, start: Start) -> None:
    write_journal(TOOL, tmp_path / "system.journal", lines(0, 20))
    journal = start(tmp_path)
    items = read_until(journal)
    (tmp_path / "system.journal").rename(tmp_path / "system@0.journal")
    write_journal(TOOL, tmp_path / "system.journal", lines(20, 40))
    items += read_until(journal, has(20))
    assert said(items) == [f"line {n}" for n in range(40)]
    assert journal.restarts == 0


def test_a_file_deleted_under_the_reader_costs_nothing_that_was_read(
    tmp_path: Path, start: Start
) -> None:
    write_journal(TOOL, tmp_path / "old.journal", lines(0, 20))
    journal = start(tmp_path)
    items = read_until(journal)
    (tmp_path / "old.journal").unlink()
    write_journal(TOOL, tmp_path / "new.journal", lines(20, 40))
    items += read_until(journal, has(20))
    assert said(items) == [f"line {n}" for n in range(40)]


def test_what_was_rotated_away_unread_is_a_blind_spot(tmp_path: Path, start: Start) -> None:
    write_journal(TOOL, tmp_path / "old.journal", lines(0, 20))
    journal = start(tmp_path)
    read_until(journal)
    journal.close()
    (tmp_path / "old.journal").unlink()
    write_journal(TOOL, tmp_path / "new.journal", lines(5000, 5002))
    items = read_until(start(tmp_path, Begin(journal.cursor)))
    assert said(items) == ["line 5000", "line 5001"]
    (spot,) = (item for item in items if isinstance(item, BlindSpot))
    assert "rotated away" in spot.why
    assert (spot.from_s, spot.to_s) == ((NOW_US + 19_000) / 1e6, (NOW_US + 5_000_000) / 1e6)


def test_a_cursor_that_is_none_is_told_and_everything_is_read(tmp_path: Path, start: Start) -> None:
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 3))
    items = read_until(start(tmp_path, Begin("not a cursor")))
    assert len(said(items)) == 3
    assert blind(items) == ["the place where reading stopped is not known here"]


def test_a_torn_file_gives_what_it_has_and_does_not_hide_the_next(
    tmp_path: Path, start: Start
) -> None:
    write_journal(TOOL, tmp_path / "torn.journal", lines(0, 3000))
    write_journal(TOOL, tmp_path / "whole.journal", lines(3000, 3010))
    with (tmp_path / "torn.journal").open("r+b") as stream:
        stream.seek(300_000)
        stream.write(b"\xff" * 200_000)
    (tmp_path / "short.journal").write_bytes((tmp_path / "whole.journal").read_bytes()[:777])
    (tmp_path / "junk.journal").write_bytes(b"\0" * 4096)
    items = read_until(start(tmp_path))
    assert set(said(items)) >= {f"line {n}" for n in range(3000, 3010)}


def test_ten_megabytes_in_one_message_are_cut_and_hurt_nobody(tmp_path: Path, start: Start) -> None:
    huge = docker(1, b"start\n" + b"x" * 10_000_000)
    odd = docker(2, b"nul\0nul \xff\xfe and a newline\n_TRANSPORT=kernel")
    write_journal(TOOL, tmp_path / "a.journal", [docker(0), huge, odd, docker(3)])
    messages = said(read_until(start(tmp_path)))
    assert [len(messages), messages[0], messages[3]] == [4, "line 0", "line 3"]
    assert messages[1].startswith("start\nx")
    assert len(messages[1]) <= 65_536
    assert messages[2] == "nul\ufffdnul \ufffd\ufffd and a newline\n_TRANSPORT=kernel"


def test_a_kernel_line_read_late_is_dated_when_it_was_said(tmp_path: Path, start: Start) -> None:
    kernel = {"_TRANSPORT": "kernel", "SYSLOG_FACILITY": "0", "__MONOTONIC_TIMESTAMP": "100000000"}
    late = entry(NOW_US, "late", _SOURCE_MONOTONIC_TIMESTAMP="40000000", **kernel)
    live = entry(NOW_US + 1, "live", _SOURCE_MONOTONIC_TIMESTAMP="99990000", **kernel)
    write_journal(TOOL, tmp_path / "a.journal", [late, live])
    items = read_until(start(tmp_path))
    times = [item.at_s for item in items if isinstance(item, Record)]
    assert times == [NOW_US / 1e6 - 60, (NOW_US + 1) / 1e6]


def test_a_unit_that_speaks_for_the_first_time_is_heard(tmp_path: Path, start: Start) -> None:
    with journal_writer(TOOL, tmp_path / "a.journal") as writer:
        writer.write(lines(0, 3))
        journal = start(tmp_path)
        read_until(journal, has(3))
        later = NOW_US + 60_000
        writer.write([entry(later, "new here", _SYSTEMD_UNIT="kube-docker-monitor.service")])
        assert said(read_until(journal, has(1))) == ["new here"]


def test_a_repeated_field_counts_as_its_first_value(tmp_path: Path, start: Start) -> None:
    twice = docker(0)
    twice = Entry((*twice.fields, (b"UNIT", b"one.service"), (b"UNIT", b"two.service")))
    write_journal(TOOL, tmp_path / "a.journal", [twice])
    (record,) = read_until(start(tmp_path))
    assert isinstance(record, Record)
    assert record.fields["UNIT"] in ("one.service", "two.service")


def test_a_hosts_root_is_read_where_journald_keeps_its_files(tmp_path: Path) -> None:
    machine = "1a2b3c4d5e6f4a7b8c9d0e1f2a3b4c5d"
    for number, place in enumerate(("var/log/journal", "run/log/journal")):
        folder = tmp_path / place / machine
        folder.mkdir(parents=True)
        write_journal(TOOL, folder / "system.journal", lines(number * 10, number * 10 + 2))
    host = JournalPlace(root=tmp_path)
    with LiveJournal(host, Begin(from_start=True), MATCHES, time.monotonic) as journal:
        items = read_until(journal)
    assert said(items) == ["line 0", "line 1", "line 10", "line 11"]


def test_entries_younger_than_the_reader_are_read_once_and_in_order(
    tmp_path: Path, start: Start
) -> None:
    soon_us = time.time_ns() // 1000 + 60_000_000
    young = [entry(soon_us + n, f"young {n}", _SYSTEMD_UNIT="docker.service") for n in range(600)]
    write_journal(TOOL, tmp_path / "a.journal", [*lines(0, 300), *young])
    journal = start(tmp_path)
    items = read_until(journal)
    assert said(items) == [f"line {n}" for n in range(300)] + [f"young {n}" for n in range(600)]
    assert said(read_until(start(tmp_path, Begin(journal.cursor)))) == []


def test_the_first_words_of_a_unit_that_only_a_glob_names_are_not_lost(tmp_path: Path) -> None:
    from systemd._reader import _Reader

    buffer = bytearray()
    with (
        journal_writer(TOOL, tmp_path / "a.journal") as writer,
        closing(JournalHandle(_Reader(0, str(tmp_path)))) as handle,
    ):
        assert handle.descriptor() >= 0
        tail = Tail(handle, Plan.of(MATCHES), buffer.extend, Place(from_start=True))
        tail.seek()
        first = entry(NOW_US + 4_000, "first words", _SYSTEMD_UNIT="web-healthcheck.service")
        writer.write([*lines(0, 3), first, docker(5)])
        assert _read(tail, buffer, 4) == ["line 0", "line 1", "line 2", "line 5"]
        tail._globs_at_s = float("-inf")
        assert tail.refresh(watched=True)
        assert _read(tail, buffer, 1) == ["first words"]
        writer.write([docker(6)])
        assert _read(tail, buffer, 1) == ["line 6"]


def _read(tail: Tail, buffer: bytearray, count: int) -> list[str]:
    rows: list[str] = []
    until_s = time.monotonic() + PATIENCE_S
    while len(rows) < count and time.monotonic() < until_s:
        tail.refresh(watched=True)
        tail.drain()
        told = (unbatch(one.body)[1] for one in frames(buffer) if one.say == Say.RECORDS)
        rows += [row["MESSAGE"] for batch in told for row in batch]
    return rows
