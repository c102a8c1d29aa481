"""A ring file as it lies there: which slots it has, and the records in them, one slot at a time.

Only one slot is ever in memory. What the writer begins anew meanwhile is passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.errors import UserError
from agent.recorder.ring_format import (
    HEAD_BYTES,
    RECORD,
    SLOT,
    Layout,
    read_head,
    read_slot,
    record_crc,
)

_LARGEST_BYTES = 256 << 20

Read = Callable[[int, int], bytes]  # so many bytes from here, or what there is of them


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a slot lies, and when it was begun."""

    lap: int
    at_ms: int
    offset: int


@dataclass(slots=True)
class RingFile:
    """One ring to be read; ``faults`` says what of its outer form is damaged."""

    size_bytes: int
    read: Read
    layout: Layout
    faults: list[str] = field(default_factory=list)
    lapped: bool = False  # a slot was begun anew while others were read

    def slots(self) -> list[Slot]:
        """Find the slots that were begun, in order."""
        if self.size_bytes < self.layout.size_bytes:
            why = f"{self.size_bytes} of {self.layout.size_bytes} bytes"
            self.faults.append(f"the ring is cut off: {why}")
        found: list[Slot] = []
        for number in range(self.layout.slots):
            offset = self.layout.offset(number)
            head = self.read(offset, SLOT.size)
            if begun := read_slot(head):
                found.append(Slot(*begun, offset))
            elif any(head):
                self.faults.append(f"slot {number} of the ring is damaged")
        return sorted(found, key=lambda slot: slot.lap)

    def records(self, slot: Slot) -> Iterator[bytes | None]:
        """Give a slot's payloads in order; None for one whose bytes are not what was written."""
        data = self.read(slot.offset, self.layout.slot_bytes)
        if read_slot(data) != (slot.lap, slot.at_ms):
            self.lapped = True
            return
        at = SLOT.size
        while at + RECORD.size <= len(data):
            length, crc = RECORD.unpack_from(data, at)
            at += RECORD.size
            if not length:
                return
            payload = data[at : at + length]
            at += length
            if len(payload) < length:
                yield None
                return
            yield payload if crc == record_crc(payload, slot.lap) else None


@contextmanager
def opened(source: Path | bytes) -> Iterator[RingFile]:
    """Open a ring, or take one that is in memory; raises UserError when it is none."""
    if isinstance(source, bytes):
        yield _ring(len(source), lambda at, size: source[at : at + size])
        return
    with source.open("rb") as file:
        number = file.fileno()
        size_bytes = os.fstat(number).st_size
        if not HEAD_BYTES <= size_bytes <= _LARGEST_BYTES:
            hint = "a ring is 8 MiB unless made otherwise"
            raise UserError(f"{source}: not a recorder ring", hint)
        yield _ring(size_bytes, lambda at, size: os.pread(number, size, at))


def _ring(size_bytes: int, read: Read) -> RingFile:
    layout = read_head(read(0, HEAD_BYTES)) or _guessed(read)
    if layout is None:
        raise UserError("not a recorder ring", "rings are written by `knockon record run`")
    return RingFile(size_bytes, read, layout)


def _guessed(read: Read) -> Layout | None:
    """Take the usual layout for a ring whose head alone is damaged."""
    usual = Layout()
    starts = (usual.offset(number) for number in range(usual.slots))
    return usual if any(read_slot(read(offset, SLOT.size)) for offset in starts) else None
