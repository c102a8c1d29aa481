"""The part of a journal export stream that is in memory, and moving through it."""

from __future__ import annotations

import re
from typing import Protocol

CHUNK_BYTES = 1 << 20
MAX_ENTRY_BYTES = 16 << 20

_ENTRY_START = re.compile(rb"\n\n+(?=__(?:CURSOR|REALTIME_TIMESTAMP)=)")
_LONGEST_START_BYTES = 64


class Readable(Protocol):
    """A binary stream, already decompressed."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class Window:
    """``data[at:]`` is unread; a newline always stands before it.

    That newline lets one pattern find a line at the start of the window as well as any other.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._gone = -1  # bytes of the stream before ``data``, less the newline put in front
        self._ended = False
        self.data = b"\n"
        self.at = 1

    @property
    def offset(self) -> int:
        """Where in the stream ``at`` stands."""
        return self._gone + self.at

    @property
    def unread(self) -> int:
        """Bytes in memory not yet read."""
        return len(self.data) - self.at

    def more(self) -> bool:
        """Forget what was read and read on; false at the end of the stream."""
        chunk = b"" if self._ended else self._stream.read(CHUNK_BYTES)
        if not chunk:
            self._ended = True
            return False
        self._gone += self.at - 1
        self.data = b"\n" + self.data[self.at :] + chunk
        self.at = 1
        return True

    def line(self) -> bytes | None:
        """The next line without its newline; ``None`` if it does not end (in reasonable length)."""
        searched = self.at
        while (end := self.data.find(b"\n", searched)) < 0:
            searched = 1 + self.unread  # where the bytes to come will begin
            if self.unread > MAX_ENTRY_BYTES or not self.more():
                return None
        found = self.data[self.at : end]
        self.at = end + 1
        return found

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, fewer at the end of the stream."""
        while self.unread < count and self.more():
            pass
        found = self.data[self.at : self.at + count]
        self.at += len(found)
        return found

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes without keeping them."""
        while count > self.unread:
            count -= self.unread
            self.at = len(self.data)
            if not self.more():
                return
        self.at += count

    def skip_to_entry(self) -> None:
        """Pass over everything up to what looks like the start of an entry."""
        while True:
            match = _ENTRY_START.search(self.data, self.at - 1)
            if match is not None:
                self.at = match.end()
                return
            self.at = max(self.at, len(self.data) - _LONGEST_START_BYTES)
            if not self.more():
                self.at = len(self.data)
                return
