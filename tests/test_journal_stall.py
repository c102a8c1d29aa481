"""A reader child that waits for its disk: that is seen, said, and ends when it goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.daemon.inbox import Inbox
from agent.daemon.sources import Batch, JournalSource
from agent.journal.live import Begin, JournalPlace
from agent.model import BlindSpot, Record
from tests.agents import until
from tests.journals import MATCHES, TOOL, lines
from tests.replay import write_journal

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed")


@contextmanager
def followed(folder: Path) -> Iterator[Callable[[], list[Record | BlindSpot]]]:
    """The source on a thread; what it has put so far."""
    inbox, stop = Inbox(), threading.Event()
    begin = Begin(from_start=True)
    source = JournalSource(JournalPlace(directory=folder), begin, MATCHES, inbox)
    source.stalled_after_s = 2.0
    thread = threading.Thread(target=source.work, args=(stop,))
    thread.start()
    seen: list[Record | BlindSpot] = []

    def taken() -> list[Record | BlindSpot]:
        batches = (item.what for item in inbox.take(100) if isinstance(item.what, Batch))
        seen.extend(one for batch in batches for one in batch.items)
        return seen

    try:
        yield taken
    finally:
        stop.set()
        thread.join()


def spots(items: list[Record | BlindSpot]) -> list[BlindSpot]:
    return [one for one in items if isinstance(one, BlindSpot)]


def reader_pid() -> int:
    """The only child of ours that is one."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    found = [pid for pid in pids if b"agent.journal" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(found) == 1
    return found[0]


def test_a_read_that_stalls_is_a_blind_spot_until_it_goes_on(tmp_path: Path) -> None:
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 5))
    with followed(tmp_path) as taken:
        until(lambda: len(taken()) == 5)
        stopped = reader_pid()
        os.kill(stopped, signal.SIGSTOP)
        begun_s = time.time()
        try:
            until(lambda: len(spots(taken())) == 1)
            write_journal(TOOL, tmp_path / "b.journal", lines(5, 8))
        finally:
            os.kill(stopped, signal.SIGCONT)
        until(lambda: len(taken()) == 10)
        began, ended = spots(taken())
        assert began.from_s == ended.from_s == pytest.approx(begun_s, abs=1.5)
        assert (began.to_s, began.why) == (None, ended.why)
        assert "says nothing" in began.why
        assert ended.to_s is not None
        assert ended.to_s - begun_s > 1.5
