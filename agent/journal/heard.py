"""What the parent hears of its reader child: frames out of bytes, records out of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from agent.journal.wire import COLUMNS, CURSOR_LENGTH, HEAD, Say

MAX_FRAME_BYTES = 64 << 20  # a longer one is no frame of ours
_WIDTH = len(COLUMNS)
_SAYS = frozenset({Say.HELLO, Say.RECORDS, Say.BLIND, Say.CAUGHT_UP, Say.MISTAKE})


class Frame(NamedTuple):
    """One frame as it came; ``say`` is a member of ``Say``."""

    say: int
    body: bytes


class Unframed(ValueError):
    """Bytes that no reader of ours has written."""


def frames(data: bytearray) -> Iterator[Frame]:
    """Every complete frame at the start of ``data``, which loses it."""
    at = 0
    try:
        while len(data) - at >= HEAD.size:
            say, length = HEAD.unpack_from(data, at)
            if length > MAX_FRAME_BYTES or say not in _SAYS:
                raise Unframed(f"a frame of kind {say} and {length} bytes")
            end = at + HEAD.size + length
            if end > len(data):
                break
            yield Frame(say, bytes(data[at + HEAD.size : end]))
            at = end
    finally:
        del data[:at]


def unbatch(body: bytes) -> tuple[str, list[dict[str, str]]]:
    """The cursor and the fields of every record of a RECORDS frame."""
    (length,) = CURSOR_LENGTH.unpack_from(body)
    start = CURSOR_LENGTH.size + length
    cursor = body[CURSOR_LENGTH.size : start].decode("ascii", "replace")
    if start == len(body):
        return cursor, []
    values = body[start:].decode("utf-8", "replace").split("\0")
    if len(values) % _WIDTH:
        raise Unframed(f"{len(values)} columns")
    rows = [values[at : at + _WIDTH] for at in range(0, len(values), _WIDTH)]
    return cursor, [{k: v for k, v in zip(COLUMNS, row, strict=True) if v} for row in rows]
