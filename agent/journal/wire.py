"""What the journal's reader child says to its parent: small frames, each with its length in front.

A record is its columns in a fixed order with NUL between them; a batch of records is all their
columns in a row. ``heard.py`` is the parent's side, which takes a batch apart with one decode and
one split; this module is loaded by the child, so it imports next to nothing.
"""

from __future__ import annotations

import struct
from itertools import repeat

from agent.sources.journal_names import WANTED

TYPE_CHECKING = False  # for the type checker alone: `typing` would cost the child 0.6 MiB
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS = tuple(sorted(WANTED))
VALUE_BYTES = 65_536  # of one field; what is longer is cut, by libsystemd already

HEAD = struct.Struct("<BI")
CURSOR_LENGTH = struct.Struct("<H")
_WIDTH = len(COLUMNS)
_EMPTY = repeat(b"")
_REPLACEMENT = b"\xef\xbf\xbd"  # U+FFFD; its name would load all names there are
_HEX = frozenset("0123456789abcdef")


class Say:
    """What a frame is."""

    HELLO = 1  # the journal is open; the file name of the libsystemd that reads it
    RECORDS = 2  # a batch, and the cursor behind its last record
    BLIND = 3  # something that could not be read: why, from, to
    CAUGHT_UP = 4  # nothing more to read at this moment
    MISTAKE = 5  # the user's to mend: message, hint


def frame(say: int, body: bytes = b"") -> bytes:
    """One frame, ready to be written."""
    return HEAD.pack(say, len(body)) + body


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
    return CURSOR_LENGTH.pack(len(said)) + said + b"\0".join(rows)


def cursor_time_us(cursor: str) -> int | None:
    """The wall-clock time a cursor carries (``t=``, hexadecimal microseconds)."""
    for part in cursor.split(";")[1:]:
        name, _, value = part.partition("=")
        if name == "t" and 1 <= len(value) <= 16 and _HEX.issuperset(value):
            return int(value, 16)
    return None
