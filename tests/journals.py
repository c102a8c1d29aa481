"""Real journal files for tests, and the live journal started on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.model import BlindSpot, Record
from tests.replay import Entry, entry, remote_tool

TOOL = remote_tool() or ""
PATIENCE_S = 30.0
NOW_US = 1_795_000_000_000_000
MATCHES = (
    "_PID=1",
    "_TRANSPORT=kernel",
    "_TRANSPORT=syslog",
    "_SYSTEMD_UNIT=docker.service",
    "_SYSTEMD_UNIT=kube-docker-monitor.service",
    "_SYSTEMD_UNIT=*-healthcheck.service",
)
Start = Callable[..., LiveJournal]
Items = Sequence[Record | BlindSpot]


def docker(number: int, message: str | bytes = "", **fields: str) -> Entry:
    said = message or f"line {number}"
    return entry(NOW_US + number * 1000, said, _SYSTEMD_UNIT="docker.service", **fields)


def lines(first: int, last: int) -> list[Entry]:
    return [docker(number) for number in range(first, last)]


def starting() -> Iterator[Start]:
    """A way to start following a folder; whatever was started is ended afterwards."""
    started: list[LiveJournal] = []

    def make(
        folder: Path, begin: Begin | None = None, matches: Sequence[str] = MATCHES
    ) -> LiveJournal:
        place = JournalPlace(directory=folder)
        begin = begin or Begin(from_start=True)
        journal = LiveJournal(place, begin, matches, time.monotonic, jitter=lambda: 0.0)
        started.append(journal)
        return journal

    yield make
    for journal in started:
        journal.close()


def read_until(
    journal: LiveJournal, enough: Callable[[list[Record | BlindSpot]], bool] | None = None
) -> list[Record | BlindSpot]:
    """Everything up to the moment when nothing is left, or there is enough."""
    items: list[Record | BlindSpot] = []
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        items += journal.read(0.2)
        if enough(items) if enough else journal.caught_up:
            return items
    pytest.fail(f"not enough within {PATIENCE_S:.0f} s: {items[-3:]}")


def said(items: Sequence[Record | BlindSpot]) -> list[str]:
    return [item.message for item in items if isinstance(item, Record)]


def blind(items: Sequence[Record | BlindSpot]) -> list[str]:
    return [item.why for item in items if isinstance(item, BlindSpot)]


def has(count: int) -> Callable[[list[Record | BlindSpot]], bool]:
    return lambda items: len(said(items)) >= count
