"""Integers in as few bytes as they need: seven bits a byte, signs folded in (zigzag)."""

from __future__ import annotations

import re

_LONGEST_BYTES = 10  # 70 bits: the difference of two 64-bit counters
_NUMBER = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


class Damaged(ValueError):
    """Bytes that no writer of ours has written."""


class Numbers(dict[bytes, int]):
    """What each run of bytes means; short ones, which are nearly all, are worked out once."""

    def __missing__(self, raw: bytes) -> int:
        if len(raw) > _LONGEST_BYTES:
            raise Damaged("a number does not end")
        value = sum((byte & 0x7F) << 7 * at for at, byte in enumerate(raw))
        if len(raw) < 3:
            self[raw] = value
        return value


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
        folded = self.number()
        return -(folded + 1 >> 1) if folded & 1 else folded >> 1

    def rest(self, known: Numbers) -> list[int]:
        """Read all numbers up to the end at once, much faster than one by one."""
        data = self._data[self._at :]
        if data and data[-1] > 0x7F:
            raise Damaged("a number does not end")
        self._at = len(self._data)
        return list(map(known.__getitem__, _NUMBER.findall(data)))

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
