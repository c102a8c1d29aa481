"""Codes frames as what changed since the frame before: pure, and able to start anywhere anew.

A *key frame* holds everything a reader needs; a delta frame holds new strings, rows that went, rows
that came, and of all others only the columns that moved. One coder and one reader keep the same
tables; ``reset`` empties both.

    at | strings+ | gone: places | new: kind's strings, values | moved: place, column mask, values
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from agent.recorder.frame import PART, WIDTHS, Frame, Key, Row, is_key
from agent.recorder.varint import Cursor, Damaged, Numbers, put, put_signed, put_text

MOST_ROWS = 4096
MOST_STRINGS = 65536
_LONGEST_KEY = 6


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


class Decoder:
    """Reads frames in the order they were written; raises Damaged at what cannot be.

    Without ``parts``, rows of single containers, two of three on a usual node, are passed over.
    """

    def __init__(self, numbers: Numbers | None = None, *, parts: bool = True) -> None:
        self._numbers = Numbers() if numbers is None else numbers
        self._strings: list[str] = []
        self._keys: dict[int, Key] = {}  # by place
        self._known: set[Key] = set()
        self._rows: dict[Key, Row] = {}
        self._next = 0
        self._at_ms = 0
        self._parts = parts

    def decode(self, payload: bytes) -> Frame:
        """Return the next frame; its unchanged rows are the same tuples as before."""
        cursor = Cursor(payload)
        self._at_ms += cursor.signed()
        for _ in range(cursor.below(MOST_STRINGS - len(self._strings))):
            self._strings.append(cursor.text())
        numbers = cursor.rest(self._numbers)
        try:
            at = self._read_gone(numbers)
            at = self._read_born(numbers, at)
            at = self._read_moved(numbers, at)
        except IndexError:
            raise Damaged("a frame does not end") from None
        if at != len(numbers):
            raise Damaged("bytes after the end of a frame")
        return Frame(self._at_ms, dict(self._rows))

    def _read_gone(self, numbers: list[int]) -> int:
        end = 1 + _below(numbers[0], len(self._keys) + 1)
        for at in range(1, end):
            key = self._keys.pop(numbers[at], None)
            if key is None:
                raise Damaged("a row went that never was")
            self._known.discard(key)
            self._rows.pop(key, None)
        return end

    def _read_born(self, numbers: list[int], at: int) -> int:
        count = _below(numbers[at], MOST_ROWS - len(self._keys))
        at += 1
        for _ in range(count):
            end = at + 1 + _below(numbers[at], _LONGEST_KEY + 1)
            key = tuple(self._strings[place] for place in numbers[at + 1 : end])
            if not is_key(key) or key in self._known:
                raise Damaged("a row of no known kind")
            at = end + WIDTHS[key[0]]
            row = tuple(numbers[end:at])
            if len(row) < WIDTHS[key[0]]:
                raise Damaged("a row does not end")
            self._keys[self._next] = key
            self._known.add(key)
            self._next += 1
            if self._parts or key[0] != PART:
                self._rows[key] = row
        return at

    def _read_moved(self, numbers: list[int], at: int) -> int:
        count = _below(numbers[at], len(self._keys) + 1)
        at += 1
        place, rows, keys = 0, self._rows, self._keys
        for _ in range(count):
            folded, mask = numbers[at], numbers[at + 1]
            at += 2
            place += -(folded + 1 >> 1) if folded & 1 else folded >> 1  # inline: 100 rows a second
            key = keys.get(place)
            if key is None:
                raise Damaged("a row moved that never was")
            if mask >> WIDTHS[key[0]]:
                raise Damaged("a column moved that no row has")
            end = at + mask.bit_count()
            if key in rows:
                row = list(rows[key])
                for column, moved in zip(_columns(mask), numbers[at:end], strict=False):
                    row[column] += -(moved + 1 >> 1) if moved & 1 else moved >> 1
                rows[key] = tuple(row)
            at = end
        return at


def _below(value: int, limit: int) -> int:
    """Check a number that counts, or is a place in a table."""
    if value >= limit:
        raise Damaged(f"{value} is not below {limit}")
    return value


@cache
def _columns(mask: int) -> tuple[int, ...]:
    return tuple(column for column in range(mask.bit_length()) if mask >> column & 1)
