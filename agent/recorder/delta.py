"""Codes frames as what changed since the frame before: pure, and able to start anywhere anew.

A *key frame* holds everything a reader needs; a delta frame holds new strings, rows that went, rows
that came, and of all others only the columns that moved. One coder and one reader keep the same
tables; ``reset`` empties both.

    at | strings+ | gone: places | new: kind's strings, values | moved: place, column mask, values
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import TypeAlias

from agent.recorder.frame import PART, WIDTHS, Frame, Key, Row, Rows, is_key
from agent.recorder.varint import NUMBER, Cursor, Damaged, Known, put, put_signed, put_text

MOST_ROWS = 4096
MOST_STRINGS = 65536
_LONGEST_KEY = 6
_NOBODY_CAME_OR_WENT = b"\0\0"


class Encoder:
    """Writes frames; remembers the last one."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next frame is a key frame."""
        self._strings: dict[str, int] = {}
        self._places: dict[Key, int] = {}
        self._last: dict[Key, Row] = {}
        self._next = 0
        self._at_ms = 0

    def encode(self, frame: Frame) -> bytes:
        """Return the frame's payload and take it as the new base."""
        out = bytearray()
        put_signed(out, frame.at_ms - self._at_ms)
        self._at_ms = frame.at_ms
        rows, last = frame.rows, self._last
        moved = bytearray()
        count, place_before = 0, 0
        born: list[Key] = []
        for key, row in rows.items():
            old = last.get(key)
            if old is None:
                born.append(key)
            elif row is not old and row != old:
                place = self._places[key]
                put_signed(moved, place - place_before)
                place_before = place
                _put_changes(moved, old, row)
                count += 1
        gone = [key for key in last if key not in rows] if len(rows) - len(born) < len(last) else []
        self._put_strings(out, born)
        self._put_gone(out, gone)
        self._put_born(out, born, rows)
        put(out, count)
        self._last = dict(rows)
        return bytes(out + moved)

    def _put_strings(self, out: bytearray, born: list[Key]) -> None:
        new = [text for key in born for text in key if text not in self._strings]
        new = list(dict.fromkeys(new))
        put(out, len(new))
        for text in new:
            self._strings[text] = len(self._strings)
            put_text(out, text)

    def _put_gone(self, out: bytearray, gone: list[Key]) -> None:
        put(out, len(gone))
        for key in gone:
            put(out, self._places.pop(key))

    def _put_born(self, out: bytearray, born: list[Key], rows: Mapping[Key, Row]) -> None:
        put(out, len(born))
        for key in born:
            self._places[key] = self._next
            self._next += 1
            put(out, len(key))
            for text in key:
                put(out, self._strings[text])
            for value in rows[key]:
                put(out, value)


def _put_changes(out: bytearray, old: Row, row: Row) -> None:
    mask = 0
    values = bytearray()
    for at, (before, after) in enumerate(zip(old, row, strict=True)):
        if before != after:
            mask |= 1 << at
            put_signed(values, after - before)
    put(out, mask)
    out += values


Wanted: TypeAlias = Callable[[Key], bool]


def every_row(_: Key) -> bool:
    """Want all of them."""
    return True


def no_part(key: Key) -> bool:
    """Want no single containers: two of three rows on a usual node."""
    return key[0] != PART


class Decoder:
    """Reads frames in the order they were written; raises Damaged at what cannot be.

    Rows that nobody wants are passed over, and so are their numbers. All tables are lists by place.
    """

    def __init__(self, known: Known | None = None, wanted: Wanted = every_row) -> None:
        self._numbers = Known() if known is None else known
        self._wanted = wanted
        self._strings: list[str] = []
        self._keys: list[Key | None] = []  # none: gone
        self._rows: list[Row | None] = []  # empty: gone; none: not wanted
        self._known: set[Key] = set()
        self._shown: tuple[tuple[Key, ...], list[int]] | None = None  # names and their places
        self._at_ms = 0

    def decode(self, payload: bytes) -> Frame:
        """Return the next frame; its unchanged rows are the same tuples as before."""
        cursor = Cursor(payload)
        self._at_ms += cursor.signed()
        for _ in range(cursor.below(MOST_STRINGS - len(self._strings))):
            self._strings.append(cursor.text())
        try:
            if not cursor.skip(_NOBODY_CAME_OR_WENT):
                numbers = cursor.numbers(self._numbers.plain)
                cursor.step(self._read_born(numbers, self._read_gone(numbers)))
            self._read_moved(cursor)
        except IndexError:
            raise Damaged("a row or a column that never was") from None
        names, places = self._shown or self._show()
        return Frame(self._at_ms, Rows(names, tuple([self._rows[at] or () for at in places])))

    def _show(self) -> tuple[tuple[Key, ...], list[int]]:
        places = [place for place, row in enumerate(self._rows) if row]
        names = tuple(key for place in places if (key := self._keys[place]))
        self._shown = names, places
        return self._shown

    def _read_gone(self, numbers: list[int]) -> int:
        end = 1 + _below(numbers[0], len(self._known) + 1)
        for place in numbers[1:end]:
            key = self._keys[place]
            if key is None:
                raise Damaged("a row went that never was")
            self._known.discard(key)
            self._keys[place] = self._shown = None
            self._rows[place] = ()
        return end

    def _read_born(self, numbers: list[int], at: int) -> int:
        count = _below(numbers[at], MOST_ROWS - len(self._known))
        at += 1
        for _ in range(count):
            end = at + 1 + _below(numbers[at], _LONGEST_KEY + 1)
            key = tuple(self._strings[place] for place in numbers[at + 1 : end])
            if not is_key(key) or key in self._known:
                raise Damaged("a row of no known kind")
            width = WIDTHS[key[0]]
            at = end + width
            row = tuple(numbers[end:at])
            if len(row) < width:
                raise Damaged("a row does not end")
            self._known.add(key)
            self._keys.append(key)
            self._rows.append(row if self._wanted(key) else None)
            self._shown = None
        return at

    def _read_moved(self, cursor: Cursor) -> None:
        """Apply what moved: a hundred rows a second, so the bytes are cut into rows at once."""
        count = cursor.below(len(self._known) + 1)
        found = cursor.rest(_moved_row())
        if len(found) != count:
            raise Damaged("rows that are none")
        place, rows, numbers = 0, self._rows, self._numbers.signed
        for step, body in found:
            place += numbers[step]
            if place < 0:
                raise Damaged("a row moved that never was")
            row = rows[place]
            if row is None:
                continue
            new, mask, at = list(row), body[0], 1
            if mask > 0x7F:
                mask, at = mask & 0x7F | body[1] << 7, 2
            for column, moved in zip(_COLUMNS[mask], NUMBER.findall(body, at), strict=True):
                new[column] += numbers[moved]
            rows[place] = tuple(new)


@cache
def _moved_row() -> re.Pattern[bytes]:
    """Match one row that moved: its step, and its column mask with a value for each bit of that.

    How many numbers a row has says its mask alone, so every count of bits is a branch of its own.
    A byte that is in no row matches as well, with nothing in it: a row more than there can be.
    """
    value = NUMBER.pattern
    low = [bytes(bits for bits in range(128) if bits.bit_count() == ones) for ones in range(8)]
    high = [bytes(bits for bits in range(1, 32) if bits.bit_count() == ones) for ones in range(6)]
    one_byte = [_any_of(low[ones]) + value * ones for ones in range(1, 8)]
    two_bytes = [
        _any_of(bytes(0x80 | bits for bits in low[ones]))
        + b"(?:%s)" % b"|".join(_any_of(high[more]) + value * (ones + more) for more in range(1, 6))
        for ones in range(8)
    ]
    return re.compile(b"(%s)(%s)|[\\x00-\\xff]" % (value, b"|".join(one_byte + two_bytes)))


def _any_of(some: bytes) -> bytes:
    return b"[%s]" % b"".join(b"\\x%02x" % one for one in some)


def _below(value: int, limit: int) -> int:
    """Check a number that counts, or is a place in a table."""
    if value >= limit:
        raise Damaged(f"{value} is not below {limit}")
    return value


class _Columns(dict[int, tuple[int, ...]]):
    """Which columns a mask names, each mask worked out once."""

    def __missing__(self, mask: int) -> tuple[int, ...]:
        columns = tuple(column for column in range(mask.bit_length()) if mask >> column & 1)
        self[mask] = columns
        return columns


_COLUMNS = _Columns()  # at most one for each mask of the widest row
