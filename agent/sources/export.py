"""Reads ``journalctl -o export`` streams of any size in constant memory.

The format (systemd.io/JOURNAL_EXPORT_FORMATS): ``NAME=value`` lines, an empty line after each
entry; a value with a newline in it is ``NAME``, a newline, its length as 8 bytes little-endian, the
value, a newline. The lengths are honoured even in entries nobody wants: a program may log a newline
followed by text that looks like an entry of its own, signed by the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.model import BlindSpot, Record
from agent.sources.export_window import MAX_ENTRY_BYTES, Readable, Window
from agent.sources.journal_fields import (
    Complaints,
    Interesting,
    Watch,
    as_said,
    is_interesting,
    micros_s,
    record_of,
)
from agent.sources.journal_names import WANTED
from agent.sources.unwrap import MAX_MESSAGE_CHARS

_MAX_FIELD_BYTES = 1 << 30  # a longer one is a torn length, not a value
_HEAD_BYTES = 4 * MAX_MESSAGE_CHARS  # kept of a binary value; UTF-8 needs up to 4 bytes
_BINARY_NAME = re.compile(rb"\n[A-Z0-9_]{1,64}\n")
_NAME = re.compile(rb"[A-Z0-9_]{1,64}")
_TIME = b"\n__REALTIME_TIMESTAMP="


def read_export(
    stream: Readable, where: str, interesting: Interesting | None = None
) -> Iterator[Record | BlindSpot]:
    """Every entry (that is interesting) as a Record, every fault as a BlindSpot."""
    return iter(ExportReader(stream, where, interesting))


class ExportReader:
    """One pass over an export stream; ``watch`` then knows its times and hosts."""

    def __init__(
        self, stream: Readable, where: str, interesting: Interesting | None = None
    ) -> None:
        self._window = Window(stream)
        self._where = where
        self._interesting = interesting
        self._complaints = Complaints(where)
        self.watch = Watch(self._complaints)

    def __iter__(self) -> Iterator[Record | BlindSpot]:
        window = self._window
        while True:
            binary = _BINARY_NAME.search(window.data, window.at - 1)
            limit = len(window.data) if binary is None else binary.start() + 1
            yield from self._plain_entries(limit)
            if binary is not None:
                yield from self._binary_entry()
            elif window.unread > MAX_ENTRY_BYTES:
                yield from self._complaints.say("an entry too long to read", window.offset)
                window.skip_to_entry()
            elif not window.more():
                break
        yield from self._last_entry()
        yield from self._complaints.rest()

    def _plain_entries(self, limit: int) -> Iterator[Record | BlindSpot]:
        """All complete entries before ``limit``: none of them has a binary field."""
        window = self._window
        data, start = window.data, window.at
        end = data.rfind(b"\n\n", start - 1, limit)
        if end < 0:
            return
        base = window.offset - start
        window.at = end + 2
        if self.watch.first_s is None:
            self.watch.first_s = _time_at(data, data.find(_TIME, start - 1, end))
        for begin, stop in self._wanted(data, start, end):
            if stop > begin:
                yield from self._told(_fields(data[begin:stop]), base + begin)
        last_s = _time_at(data, data.rfind(_TIME, start - 1, end))
        self.watch.last_s = last_s if last_s is not None else self.watch.last_s

    def _wanted(self, data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        test = self._interesting
        if isinstance(test, re.Pattern):
            yield from _around_matches(test, data, start, end)
            return
        begin = start
        while begin < end:
            stop = data.find(b"\n\n", begin, end)
            stop = end if stop < 0 else stop
            if test is None or test(data[begin:stop]):
                yield begin, stop
            begin = stop + 2

    def _told(self, fields: dict[str, str], offset: int) -> Iterator[Record | BlindSpot]:
        if not fields:
            yield from self._complaints.say("not a journal entry", offset)
            return
        record = record_of(fields, f"{self._where}@{offset}")
        yield from self.watch.see(record, offset)
        yield as_said(record)

    def _binary_entry(self) -> Iterator[Record | BlindSpot]:
        """The entry at the window's start, field by field, since one of them is binary."""
        window, offset = self._window, self._window.offset
        lines: list[bytes] = []
        fault = "an entry is cut short"
        while (line := window.line()) is not None:
            if not line:
                fault = ""
                break
            if b"=" not in line and _NAME.fullmatch(line):
                value = self._binary_value()
                if value is None:
                    fault = "a field with an impossible length"
                    break
                line = line + b"=" + value
            if line.partition(b"=")[0].decode("latin-1") in WANTED:
                lines.append(line)
        if fault:
            yield from self._complaints.say(fault, offset)
            window.skip_to_entry()
        if lines and is_interesting(self._interesting, b"\n".join(lines)):
            yield from self._told(_fields_of(lines), offset)

    def _binary_value(self) -> bytes | None:
        """The value after a field's name, cut to size; ``None`` if its length is wrong."""
        window = self._window
        length = int.from_bytes(window.take(8), "little")
        if length > _MAX_FIELD_BYTES:
            return None
        value = window.take(min(length, _HEAD_BYTES))
        window.skip(length - len(value))
        return value if window.take(1) == b"\n" else None

    def _last_entry(self) -> Iterator[Record | BlindSpot]:
        """What stands after the last empty line: an entry cut short, as files end in a crash."""
        window = self._window
        rest, offset = window.data[window.at :], window.offset
        if not rest.strip(b"\n"):
            return
        if not rest.endswith(b"\n"):
            yield from self._complaints.say("an entry is cut short", offset)
        if is_interesting(self._interesting, rest):
            yield from self._told(_fields(rest), offset)


def _fields(entry: bytes) -> dict[str, str]:
    """The wanted fields of an entry without binary ones; of a repeated field, the first."""
    fields: dict[str, str] = {}
    for line in entry.decode("utf-8", "replace").split("\n"):
        name, equals, value = line.partition("=")
        if name in WANTED and equals and name not in fields:
            fields[name] = value
    return fields


def _fields_of(lines: list[bytes]) -> dict[str, str]:
    """The fields of lines whose values may contain newlines."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(b"=")
        fields.setdefault(name.decode("latin-1"), value.decode("utf-8", "replace"))
    return fields


def _around_matches(
    pattern: re.Pattern[bytes], data: bytes, start: int, end: int
) -> Iterator[tuple[int, int]]:
    """Start and end of each entry in which the pattern is found; the others cost no Python."""
    begin = start
    while begin < end:
        match = pattern.search(data, begin, end)
        if match is None:
            return
        before = data.rfind(b"\n\n", begin - 1, match.start() + 1)
        begin = before + 2 if before >= 0 else begin
        stop = data.find(b"\n\n", max(begin, match.end() - 1), end)
        stop = end if stop < 0 else stop
        yield begin, stop
        begin = stop + 2


def _time_at(data: bytes, found: int) -> float | None:
    """Unix seconds of a time stamp's line at ``found`` (-1: there is none)."""
    if found < 0:
        return None
    begin = found + len(_TIME)
    return micros_s(data[begin : begin + 20].split(b"\n", 1)[0].decode("latin-1"))
