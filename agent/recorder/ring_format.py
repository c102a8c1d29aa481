"""How a ring file is laid out: a head, then slots of one size that are filled in turn.

    head   magic, version, slot size, number of slots, CRC                         (one page)
    slot   magic, lap number (grows for ever), time of its first record, CRC       (24 bytes)
           records: length, CRC, payload; a length of 0 ends the slot

A record's CRC starts from its slot's lap number, so what an earlier lap left behind never passes.
A slot's first frame is a key frame: each slot can be read alone. All numbers are little endian.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

from agent.recorder.varint import Cursor, put, put_text

MAGIC = b"KNOCKON RING 1\n\0"
SLOT_MAGIC = 0x544C534B
HEAD_BYTES = 4096
SLOT_BYTES = 256 * 1024
RING_BYTES = 8 * 1024 * 1024
MOST_SLOTS = 1024

HEAD = struct.Struct("<16sIII")
SLOT = struct.Struct("<IQqI")
_SLOT_BODY = struct.Struct("<IQq")
RECORD = struct.Struct("<II")


class What(IntEnum):
    """The first byte of a payload."""

    KEY = 1  # a frame that needs nothing before it
    DELTA = 2
    PROBE = 3
    NOTE = 4  # a blind spot, or, without times, what the method cannot see at all
    NAME = 5  # a pod's uid, namespace and name
    PROCESSES = 6  # who moved most between two looks (top_processes.py)


@dataclass(frozen=True, slots=True)
class Layout:
    """The geometry of one ring file."""

    slot_bytes: int = SLOT_BYTES
    slots: int = (RING_BYTES - HEAD_BYTES) // SLOT_BYTES

    @property
    def size_bytes(self) -> int:
        """The file's size, which never changes."""
        return HEAD_BYTES + self.slots * self.slot_bytes

    def offset(self, slot: int) -> int:
        """Where a slot starts."""
        return HEAD_BYTES + slot * self.slot_bytes


def layout_for(size_bytes: int, slot_bytes: int = SLOT_BYTES) -> Layout:
    """Return the layout of a ring that is not larger than asked for, with two slots at least."""
    return Layout(slot_bytes, max((size_bytes - HEAD_BYTES) // slot_bytes, 2))


def pack_head(layout: Layout) -> bytes:
    """Return the file's first bytes."""
    head = struct.pack("<16sII", MAGIC, layout.slot_bytes, layout.slots)
    return head + struct.pack("<I", zlib.crc32(head))


def read_head(data: bytes) -> Layout | None:
    """Return the layout a file names, or None when this is no ring of ours."""
    if len(data) < HEAD.size:
        return None
    magic, slot_bytes, slots, crc = HEAD.unpack_from(data)
    if magic != MAGIC or crc != zlib.crc32(data[: HEAD.size - 4]):
        return None
    if not (SLOT.size < slot_bytes <= 64 << 20 and 0 < slots <= MOST_SLOTS):
        return None
    return Layout(slot_bytes, slots)


def pack_slot(lap: int, at_ms: int) -> bytes:
    """Return a slot's first bytes."""
    body = _SLOT_BODY.pack(SLOT_MAGIC, lap, at_ms)
    return body + struct.pack("<I", zlib.crc32(body))


def read_slot(data: bytes, offset: int = 0) -> tuple[int, int] | None:
    """Return lap and first time of the slot at an offset, or None when none begins there."""
    if len(data) < offset + SLOT.size:
        return None
    magic, lap, at_ms, crc = SLOT.unpack_from(data, offset)
    sound = magic == SLOT_MAGIC and crc == zlib.crc32(data[offset : offset + SLOT.size - 4])
    return (lap, at_ms) if sound and lap else None


def pack_record(payload: bytes, lap: int) -> bytes:
    """Return a record with its length and CRC before it."""
    return RECORD.pack(len(payload), record_crc(payload, lap)) + payload


def record_crc(payload: bytes, lap: int) -> int:
    """Return the CRC of a payload in the slot of this lap."""
    return zlib.crc32(payload, lap & 0xFFFFFFFF)


def pack_words(what: What, numbers: tuple[int, ...], texts: tuple[str, ...]) -> bytes:
    """Return the payload of a record that is no frame: some numbers, some texts."""
    out = bytearray((what,))
    for number in numbers:
        put(out, number)
    for text in texts:
        put_text(out, text[:250])
    return bytes(out)


def read_words(payload: bytes, numbers: int, texts: int) -> tuple[list[int], list[str]]:
    """Return what ``pack_words`` packed; raises Damaged when it is something else."""
    cursor = Cursor(payload[1:])
    return [cursor.number() for _ in range(numbers)], [cursor.text() for _ in range(texts)]
