"""What is kept of a journal entry, and how its fields become a Record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.model import BlindSpot, Record, Trust
from agent.sources.kernel_time import said_at_us
from agent.sources.unwrap import MAX_MESSAGE_CHARS, Unwrapped, unwrap

CLOCK_STEP_S = 2.0  # journald may order entries of two files a little out of step

Interesting = Callable[[bytes], bool] | re.Pattern[bytes]
"""Cheap test on the raw bytes of an entry; a pattern must match within one line."""


def is_interesting(test: Interesting | None, raw: bytes) -> bool:
    """Whether an entry passes the test; without a test every entry does."""
    if test is None:
        return True
    return test.search(raw) is not None if isinstance(test, re.Pattern) else test(raw)


def record_of(fields: dict[str, str], where: str) -> Record:
    """One trusted Record; takes ``fields`` over, so the caller must not use them again."""
    raw = fields.pop("MESSAGE", "")
    if len(raw) > MAX_MESSAGE_CHARS:
        raw = raw[:MAX_MESSAGE_CHARS]
    boot = fields.pop("_BOOT_ID", "")
    at_s = micros_s(fields.pop("__REALTIME_TIMESTAMP", ""))
    source = "kernel" if fields.get("_TRANSPORT") == "kernel" else "journal"
    message, level, _, _ = unwrap(raw) if source == "journal" else Unwrapped(raw)
    if message is not raw:
        fields["RAW"] = raw
        if level:
            fields["LEVEL"] = level
    return Record(at_s, source, message, fields, Trust.TRUSTED, where, boot)


def as_said(record: Record) -> Record:
    """The same record, dated when the kernel spoke, not when a late reader of its ring wrote it."""
    if record.source != "kernel" or record.at_s is None:
        return record
    written = record.fields.get("__MONOTONIC_TIMESTAMP", "")
    spoken = record.fields.get("_SOURCE_MONOTONIC_TIMESTAMP", "")
    if not (written.isdigit() and spoken.isdigit()) or max(len(written), len(spoken)) > 17:
        return record
    heard_us = round(record.at_s * 1e6)
    said_us = said_at_us(heard_us, int(written), int(spoken))
    return record if said_us == heard_us else replace(record, at_s=said_us / 1e6)


def micros_s(text: str) -> float | None:
    """Unix seconds of a journal's microseconds; ``None`` when they are no time."""
    if not text.isascii() or not text.isdigit() or len(text) > 17:
        return None
    return int(text) / 1e6


class Complaints:
    """Turns any number of faults of one file into a few blind spots and a count."""

    def __init__(self, where: str, source: str = "journal", limit: int = 20) -> None:
        self._where = where
        self._source = source
        self._limit = limit
        self._said = 0
        self._unsaid = 0

    def say(
        self, why: str, at: int, span: tuple[float | None, float | None] = (None, None)
    ) -> Iterator[BlindSpot]:
        """One fault at a byte offset or line number; nothing once the limit is reached."""
        if self._said >= self._limit:
            self._unsaid += 1
            return
        self._said += 1
        yield BlindSpot(self._source, f"{why} ({self._where}@{at})", *span)

    def rest(self) -> Iterator[BlindSpot]:
        """How many faults were not told one by one."""
        if self._unsaid:
            yield BlindSpot(self._source, f"{self._unsaid} more faults like these ({self._where})")


class Watch:
    """Follows the entries of one file: first and last time, hosts, a clock that goes backwards."""

    def __init__(self, complaints: Complaints) -> None:
        self._complaints = complaints
        self._boot = ""
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.hosts: set[str] = set()

    def see(self, record: Record, at: int) -> Iterator[BlindSpot]:
        """What is odd about the time of this record, seen after the others."""
        now_s, last_s = record.at_s, self.last_s
        host = record.fields.get("_HOSTNAME")
        if host and len(self.hosts) < 16:
            self.hosts.add(host)
        if now_s is None:
            yield from self._complaints.say("an entry without a time", at)
            return
        if last_s is not None and now_s < last_s - CLOCK_STEP_S and record.boot == self._boot:
            why = f"the clock goes back by {last_s - now_s:.0f} s"
            yield from self._complaints.say(why, at, (now_s, last_s))
        self._boot = record.boot
        self.last_s = now_s
        if self.first_s is None:
            self.first_s = now_s
