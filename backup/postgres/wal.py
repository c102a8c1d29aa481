"""WAL received beside the backup: a second replication connection that holds a temporary slot.

The slot exists before the backup begins, so nothing it needs can be recycled however slowly we
read; being temporary it goes with the connection, so a dead client retains no WAL.
"""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backup.abort import Abort
from backup.exits import Failure
from backup.postgres.session import Session
from backup.store.layout import Archive

_STATUS_EVERY_S = 10.0
_PG_EPOCH_S = 946_684_800
_END_PATIENCE_S = 120.0
_DATA_HEAD_BYTES = 25


def lsn_number(lsn: str) -> int:
    """Return a position as a number.

    >>> hex(lsn_number("1/2A000028"))
    '0x12a000028'
    """
    high, _, low = lsn.partition("/")
    return int(high, 16) << 32 | int(low, 16)


def lsn_text(number: int) -> str:
    """Return a position as the server writes it."""
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def segment_name(timeline: int, lsn: int, segment_bytes: int) -> str:
    """Return the name of the WAL file in which a position lies."""
    number = lsn // segment_bytes
    a_log = (1 << 32) // segment_bytes
    return f"{timeline:08X}{number // a_log:08X}{number % a_log:08X}"


@dataclass(frozen=True, slots=True)
class Segment:
    """One whole WAL file."""

    name: str
    data: bytes


class Cutter:
    """Cuts a run of WAL into whole files."""

    def __init__(self, timeline: int, from_lsn: int, segment_bytes: int) -> None:
        self._timeline = timeline
        self._segment_bytes = segment_bytes
        self._begins = from_lsn - from_lsn % segment_bytes
        self._held = bytearray()

    @property
    def begins(self) -> int:
        """Where the file under way begins: from here on nothing is safe yet."""
        return self._begins

    @property
    def reached(self) -> int:
        """Up to where WAL was received."""
        return self._begins + len(self._held)

    def feed(self, lsn: int, data: bytes) -> Iterator[Segment]:
        """Take what begins at a position, give the files it completes."""
        if lsn != self.reached:
            raise Failure(
                f"WAL is missing between {lsn_text(self.reached)} and {lsn_text(lsn)}",
                "run again; if it stays so, use --wal fetch",
            )
        self._held += data
        while len(self._held) >= self._segment_bytes:
            yield self._cut()

    def rest(self) -> Iterator[Segment]:
        """Give the last file, filled up with zeros as the server itself would."""
        if self._held:
            self._held += bytes(self._segment_bytes - len(self._held))
            yield self._cut()

    def _cut(self) -> Segment:
        name = segment_name(self._timeline, self._begins, self._segment_bytes)
        data = bytes(self._held[: self._segment_bytes])
        del self._held[: self._segment_bytes]
        self._begins += self._segment_bytes
        return Segment(name, data)


class WalStream:
    """Receives WAL on a thread from the backup's start to its end."""

    def __init__(
        self,
        session: Session,
        abort: Abort,
        keep: Callable[[str, bytes], Archive],
        segment_bytes: int,
    ) -> None:
        self._session = session
        self._abort = abort
        self._upload = keep
        self.kept: tuple[Archive, ...] = ()
        self.behind: Callable[[int], None] = lambda _kept_bytes: None
        """Is told how much WAL the server keeps back for us."""
        self._segment_bytes = segment_bytes
        self._until: int | None = None
        self._failure: Failure | None = None
        self._slot = f"knockon_{session.pid}"
        self._thread: threading.Thread | None = None

    def reserve(self) -> None:
        """Hold back WAL from now on; before the backup is ordered."""
        self._session.rows(f"CREATE_REPLICATION_SLOT {self._slot} TEMPORARY PHYSICAL RESERVE_WAL")

    def start(self, lsn: str, timeline: int) -> None:
        """Receive from the file in which the backup starts."""
        cutter = Cutter(timeline, lsn_number(lsn), self._segment_bytes)
        if timeline > 1:
            self._keep_history(timeline)
        self._session.send(
            f"START_REPLICATION SLOT {self._slot} PHYSICAL {lsn_text(cutter.begins)}"
            f" TIMELINE {timeline}"
        )
        self._session.begin_copy()
        self._thread = threading.Thread(target=self._run, args=(cutter,), name="wal", daemon=True)
        self._thread.start()

    def finish(self, lsn: str) -> None:
        """Wait until everything up to the backup's end is kept; raises when that fails."""
        self._until = lsn_number(lsn)
        thread = self._thread
        until_s = time.monotonic() + _END_PATIENCE_S
        while thread is not None and thread.is_alive() and time.monotonic() < until_s:
            thread.join(0.2)
            self._abort.check()
        if self._failure is not None:
            raise self._failure
        if thread is not None and thread.is_alive():
            raise Failure(
                f"the WAL up to {lsn} did not arrive within {_END_PATIENCE_S:.0f} s",
                "a standby that lags receives it later; run again, or --wal archived",
            )

    def close(self) -> None:
        """End the thread and the connection, and with it the slot."""
        self._until = 0
        if self._thread is not None:
            self._thread.join(10)
        self._session.close()

    def _keep(self, name: str, data: bytes) -> None:
        self.kept += (self._upload(name, data),)

    def _keep_history(self, timeline: int) -> None:
        [[name, content]] = self._session.rows(f"TIMELINE_HISTORY {timeline}")
        self._keep(name, content.encode())

    def _run(self, cutter: Cutter) -> None:
        try:
            self._receive(cutter)
        except Failure as failure:
            self._failure = failure
            self._abort.ask(failure)

    def _receive(self, cutter: Cutter) -> None:
        told_s = time.monotonic()
        while self._until is None or cutter.reached < self._until:
            message = self._session.receive()
            if message is None:
                raise Failure("the server ended the WAL stream", "its log says why; run again")
            asked = False
            if not message:
                self._session.wait()
            elif message[:1] == b"w":
                lsn = int.from_bytes(message[1:9], "big")
                self.behind(max(0, int.from_bytes(message[9:17], "big") - cutter.begins))
                for segment in cutter.feed(lsn, message[_DATA_HEAD_BYTES:]):
                    self._keep(segment.name, segment.data)
            elif message[:1] == b"k":
                asked = message[17:18] == b"\1"
                self.behind(max(0, int.from_bytes(message[1:9], "big") - cutter.begins))
            if asked or time.monotonic() - told_s >= _STATUS_EVERY_S:
                self._tell(cutter)
                told_s = time.monotonic()
        for segment in cutter.rest():
            self._keep(segment.name, segment.data)
        self._session.end_copy()

    def _tell(self, cutter: Cutter) -> None:
        """Say how far we are: what is kept need not be held back any more."""
        now_us = int((time.time() - _PG_EPOCH_S) * 1e6)  # noqa: TID251 - the protocol's own field
        kept = cutter.begins
        self._session.put(struct.pack(">cQQQQ?", b"r", cutter.reached, kept, 0, now_us, False))
