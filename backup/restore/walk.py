"""Goes through a whole backup once, every byte and every file checked, and hands it to a sink.

`verify` throws away what it gets, `restore` writes it: both see the same bytes and believe none
that Postgres' own list does not vouch for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from agent.printable import safe
from backup.fields import Malformed
from backup.postgres.manifest import Hasher, PgManifest, hasher, parse_manifest
from backup.postgres.tar import Member, MemberKind, members
from backup.postgres.wal_check import WalSeen
from backup.store.layout import Archive, Published, Role
from backup.store.parts import plain_bytes_of
from backup.store.seal import Key
from backup.store.store import Store

_MOST_MANIFEST_BYTES = 2 << 30
_WAL = "pg_wal/"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something belongs: a path in the data directory (oid 0) or in a tablespace."""

    oid: int
    path: str

    @property
    def listed(self) -> str:
        """The path as backup_manifest writes it."""
        return f"pg_tblspc/{self.oid}/{self.path}" if self.oid else self.path


class Sink(Protocol):
    """Takes what a backup holds."""

    def folder(self, place: Place) -> None:
        """There is such a folder."""

    def file(self, place: Place, pieces: Iterator[bytes]) -> None:
        """There is such a file; all pieces must be read."""


class Nowhere:
    """A sink for those who only want to know whether all is well."""

    def folder(self, place: Place) -> None:
        """Forget it."""

    def file(self, place: Place, pieces: Iterator[bytes]) -> None:  # noqa: ARG002 - a Sink's own
        """Read it and forget it."""
        for _ in pieces:
            pass


@dataclass(frozen=True, slots=True)
class Opened:
    """One backup in a store, with the key it needs."""

    store: Store
    published: Published
    key: Key | None = None

    def plain(self, archive: Archive) -> Iterator[bytes]:
        """The archive's bytes as Postgres sent them."""
        return plain_bytes_of(self.store, self.published.id, archive, self.key)


@dataclass(slots=True)
class Walk:
    """The state of going through one backup: what was seen, against what should be."""

    opened: Opened
    manifest: PgManifest
    seen: set[str] = field(default_factory=set)
    wal: WalSeen = field(default_factory=WalSeen)

    @classmethod
    def begin(cls, opened: Opened) -> Walk:
        """Read Postgres' list first: everything else is measured by it."""
        archives = opened.published.of_role(Role.MANIFEST)
        if len(archives) != 1 or archives[0].plain_bytes > _MOST_MANIFEST_BYTES:
            raise Malformed(f"{opened.published.id}: there is not one backup_manifest in it")
        return cls(opened, parse_manifest(b"".join(opened.plain(archives[0]))))

    def archive(self, archive: Archive, sink: Sink) -> None:
        """Go through one archive; raise Malformed at the first thing that is wrong."""
        if archive.role is Role.WAL:
            place = Place(0, f"{_WAL}{_last_step(archive.name)}")
            self._file(place, self.opened.plain(archive), sink)
            return
        oid = self._oid(archive)
        for member in members(self.opened.plain(archive)):
            if member.kind is MemberKind.FILE:
                self._file(Place(oid, member.path), member.pieces, sink)
            elif member.kind is MemberKind.FOLDER:
                sink.folder(Place(oid, member.path))
            else:
                self._link(oid, member)

    def missing(self) -> list[str]:
        """Say what should have been there and was not, after all archives."""
        files = [f"{path} is missing" for path in self.manifest.files if path not in self.seen]
        published = self.opened.published
        return files + self.wal.missing(self.manifest.wal, published)

    def _file(self, place: Place, pieces: Iterator[bytes], sink: Sink) -> None:
        path = place.listed
        entry = self.manifest.files.get(path)
        if path in self.seen:
            raise Malformed(f"{safe(path)} is there twice")
        self.seen.add(path)
        if entry is None and not path.startswith(_WAL):
            raise Malformed(f"{safe(path)} is not in Postgres' list")
        if entry is None and path.startswith(_WAL):
            pieces = self.wal.watch(path.removeprefix(_WAL), pieces)
        digest = hasher(entry.algorithm) if entry is not None else None
        counted = _Counted(pieces, digest)
        sink.file(place, iter(counted))
        if entry is None:
            return
        if counted.size_bytes != entry.size_bytes:
            raise Malformed(f"{safe(path)} has {counted.size_bytes} bytes, not {entry.size_bytes}")
        if digest is not None and digest.hexdigest() != entry.checksum.lower():
            raise Malformed(f"{safe(path)} has another {entry.algorithm} checksum than in Postgres")

    def _link(self, oid: int, member: Member) -> None:
        """Servers that make no tablespace_map link pg_tblspc/<oid>; a restore makes its own."""
        oids = {f"pg_tblspc/{one.oid}" for one in self.opened.published.tablespaces}
        if oid or member.path not in oids:
            raise Malformed(f"{safe(member.path)} is a link to {safe(member.link)}")

    def _oid(self, archive: Archive) -> int:
        if archive.role is Role.BASE:
            return 0
        known = {f"{one.oid}.tar": one.oid for one in self.opened.published.tablespaces}
        if archive.name not in known:
            raise Malformed(f"{safe(archive.name)} belongs to no tablespace of this backup")
        return known[archive.name]


class _Counted:
    """Pieces that pass by, counted and hashed."""

    __slots__ = ("_digest", "_pieces", "size_bytes")

    def __init__(self, pieces: Iterator[bytes], digest: Hasher | None) -> None:
        self._pieces = pieces
        self._digest = digest
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size_bytes += len(piece)
            if self._digest is not None:
                self._digest.update(piece)
            yield piece


def _last_step(name: str) -> str:
    return name.rpartition("/")[2]
