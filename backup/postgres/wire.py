"""BASE_BACKUP, spoken through `psycopg.pq`.

https://www.postgresql.org/docs/current/protocol-replication.html. From version 15 on the server
sends everything in one COPY stream whose messages carry a type; before, one COPY per tablespace and
one for the manifest. Both become the same messages here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backup.postgres.order import BaseBackup
from backup.postgres.session import Session, strange

OLDEST_SERVER = 130000
_SINGLE_STREAM = 150000
_TRAILER = bytes(1024)  # servers before 15 leave a tar's two final blocks to the client


@dataclass(frozen=True, slots=True)
class Space:
    """One tablespace as the server announces it; oid 0 is the data directory itself."""

    oid: int
    location: str
    size_bytes: int

    @property
    def archive(self) -> str:
        """The name of its tar."""
        return f"{self.oid}.tar" if self.oid else "base.tar"


@dataclass(frozen=True, slots=True)
class Started:
    """The backup's beginning: where replay starts, and what will come."""

    lsn: str
    timeline: int
    spaces: tuple[Space, ...]

    @property
    def estimated_bytes(self) -> int:
        """What the server expects to send."""
        return sum(space.size_bytes for space in self.spaces)


@dataclass(frozen=True, slots=True)
class Ended:
    """The backup's end: where a restored server is consistent."""

    lsn: str
    timeline: int


@dataclass(frozen=True, slots=True)
class ArchiveBegins:
    """The next data belongs to this tar."""

    space: Space


@dataclass(frozen=True, slots=True)
class ManifestBegins:
    """The next data is the server's backup_manifest."""


@dataclass(frozen=True, slots=True)
class Data:
    """A piece of the archive or manifest that is under way."""

    data: bytes


Message = ArchiveBegins | ManifestBegins | Data


class Wire:
    """One base backup on one replication connection."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def start_backup(self, order: BaseBackup) -> Started:
        """Order the backup; returns when its checkpoint is done, which may take minutes."""
        self._session.send(order.command(self._session.server_version))
        row = self._session.table()[0]
        spaces = tuple(
            Space(int(oid or 0), location, int(size_kb or 0) * 1024)
            for oid, location, size_kb in self._session.table()
        )
        return Started(row[0], int(row[1]), spaces)

    def messages(self, started: Started) -> Iterator[Message]:
        """Yield what the server sends; the next message is read only when it is asked for."""
        if self._session.server_version >= _SINGLE_STREAM:
            yield from self._single_stream({space.archive: space for space in started.spaces})
            return
        for space in started.spaces:
            yield ArchiveBegins(space)
            yield from self._whole_copy()
            yield Data(_TRAILER)
        yield ManifestBegins()
        yield from self._whole_copy()

    def finish_backup(self) -> Ended:
        """Read the end position; an error that the server kept for the end is raised here."""
        row = self._session.table()[0]
        self._session.settle()
        return Ended(row[0], int(row[1]))

    def _single_stream(self, spaces: dict[str, Space]) -> Iterator[Message]:
        for raw in self._session.copy():
            kind = raw[:1]
            if kind == b"d":
                yield Data(raw[1:])
            elif kind == b"n":
                name = raw[1:].split(b"\0", 1)[0].decode("utf-8", "replace")
                if name not in spaces:
                    raise strange(f"an archive {name!r} that was not announced")
                yield ArchiveBegins(spaces[name])
            elif kind == b"m":
                yield ManifestBegins()
            elif kind != b"p":
                raise strange(f"a message of the unknown type {kind!r}")

    def _whole_copy(self) -> Iterator[Message]:
        for raw in self._session.copy():
            yield Data(raw)
