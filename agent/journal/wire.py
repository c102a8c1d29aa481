"""What the journal's reader child says to its parent: small frames, each with its length in front.

A record is its columns in a fixed order with NUL between them; a batch of records is all their
columns in a row. The parent takes a batch apart with one decode and one split.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import repeat
from typing import NamedTuple

from agent.sources.journal_names import WANTED

COLUMNS = tuple(sorted(WANTED))
VALUE_BYTES = 65_536  # of one field; what is longer is cut, by libsystemd already
MAX_FRAME_BYTES = 64 << 20  # a longer one is no frame of ours

_CURSOR_TIME = re.compile(r";t=([0-9a-f]{1,16})(?:;|$)")
_HEAD = struct.Struct("<BI")
_CURSOR_LENGTH = struct.Struct("<H")
_WIDTH = len(COLUMNS)
_EMPTY = repeat(b"")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}".encode()


class Say(IntEnum):
    """What a frame is."""

    HELLO = 1  # the journal is open; the file name of the libsystemd that reads it
    RECORDS = 2  # a batch, and the cursor behind its last record
    BLIND = 3  # something that could not be read: why, from, to
    CAUGHT_UP = 4  # nothing more to read at this moment
    MISTAKE = 5  # the user's to mend: message, hint


class Frame(NamedTuple):
    """One frame as it came."""

    say: Say
    body: bytes


class Unframed(ValueError):
    """Bytes that no reader of ours has written."""


def frame(say: Say, body: bytes = b"") -> bytes:
    """One frame, ready to be written."""
    return _HEAD.pack(say, len(body)) + body


def frames(data: bytearray) -> Iterator[Frame]:
    """Every complete frame at the start of ``data``, which loses it."""
    at = 0
    try:
        while len(data) - at >= _HEAD.size:
            say, length = _HEAD.unpack_from(data, at)
            if length > MAX_FRAME_BYTES or say not in Say.__members__.values():
                raise Unframed(f"a frame of kind {say} and {length} bytes")
            end = at + _HEAD.size + length
            if end > len(data):
                break
            yield Frame(Say(say), bytes(data[at + _HEAD.size : end]))
            at = end
    finally:
        del data[:at]


def texts(*parts: str) -> bytes:
    """A few words, one after the other."""
    return "\0".join(parts).encode("utf-8", "replace")


def columns_of(entry: Mapping[str, bytes | list[bytes]]) -> bytes:
    """The columns of one entry; of a repeated field the first, and no NUL within a value."""
    try:
        row = b"\0".join(map(entry.get, COLUMNS, _EMPTY))  # type: ignore[arg-type]
    except TypeError:
        row = b"\0".join(_single(entry.get(name, b"")) for name in COLUMNS)
    if row.count(0) != _WIDTH - 1:
        values = (_single(entry.get(name, b"")) for name in COLUMNS)
        row = b"\0".join(value.replace(b"\0", _REPLACEMENT) for value in values)
    return row


def _single(value: bytes | list[bytes]) -> bytes:
    return value[0] if isinstance(value, list) else value


def batch(cursor: str, rows: Sequence[bytes]) -> bytes:
    """The body of a RECORDS frame."""
    said = cursor.encode()
    return _CURSOR_LENGTH.pack(len(said)) + said + b"\0".join(rows)


def unbatch(body: bytes) -> tuple[str, list[dict[str, str]]]:
    """The cursor and the fields of every record of a RECORDS frame."""
    (length,) = _CURSOR_LENGTH.unpack_from(body)
    start = _CURSOR_LENGTH.size + length
    cursor = body[_CURSOR_LENGTH.size : start].decode("ascii", "replace")
    if start == len(body):
        return cursor, []
    values = body[start:].decode("utf-8", "replace").split("\0")
    if len(values) % _WIDTH:
        raise Unframed(f"{len(values)} columns")
    rows = [values[at : at + _WIDTH] for at in range(0, len(values), _WIDTH)]
    return cursor, [{k: v for k, v in zip(COLUMNS, row, strict=True) if v} for row in rows]


def cursor_time_us(cursor: str) -> int | None:
    """The wall-clock time a cursor carries (``t=``, hexadecimal microseconds)."""
    found = _CURSOR_TIME.search(cursor)
    return int(found[1], 16) if found else None
