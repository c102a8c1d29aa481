"""A real journald that rotates and vacuums while its journal is being read."""

from __future__ import annotations

import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.model import BlindSpot, Record
from tests.real_journald import JOURNALD, Journald, journald

SPEAKER = "knockon-test"
MATCHES = (f"SYSLOG_IDENTIFIER={SPEAKER}", "_TRANSPORT=journal")
SMALL = {"SystemMaxUse": "4M", "SystemMaxFileSize": "512K", "SystemMaxFiles": "4"}
PATIENCE_S = 60.0

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not JOURNALD, reason="systemd-journald is not installed"),
]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Journald]:
    with journald(tmp_path, **SMALL) as made:
        yield made


def speak(running: Journald, first: int, last: int) -> None:
    """Numbered entries that do not compress, so that files fill up."""
    noise = random.Random(first)
    for number in range(first, last):
        running.say(
            MESSAGE=f"line {number}",
            SYSLOG_IDENTIFIER=SPEAKER,
            NOISE=noise.randbytes(1500).hex(),
        )


def reading(running: Journald, begin: Begin) -> LiveJournal:
    return LiveJournal(JournalPlace(directory=running.folder), begin, MATCHES, time.monotonic)


def read(
    journal: LiveJournal, enough: Callable[[list[Record | BlindSpot]], bool]
) -> list[Record | BlindSpot]:
    items: list[Record | BlindSpot] = []
    until_s = time.monotonic() + PATIENCE_S
    while not enough(items) and time.monotonic() < until_s:
        items += journal.read(0.25)
    return items


def numbers(items: list[Record | BlindSpot]) -> list[int]:
    return [int(one.message.split()[1]) for one in items if isinstance(one, Record)]


def up_to(last: int) -> Callable[[list[Record | BlindSpot]], bool]:
    return lambda items: last in numbers(items[-300:])


def test_everything_is_read_once_while_journald_rotates_and_vacuums(running: Journald) -> None:
    speak(running, 0, 1)
    with reading(running, Begin(from_start=True)) as journal:
        seen = read(journal, up_to(0))
        speaking = threading.Thread(target=speak_slowly, args=(running, 1, 6000))
        speaking.start()
        seen += read(journal, up_to(5999))
        speaking.join()
        assert numbers(seen) == list(range(6000))
        assert [one for one in seen if isinstance(one, BlindSpot)] == []
        assert journal.restarts == 0
    kept_bytes = sum(file.stat().st_size for file in running.files())
    assert kept_bytes < 5 << 20, "of 18 MB journald has thrown most away"


def speak_slowly(running: Journald, first: int, last: int) -> None:
    for number in range(first, last, 50):
        speak(running, number, min(number + 50, last))
        time.sleep(0.02)


def test_what_was_vacuumed_while_nobody_read_is_a_blind_spot(running: Journald) -> None:
    speak(running, 0, 10)
    with reading(running, Begin(from_start=True)) as journal:
        read(journal, up_to(9))
        cursor = journal.cursor
    speak_slowly(running, 10, 6000)
    with reading(running, Begin(cursor)) as journal:
        items = read(journal, up_to(5999))
    spots = [one for one in items if isinstance(one, BlindSpot)]
    assert len(spots) == 1
    assert "rotated away" in spots[0].why
    told = numbers(items)
    assert told[0] > 10
    assert told == list(range(told[0], 6000)), "and from there on nothing is missing"


def test_an_administrator_vacuums_by_hand(running: Journald) -> None:
    speak(running, 0, 200)
    with reading(running, Begin(from_start=True)) as journal:
        seen = read(journal, up_to(199))
        running.rotate()
        speak(running, 200, 210)
        tool = shutil.which("journalctl") or ""
        words = [tool, "-D", str(running.folder), "--vacuum-files=1"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert "Deleted archived journal" in done.stderr, done.stderr
        speak(running, 210, 220)
        seen += read(journal, up_to(219))
        assert numbers(seen) == list(range(220))
