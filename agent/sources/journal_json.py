"""Reads ``journalctl -o json`` in its variants: lines, pretty, json-seq, json-sse, an array.

A value is a string, a list of strings (the field was repeated), a list of numbers (not UTF-8) or
null (longer than 4096 bytes and ``--all`` was not given).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from agent.model import BlindSpot, Record
from agent.sources.journal_fields import (
    Complaints,
    Interesting,
    Watch,
    as_said,
    is_interesting,
    record_of,
)
from agent.sources.journal_names import WANTED

MAX_ENTRY_BYTES = 16 << 20
_FRAMES = b"\x1e \t\r\n,[]"  # record separators of json-seq and of an array
_TOO_LONG = "an entry too long to read"


class Lines(Protocol):
    """A binary stream read line by line, already decompressed."""

    def readline(self, limit: int, /) -> bytes:
        """The next line, cut at ``limit`` bytes; none at the end."""


def read_json(
    stream: Lines, where: str, interesting: Interesting | None = None
) -> Iterator[Record | BlindSpot]:
    """Every entry (that is interesting) as a Record, every fault as a BlindSpot."""
    return iter(JsonReader(stream, where, interesting))


class JsonReader:
    """One pass over JSON entries; ``watch`` then knows the first and last time and the hosts."""

    def __init__(self, stream: Lines, where: str, interesting: Interesting | None = None) -> None:
        self._stream = stream
        self._where = where
        self._interesting = interesting
        self._complaints = Complaints(where)
        self.watch = Watch(self._complaints)

    def __iter__(self) -> Iterator[Record | BlindSpot]:
        for number, raw in self._entries():
            if not raw:
                yield from self._complaints.say(_TOO_LONG, number)
            elif is_interesting(self._interesting, raw):
                yield from self._told(raw, number)
        yield from self._complaints.rest()

    def _entries(self) -> Iterator[tuple[int, bytes]]:
        """Line number and bytes of each entry; no bytes for one that is too long."""
        pretty: list[bytes] = []  # the lines of an entry that is spread over several
        size = number = 0
        while line := self._stream.readline(MAX_ENTRY_BYTES):
            number += 1
            if len(line) == MAX_ENTRY_BYTES:
                self._finish_line()
                line = b""
            bare = line.strip(_FRAMES).removeprefix(b"data: ")
            if bare == b"{" and not pretty:
                pretty, size = [bare], 0
            elif pretty:
                pretty.append(line)
                size += len(line)
                if bare == b"}" or size > MAX_ENTRY_BYTES:
                    yield number, b"".join(pretty).rstrip(_FRAMES) if bare == b"}" else b""
                    pretty = []
            elif bare or not line:
                yield number, bare
        if pretty:
            yield number, b"".join(pretty)

    def _finish_line(self) -> None:
        while (more := self._stream.readline(MAX_ENTRY_BYTES)) and not more.endswith(b"\n"):
            pass

    def _told(self, raw: bytes, number: int) -> Iterator[Record | BlindSpot]:
        try:
            entry = json.loads(raw.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            entry = None
        fields = _fields(entry) if isinstance(entry, dict) else {}
        if not fields:
            yield from self._complaints.say("not a journal entry", number)
            return
        if "MESSAGE" in entry and entry["MESSAGE"] is None:
            why = "a message was left out by journalctl (use --all)"
            yield from self._complaints.say(why, number)
        record = record_of(fields, f"{self._where}:{number}")
        yield from self.watch.see(record, number)
        yield as_said(record)


def _fields(entry: dict[str, object]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name in WANTED & entry.keys():
        value = _text(entry[name])
        if value is not None:
            fields[name] = value
    return fields


def _text(value: object) -> str | None:
    """A field's text; of a repeated field the first, of bytes what can be read."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, list) or not value:
        return None
    if _is_bytes(value):
        return bytes(value).decode("utf-8", "replace")
    first = value[0]
    return None if isinstance(first, list) and not _is_bytes(first) else _text(first)


def _is_bytes(value: list[object]) -> bool:
    return bool(value) and all(isinstance(item, int) and 0 <= item < 256 for item in value)
