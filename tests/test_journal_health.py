"""A journal that cannot be read looks like a quiet node; the headers of its files tell."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from agent.journal.health import JournalHealth, check_journal, journal_folders, known_flags
from tests.replay import entry, remote_tool, write_journal

NOW_S = 1_795_000_000.0
HERE, ELSEWHERE = "1a" * 16, "2b" * 16
ALL_FLAGS = 0x1F


def header(
    flags: int = 0, *, machine: str = HERE, entries: int = 5, newest_s: float = NOW_S - 10
) -> bytes:
    """The first 200 bytes of a journal file, by systemd's journal-def.h."""
    ids = bytes(16) + bytes.fromhex(machine) + bytes(32)
    sizes = struct.pack(
        "<14Q", 272, 1000, 0, 0, 0, 0, 0, 9, entries, 9, 1, 0, 0, int(newest_s * 1e6)
    )
    return b"LPKSHHRH" + struct.pack("<II8x", 0, flags) + ids + sizes + bytes(1272)


def check(folder: Path, flags: int = ALL_FLAGS, machine_id: str = HERE) -> JournalHealth:
    return check_journal([folder], now_s=NOW_S, machine_id=machine_id, known_flags=flags)


def test_a_good_journal_gives_no_sentence(tmp_path: Path) -> None:
    (tmp_path / HERE).mkdir()
    (tmp_path / HERE / "system.journal").write_bytes(header(0x1C))
    (tmp_path / HERE / "user-1000@abc.journal~").write_bytes(header(0x04, newest_s=NOW_S - 9000))
    (tmp_path / HERE / "notes.txt").write_text("not a journal")
    health = check(tmp_path)
    assert health.well
    assert (len(health.files), health.entries, health.newest_s) == (2, 10, NOW_S - 10)


@pytest.mark.parametrize(
    ("flags", "known", "words"),
    [
        (0x08, 0x07, "uses ZSTD compression, which this libsystemd does not know"),
        (0x10, 0x0F, "uses the compact format, which"),
        (0x0C, 0x03, "uses keyed hashes and ZSTD compression, which"),
        (0x40, 0x1F, "uses format flag 0x40, which"),
    ],
)
def test_a_format_that_libsystemd_does_not_know_is_named(
    tmp_path: Path, flags: int, known: int, words: str
) -> None:
    (tmp_path / "system.journal").write_bytes(header(flags))
    sentence, nothing = check(tmp_path, known).sentences
    assert words in sentence
    assert nothing == "No journal file that can be read has an entry."


def test_the_same_fault_in_many_files_is_one_sentence(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"system@{number}.journal").write_bytes(header(0x10))
    (tmp_path / "system.journal").write_bytes(header(0x04))
    (sentence,) = check(tmp_path, 0x0F).sentences
    assert "(and 8 more like it)" in sentence


def test_torn_and_foreign_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.journal").write_bytes(header()[:100])
    (tmp_path / "b.journal").write_bytes(header()[:900])
    (tmp_path / "c.journal").write_bytes(b"\0" * 4096)
    text = "\n".join(check(tmp_path).sentences)
    assert "a.journal is cut short, at 100 bytes" in text
    assert "b.journal is cut short, at 900 of 1272 bytes" in text
    assert "c.journal is no journal file" in text


def test_a_journal_of_another_machine_is_told(tmp_path: Path) -> None:
    (tmp_path / "system.journal").write_bytes(header(machine=ELSEWHERE))
    (sentence,) = check(tmp_path).sentences
    assert "No journal file is of this machine" in sentence
    assert check(tmp_path, machine_id="").well


def test_an_old_journal_asks_whether_journald_runs(tmp_path: Path) -> None:
    (tmp_path / "system.journal").write_bytes(header(newest_s=NOW_S - 7300))
    assert check(tmp_path).sentences == (
        "The newest journal entry is 2 h 1 min old: is journald running?",
    )


def test_an_empty_folder_and_no_folder_are_told_apart(tmp_path: Path) -> None:
    assert check(tmp_path).sentences == (f"There is no journal file in {tmp_path}.",)
    assert "There is no journal folder" in check(tmp_path / "none").sentences[0]


def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (tmp_path / "system.journal").write_bytes(header())
    (tmp_path / "system.journal").chmod(0)
    assert "cannot be opened: Permission denied" in check(tmp_path).sentences[0]


def test_a_folder_instead_of_a_file_is_a_fault_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "system.journal").mkdir()
    assert "cannot be opened" in check(tmp_path).sentences[0]


@pytest.mark.parametrize(
    ("libsystemd", "flags"),
    [
        ("libsystemd.so.0.25.0", 0x03),  # v241
        ("libsystemd.so.0.28.0", 0x03),  # v245
        ("libsystemd.so.0.29.0", 0x0F),  # v246
        ("libsystemd.so.0.35.0", 0x1F),  # v252
        ("libsystemd.so.0.40.0", 0x1F),
        ("", 0x1F),
    ],
)
def test_what_a_libsystemd_knows(libsystemd: str, flags: int) -> None:
    assert known_flags(libsystemd) == flags


def test_a_hosts_journal_lies_in_two_places() -> None:
    places = [Path("/host/var/log/journal"), Path("/host/run/log/journal")]
    assert journal_folders(Path("/host")) == places


def test_a_real_file_is_understood(tmp_path: Path) -> None:
    tool = remote_tool()
    if tool is None:
        pytest.skip("systemd-journal-remote is not installed")
    at_us = int((NOW_S - 60) * 1e6)
    write_journal(tool, tmp_path / "a.journal", [entry(at_us + n, "x" * 600) for n in range(7)])
    health = check(tmp_path, machine_id="")
    assert health.well, health.sentences
    assert (health.entries, health.newest_s) == (7, (at_us + 6) / 1e6)
