"""Moves what the server sends into the store, checking every file of it on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from backup.exits import Exit, Failure
from backup.fields import Malformed
from backup.postgres.manifest import parse_manifest
from backup.postgres.wire import ArchiveBegins, Data, Message, Space
from backup.run.ledger import Ledger
from backup.run.stream import Members, Passed, prove
from backup.store.layout import MANIFEST_NAME, Archive, Role
from backup.store.upload import Place, Upload, upload

_MOST_MANIFEST_BYTES = 2 << 30


class Pump:
    """Takes the messages of one base backup; ``pace`` blocks between two reads of the socket."""

    def __init__(self, place: Place, ledger: Ledger, pace: Callable[[int], None]) -> None:
        self._place = place
        self._ledger = ledger
        self._pace = pace
        self._seen: dict[str, Passed] = {}
        self._manifest = bytearray()
        self._members = Members(self._seen)
        self._sending: Upload | None = None
        self._stored: list[Archive] = []

    def run(self, messages: Iterable[Message]) -> tuple[Archive, ...]:
        """Store everything but the manifest, which is stored once it is proved."""
        with contextlib.ExitStack() as scope:
            for message in messages:
                if isinstance(message, Data):
                    self._take(message.data)
                    continue
                self._end_archive()
                if isinstance(message, ArchiveBegins):
                    self._begin_archive(message.space, scope)
            self._end_archive()
        return tuple(self._stored)

    def prove(self) -> Archive:
        """Compare all files with the server's list, then store the list too."""
        whole = bytes(self._manifest)
        try:
            manifest = parse_manifest(whole)
        except Malformed as wrong:
            raise Failure(f"the server's list of files: {wrong}", "", Exit.NOT_VERIFIED) from None
        prove(manifest, self._seen)
        self._ledger.files = len(manifest.files)
        return upload(self._place, MANIFEST_NAME, Role.MANIFEST, whole)

    def _begin_archive(self, space: Space, scope: contextlib.ExitStack) -> None:
        role = Role.TABLESPACE if space.oid else Role.BASE
        self._members = Members(self._seen, f"pg_tblspc/{space.oid}/" if space.oid else "")
        self._sending = scope.enter_context(Upload(self._place, space.archive, role))

    def _take(self, data: bytes) -> None:
        if self._sending is None:
            self._take_manifest(data)
        else:
            self._members.feed(data)
            self._sending.write(data)
        self._ledger.read_bytes += len(data)
        self._pace(len(data))

    def _end_archive(self) -> None:
        if self._sending is None:
            return
        self._members.finish()
        stored = self._sending.close()
        self._sending = None
        self._stored.append(stored)
        self._ledger.stored_bytes += stored.stored_bytes

    def _take_manifest(self, data: bytes) -> None:
        self._manifest += data
        if len(self._manifest) > _MOST_MANIFEST_BYTES:
            raise Failure("the server's list of files is larger than 2 GB", "too many files")
