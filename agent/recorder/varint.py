"""Integers in as few bytes as they need: seven bits a byte, signs folded in (zigzag)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LONGEST_BYTES = 10  # 70 bits: the difference of two 64-bit counters
NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


class Damaged(ValueError):
    """Bytes that no writer of ours has written."""


class Numbers(dict[bytes, int]):
    """What each run of bytes means; short ones, which are nearly all, are worked out once."""

    def __init__(self, *, signed: bool = False) -> None:
        super().__init__()
        self._signed = signed

    def __missing__(self, raw: bytes) -> int:
        if not 0 < len(raw) <= _LONGEST_BYTES:
            raise Damaged("a number does not end")
        if len(raw) == 3:  # most of those that are not remembered
            value = raw[0] & 0x7F | (raw[1] & 0x7F) << 7 | raw[2] << 14
        else:
            value = 0
            for byte in reversed(raw):
                value = value << 7 | byte & 0x7F
        value = unfolded(value) if self._signed else value
        if len(raw) < 3:
            self[raw] = value
        return value


@dataclass(frozen=True, slots=True)
class Known:
    """Both, for all who read the same ring."""

    plain: Numbers = field(default_factory=Numbers)
    signed: Numbers = field(default_factory=lambda: Numbers(signed=True))


def unfolded(folded: int) -> int:
    """Give 0, -1, 1, -2 for 0, 1, 2, 3."""
    return -(folded + 1 >> 1) if folded & 1 else folded >> 1


def put(out: bytearray, value: int) -> None:
    """Append a number that is not negative."""
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append a number of either sign: 0, -1, 1, -2 become 0, 1, 2, 3."""
    put(out, value << 1 if value >= 0 else (-value << 1) - 1)


def put_text(out: bytearray, text: str) -> None:
    """Append a text with its length before it."""
    raw = text.encode("utf-8", "replace")
    put(out, len(raw))
    out += raw


class Cursor:
    """Reads what was put, in the same order; raises Damaged at anything else."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def done(self) -> bool:
        """Say whether everything was read."""
        return self._at >= len(self._data)

    def number(self) -> int:
        """Read a number that is not negative."""
        data, at = self._data, self._at
        value = shift = 0
        for byte in data[at : at + _LONGEST_BYTES]:
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                self._at = at + shift // 7
                return value
        raise Damaged("a number does not end")

    def signed(self) -> int:
        """Read a number of either sign."""
        return unfolded(self.number())

    def skip(self, expected: bytes) -> bool:
        """Pass over these bytes if they are what comes next."""
        found = self._data.startswith(expected, self._at)
        self._at += len(expected) if found else 0
        return found

    def numbers(self, known: Numbers) -> list[int]:
        """Look at all numbers up to the end at once, much faster than one by one."""
        return list(map(known.__getitem__, NUMBER.findall(self._data, self._at)))

    def step(self, count: int) -> None:
        """Pass over so many numbers."""
        found = NUMBER.findall(self._data, self._at)
        self._at += sum(map(len, found[:count]))

    def rest(self, row: re.Pattern[bytes]) -> list[tuple[bytes, bytes]]:
        """Read all there is as rows of two parts, of a pattern that matches at every byte."""
        found: list[tuple[bytes, bytes]] = row.findall(self._data, self._at)
        self._at = len(self._data)
        return found

    def below(self, limit: int) -> int:
        """Read a number that must be smaller than ``limit``: counts and places in tables."""
        value = self.number()
        if value >= limit:
            raise Damaged(f"{value} is not below {limit}")
        return value

    def text(self, longest_bytes: int = 1024) -> str:
        """Read a text."""
        size = self.below(longest_bytes + 1)
        raw = self._data[self._at : self._at + size]
        if len(raw) < size:
            raise Damaged("a text does not end")
        self._at += size
        return raw.decode("utf-8", "replace")
