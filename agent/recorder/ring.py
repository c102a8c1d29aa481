"""The flight recorder's ring file: written on the host's tmpfs, whole after any kill -9.

Written with ``pwrite`` rather than through a mapping: what the kernel took survives the process
either way, a tmpfs that is full says ENOSPC instead of SIGBUS, and 8 MiB stay out of our RSS.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from agent.errors import UserError
from agent.model import BlindSpot, Probe
from agent.recorder.delta import Encoder
from agent.recorder.frame import Frame, PodName
from agent.recorder.ring_format import (
    HEAD_BYTES,
    RECORD,
    RING_BYTES,
    SLOT,
    SLOT_BYTES,
    Layout,
    What,
    layout_for,
    pack_head,
    pack_record,
    pack_slot,
    pack_words,
    read_head,
    read_slot,
    record_crc,
)
from agent.recorder.top_processes import TopProcesses, packed

_END = b"\0" * RECORD.size


class RingBusy(UserError):
    """Another recorder writes to this ring."""


class RingWriter:
    """Appends to a ring; goes on after a restart, and takes the place of what it cannot read."""

    def __init__(
        self, path: Path, size_bytes: int = RING_BYTES, slot_bytes: int = SLOT_BYTES
    ) -> None:
        self._fd = _opened(path)
        try:
            self._layout = _prepared(self._fd, layout_for(size_bytes, slot_bytes))
            self._lap, self._slot, self._at, self._now_ms = _last_place(self._fd, self._layout)
        except OSError:
            os.close(self._fd)
            raise
        self._encoder = Encoder()
        self._fresh = True  # the next frame must be a key frame
        self._names: dict[str, PodName] = {}
        self._notes: dict[bytes, None] = {}
        self.written_bytes = 0

    def add(self, frame: Frame) -> None:
        """Append one second."""
        self._now_ms = frame.at_ms
        if not self._fresh:
            payload = bytes((What.DELTA,)) + self._encoder.encode(frame)
            if self._fits(payload):
                self._append(payload)
                return
        self._add_key(frame)

    def _add_key(self, frame: Frame) -> None:
        self._encoder.reset()
        payload = bytes((What.KEY,)) + self._encoder.encode(frame)
        if not self._fits(payload):
            self._next_slot()
        if not self._fits(payload):
            raise ValueError(f"a frame of {len(payload)} bytes does not fit into a slot")
        self._append(payload)
        self._fresh = False

    def add_probe(self, probe: Probe) -> None:
        """Append one question to the runtime, also while it still waits for its answer."""
        numbers = (_ms(probe.at_s), _ms(probe.took_s), int(probe.answered))
        self._add_words(pack_words(What.PROBE, numbers, (probe.question,)))

    def add_note(self, spot: BlindSpot) -> None:
        """Append a blind spot; without times it is a limit of the method, kept in every slot."""
        numbers = (_ms(spot.from_s or 0.0), _ms(spot.to_s or 0.0))
        payload = pack_words(What.NOTE, numbers, (spot.source, spot.why))
        if numbers == (0, 0):
            if payload in self._notes:
                return
            self._notes[payload] = None
        self._add_words(payload)

    def add_processes(self, top: TopProcesses) -> None:
        """Append who moved most of late."""
        self._add_words(bytes((What.PROCESSES,)) + packed(top))

    def name_pod(self, uid: str, namespace: str, name: str) -> None:
        """Append a pod's name; a name that is already known is not written again."""
        if self._names.get(uid) == (namespace, name):
            return
        self._names[uid] = (namespace, name)
        self._add_words(_name(uid, (namespace, name)))

    def forget_pod(self, uid: str) -> None:
        """Stop repeating the name of a pod that has gone."""
        self._names.pop(uid, None)

    def close(self) -> None:
        """Close the file; it stays where it is."""
        os.close(self._fd)

    def _add_words(self, payload: bytes) -> None:
        if not self._fits(payload):
            self._next_slot()
        self._append(payload)

    def _fits(self, payload: bytes) -> bool:
        if not self._lap:
            return False
        return self._at + RECORD.size + len(payload) + len(_END) <= self._layout.slot_bytes

    def _append(self, payload: bytes) -> None:
        record = pack_record(payload, self._lap)
        offset = self._layout.offset(self._slot) + self._at
        _write(self._fd, record + _END, offset)
        self._at += len(record)
        self.written_bytes += len(record)

    def _next_slot(self) -> None:
        """Begin the next slot: unmake the old one first, so that no reader mixes two laps."""
        self._slot = (self._slot + 1) % self._layout.slots
        self._lap += 1
        self._at = SLOT.size
        self._fresh = True
        offset = self._layout.offset(self._slot)
        _write(self._fd, b"\0" * (SLOT.size + len(_END)), offset)
        _write(self._fd, pack_slot(self._lap, self._now_ms), offset)
        room = self._layout.slot_bytes // 4  # names are a help, not what the slot is for
        for payload in [*self._notes, *(_name(*known) for known in self._names.items())]:
            if self._fits(payload) and self._at < room:
                self._append(payload)


def _name(uid: str, known: PodName) -> bytes:
    return pack_words(What.NAME, (), (uid, *known))


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 0)


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however it ends
    except OSError as error:
        os.close(fd)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            hint = "stop the other agent on this node, or name another --ring"
            raise RingBusy(f"{path}: another recorder writes here", hint) from error
        raise
    return fd


def _prepared(fd: int, wanted: Layout) -> Layout:
    """Keep a ring of ours as it is, whatever size it has; begin anew over anything else."""
    found = read_head(os.pread(fd, HEAD_BYTES, 0))
    if found and os.fstat(fd).st_size == found.size_bytes == wanted.size_bytes:
        return found
    os.ftruncate(fd, 0)
    os.posix_fallocate(fd, 0, wanted.size_bytes)  # all of it now: later the node may have no room
    _write(fd, pack_head(wanted), 0)
    return wanted


def _last_place(fd: int, layout: Layout) -> tuple[int, int, int, int]:
    """Find lap, slot and offset at which an earlier recorder stopped, and the slot's time."""
    lap, slot, at_ms = 0, layout.slots - 1, 0
    for one in range(layout.slots):
        found = read_slot(os.pread(fd, SLOT.size, layout.offset(one)))
        if found and found[0] > lap:
            lap, slot, at_ms = found[0], one, found[1]
    end = _end_of(os.pread(fd, layout.slot_bytes, layout.offset(slot)), lap)
    return lap, slot, end, at_ms


def _end_of(data: bytes, lap: int) -> int:
    """Return where the sound records of a slot end: a torn one is written over."""
    at = SLOT.size
    while at + RECORD.size <= len(data):
        length, crc = RECORD.unpack_from(data, at)
        payload = data[at + RECORD.size : at + RECORD.size + length]
        if not length or len(payload) < length or crc != record_crc(payload, lap):
            break
        at += RECORD.size + length
    return at


def _write(fd: int, data: bytes, offset: int) -> None:
    """Write all of it: a signal may cut a pwrite short."""
    while data:
        done = os.pwrite(fd, data, offset)
        data, offset = data[done:], offset + done
