"""Tells whether the WAL that makes a backup consistent is all there, by name, size and first page.

`pg_waldump`, which `pg_verifybackup` calls, reads every record; this needs no program and no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from agent.printable import safe
from backup.fields import Malformed
from backup.postgres.manifest import WalRange
from backup.postgres.wal import lsn_number
from backup.store.layout import Published, WalMode

_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})")
_NAMES = re.compile(
    r"[0-9A-F]{24}(\.[0-9A-F]{8}\.backup|\.partial)?|[0-9A-F]{8}\.history"
    r"|archive_status/[0-9A-F.]+[a-z.]*|summaries/[0-9A-F]+\.summary"
)
_HEAD_BYTES = 16  # xlp_magic, xlp_info, xlp_tli, xlp_pageaddr (src/include/access/xlog_internal.h)


@dataclass(frozen=True, slots=True)
class _Segment:
    size_bytes: int
    head: bytes


@dataclass(slots=True)
class WalSeen:
    """The WAL files that went by."""

    segments: dict[str, _Segment] = field(default_factory=dict)

    def watch(self, name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """Let a file of pg_wal pass and remember what it is; refuse what no server puts there."""
        if _NAMES.fullmatch(name) is None:
            raise Malformed(f"pg_wal/{safe(name)} is no WAL")
        size_bytes, head = 0, b""
        for piece in pieces:
            if len(head) < _HEAD_BYTES:
                head = (head + piece)[:_HEAD_BYTES]
            size_bytes += len(piece)
            yield piece
        self.segments[name] = _Segment(size_bytes, head)

    def missing(self, ranges: Sequence[WalRange], published: Published) -> list[str]:
        """Say which WAL is not there, or is not what its name says."""
        if published.wal is WalMode.ARCHIVED:
            return []
        size_bytes = published.wal_segment_bytes
        return [
            wrong
            for needed in ranges
            for number in _numbers(needed, size_bytes)
            if (wrong := self._wrong(number, needed.timeline, size_bytes))
        ]

    def _wrong(self, number: int, timeline: int, segment_bytes: int) -> str:
        """A segment may bear an older timeline's name where a switch lies behind it."""
        names = {
            name: one
            for name, one in self.segments.items()
            if _number(name, segment_bytes) == number and int(name[:8], 16) <= timeline
        }
        if not names:
            return f"WAL from {number * segment_bytes:#x} on is missing, timeline {timeline}"
        for name, one in names.items():
            start = (number * segment_bytes).to_bytes(8, "little")
            if one.size_bytes != segment_bytes:
                return f"pg_wal/{name} has {one.size_bytes} bytes, not {segment_bytes}"
            if one.head[8:16] not in (start, start[::-1]):
                return f"pg_wal/{name} does not hold what its name says"
        return ""


def _numbers(needed: WalRange, segment_bytes: int) -> range:
    first = lsn_number(needed.start_lsn) // segment_bytes
    # A range that ends at a segment's first byte needs nothing of that segment.
    last = max(lsn_number(needed.end_lsn) - 1, 0) // segment_bytes
    return range(first, last + 1)


def _number(name: str, segment_bytes: int) -> int:
    parts = _SEGMENT.fullmatch(name)
    if parts is None:
        return -1
    return int(parts[2], 16) * ((1 << 32) // segment_bytes) + int(parts[3], 16)
