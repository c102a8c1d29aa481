"""Follows one open journal: where to begin, what to read, when it has seen everything.

A long backlog is read with matches for values the journal has (each further one costs time at every
step); from then on with all of them, since a unit may speak for the first time.
"""

from __future__ import annotations

import errno
import time

from agent.journal.wire import Say, batch, columns_of, cursor_time_us, frame, texts
from agent.sources.kernel_time import said_at_us

TYPE_CHECKING = False  # for the type checker alone: `typing` would cost the child 0.6 MiB
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.journal.handle import Entry, JournalHandle
    from agent.journal.plan import Plan

BATCH_ROWS = 256
BATCH_BYTES = 256 << 10
PROCESS_EVERY = 1024  # entries; as journalctl does, so that rotated files are let go
GLOBS_EVERY_S = 30.0
GLOBS_LOOK_BACK_US = 60_000_000
REOPEN_UNWATCHED_S = 5.0
FAULTS_IN_A_ROW = 100
CLOCK_MARGIN_US = 1_000_000  # between an entry's stamp and the moment it can be read
# What a file gives that is vacuumed, rotated or torn under the reader (systemd#43649).
FILE_IS_GONE = frozenset(
    {
        errno.EBADMSG,
        errno.EADDRNOTAVAIL,
        errno.EIDRM,
        errno.EIO,
        errno.ENOENT,
        errno.ESTALE,
        errno.ENODATA,
    }
)
_NONE: frozenset[str] = frozenset()


class Place:
    """Where to begin: behind a cursor, else at a time, else at the start or the end."""

    __slots__ = ("cursor", "from_start", "since_us")

    def __init__(
        self, cursor: str = "", since_us: int | None = None, *, from_start: bool = False
    ) -> None:
        self.cursor = cursor
        self.since_us = since_us
        self.from_start = from_start

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[str, int | None, bool]:
        return self.cursor, self.since_us, self.from_start


class Tail:
    """One pass over one open journal; ``place`` is where the next one goes on."""

    def __init__(
        self, reader: JournalHandle, plan: Plan, write: Callable[[bytes], None], place: Place
    ) -> None:
        self._reader = reader
        self._plan = plan
        self._write = write
        self.place = place
        self._unread = False  # the reader stands on an entry that was not read yet
        self._complete_until_us: int | None = None  # later entries may need more matches
        self._expanded: Mapping[str, frozenset[str]] = {}
        self._rows: list[bytes] = []
        self._bytes = 0
        self._faults = 0
        self._opened_at_s = self._globs_at_s = time.monotonic()

    # -- where to begin

    def seek(self) -> None:
        """Go to the place, and tell when what stood there is gone."""
        self._match_present()
        place = self.place
        if place.cursor:
            self._seek_cursor(place.cursor)
        elif place.since_us is not None:
            self._reader.seek_realtime(place.since_us)
        elif place.from_start:
            self._reader.seek_head()
        else:
            self._seek_end()

    def _seek_end(self) -> None:
        reader = self._reader
        self._match_all()
        reader.seek_tail()
        # Going on from the tail itself gives an old entry (up to v253) or none at all (from v254).
        if reader.back():
            self.place = Place(reader.cursor())
            self._send([])
        else:
            reader.seek_head()
            self.place = Place(from_start=True)

    def _seek_cursor(self, cursor: str) -> None:
        reader = self._reader
        try:
            reader.forget_matches()
            reader.seek_cursor(cursor)
            found = reader.forward() and reader.stands_on(cursor)
        except ValueError:  # what systemd-python makes of EINVAL
            reader.seek_head()
            self._match_present()
            self._blind("the place where reading stopped is not known here")
            return
        self._match_present()
        self._go_behind(cursor)
        if not found:
            to_us = reader.realtime_us() if self._unread else None
            why = "the journal was rotated away before it was read"
            self._blind(why, cursor_time_us(cursor), to_us)

    def _go_behind(self, cursor: str) -> None:
        """Seek to an entry and pass over it; where it is gone, stand on the next one."""
        self._reader.seek_cursor(cursor)
        self._unread = self._reader.forward() and not self._reader.stands_on(cursor)

    # -- what to read

    def _match_present(self) -> None:
        """For the backlog: of the wanted values those that the journal has at this moment."""
        now_us = time.time_ns() // 1000  # compared with entries only
        seen = {field: self._values(field) for field in self._plan.fields}
        self._expanded = {f: self._plan.expanded(f, values) for f, values in seen.items()}
        present = {f: self._plan.present(f, values) for f, values in seen.items()}
        self._complete_until_us = now_us - CLOCK_MARGIN_US
        if any(present.values()):
            self._apply(present)
        else:
            self._match_all()

    def _match_all(self) -> None:
        self._complete_until_us = None
        exact, more = self._plan.exact, self._expanded
        fields = self._plan.fields
        self._apply({f: exact.get(f, _NONE) | more.get(f, _NONE) for f in fields})

    def _apply(self, groups: Mapping[str, frozenset[str]]) -> None:
        reader = self._reader
        reader.forget_matches()
        for field, values in groups.items():
            for value in sorted(values):
                reader.match(f"{field}={value}")
            reader.otherwise()

    def _values(self, field: str) -> set[str]:
        return {value.decode("utf-8", "replace") for value in self._reader.values(field)}

    # -- reading

    def drain(self) -> None:
        """Read everything there is, in batches."""
        if self._complete_until_us is not None:
            self._drain_backlog(self._complete_until_us)
        forward = self._reader.forward
        while self._unread or forward():
            self._unread = False
            self._read_entry()
        self._flush()
        self._write(frame(Say.CAUGHT_UP))

    def _drain_backlog(self, until_us: int) -> None:
        reader = self._reader
        while self._unread or reader.forward():
            self._unread = False
            if reader.realtime_us() >= until_us:
                if self._rows:
                    reader.back()  # for the cursor of the last entry that was read
                    self._flush()
                self._match_all()
                reader.seek_realtime(until_us)
                return
            self._read_entry()
        self._flush()
        self._match_all()
        place = self.place
        if place.cursor:
            self._go_behind(place.cursor)
        elif place.since_us is not None:
            reader.seek_realtime(place.since_us)
        else:
            reader.seek_head()

    def _read_entry(self) -> None:
        reader = self._reader
        at_us = reader.realtime_us()
        try:
            entry = reader.entry()
        except OSError as error:
            self._fault(error, at_us)
            return
        if entry.get("_TRANSPORT") == b"kernel":
            at_us = self._said_at_us(entry, at_us)
        entry["__REALTIME_TIMESTAMP"] = b"%d" % at_us
        row = columns_of(entry)
        self._rows.append(row)
        self._bytes += len(row)
        self._faults = 0
        if len(self._rows) >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()
            reader.process()

    def _said_at_us(self, entry: Entry, at_us: int) -> int:
        source = entry.get("_SOURCE_MONOTONIC_TIMESTAMP")
        if not isinstance(source, bytes) or not source.isdigit() or len(source) > 17:
            return at_us
        entry["__MONOTONIC_TIMESTAMP"] = source
        return said_at_us(at_us, self._reader.monotonic_us(), int(source))

    def _fault(self, error: OSError, at_us: int) -> None:
        """Pass over an entry that is torn; after too many in a row the file is opened again."""
        self._faults += 1
        if error.errno not in FILE_IS_GONE or self._faults > FAULTS_IN_A_ROW:
            raise error
        self._blind("an entry of the journal is torn", at_us, at_us)

    def _flush(self) -> None:
        """Send what was read, with the cursor of the entry the reader stands on."""
        if not self._rows:
            return
        # Fails when the file has just been removed: then these rows are read again, not sent twice.
        self.place = Place(self._reader.cursor())
        self._send(self._rows)
        self._rows.clear()
        self._bytes = 0

    def _send(self, rows: list[bytes]) -> None:
        self._write(frame(Say.RECORDS, batch(self.place.cursor, rows)))

    def _blind(self, why: str, from_us: int | None = None, to_us: int | None = None) -> None:
        times = ("" if at_us is None else str(at_us) for at_us in (from_us, to_us))
        self._write(frame(Say.BLIND, texts(why, *times)))

    # -- between reading

    def refresh(self, watched: bool) -> bool:
        """Take note of files that came and went; false when it is better to open again."""
        self._reader.process()
        now_s = time.monotonic()
        if not watched and now_s - self._opened_at_s > REOPEN_UNWATCHED_S:
            return False
        if self._plan.globs and now_s - self._globs_at_s > GLOBS_EVERY_S:
            self._globs_at_s = now_s
            self._look_for_new_speakers()
        return True

    def _look_for_new_speakers(self) -> None:
        """A glob fits a unit that has never spoken before: read its first words, then go on."""
        found = {f: self._plan.expanded(f, self._values(f)) for f in self._plan.globs}
        new = {f: values - self._expanded.get(f, _NONE) for f, values in found.items()}
        if not any(new.values()):
            return
        self._expanded = found
        passed_us = cursor_time_us(self.place.cursor)
        if passed_us is not None:
            self._apply(new)
            self._reader.seek_realtime(passed_us - GLOBS_LOOK_BACK_US)
            self._read_until(passed_us)
        self._match_all()
        if self.place.cursor:
            self._go_behind(self.place.cursor)
        else:
            self._reader.seek_head()

    def _read_until(self, passed_us: int) -> None:
        reader, place = self._reader, self.place
        while reader.forward() and reader.realtime_us() <= passed_us:
            self._read_entry()
            self.place = place
        self._send(self._rows)
        self._rows.clear()
