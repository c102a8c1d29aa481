"""Writes one archive as numbered parts, a bounded number of them in flight, and reads it back."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from backup.fields import Malformed
from backup.store.errors import Missing
from backup.store.layout import Archive, StoredObject, part_name
from backup.store.seal import Key, context_of, unsealed
from backup.store.squeeze import unsqueezed
from backup.store.store import Store

PART_BYTES = 8 << 20
CONCURRENCY = 2  # parts in flight: they are memory, and a burst that nobody paces
_GROWS_AFTER = 1000  # parts; 8 GB, then twice the size: a terabyte is 17,000 objects, not 130,000
_LARGEST_BYTES = 64 << 20


class PartWriter:
    """Takes one archive as it comes: ``write`` pieces, ``close`` for what is stored then."""

    def __init__(self, store: Store, backup_id: str, stored_name: str) -> None:
        self._store = store
        self._folder = backup_id
        self._name = stored_name
        self._held = bytearray()
        self._number = 0
        self._pool = ThreadPoolExecutor(CONCURRENCY, "part")
        self._flying: deque[Future[StoredObject]] = deque()
        self._stored: list[StoredObject] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def write(self, data: bytes) -> None:
        """Take a piece; wait while enough parts are in flight; raise what one of them met."""
        self._held += data
        while len(self._held) >= (size_bytes := part_bytes(self._number)):
            part = bytes(memoryview(self._held)[:size_bytes])
            del self._held[:size_bytes]
            self._send(part)

    def close(self) -> tuple[StoredObject, ...]:
        """Send the rest and wait until the store has everything."""
        if self._held or not self._number:
            part, self._held = bytes(self._held), bytearray()
            self._send(part)
        while self._flying:
            self._stored.append(self._flying.popleft().result())
        self._pool.shutdown()
        return tuple(self._stored)

    def abort(self) -> None:
        """Start nothing more and leave; what is stored was never published."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _send(self, part: bytes) -> None:
        while len(self._flying) >= CONCURRENCY:
            self._stored.append(self._flying.popleft().result())
        key = part_name(self._name, self._number)
        self._number += 1
        self._flying.append(self._pool.submit(put_object, self._store, self._folder, key, part))


def part_bytes(number: int) -> int:
    """How large a part is: small ones first, so that small backups need little memory."""
    return min(PART_BYTES << min(number // _GROWS_AFTER, 8), _LARGEST_BYTES)


def put_object(store: Store, backup_id: str, key: str, data: bytes) -> StoredObject:
    """Store one object and say what was stored; safe to repeat, as ids are never reused."""
    store.put(f"{backup_id}/{key}", data)
    return StoredObject(key, len(data), hashlib.sha256(data).hexdigest())


def put_parts(
    store: Store, backup_id: str, stored_name: str, pieces: Iterable[bytes]
) -> tuple[StoredObject, ...]:
    """Store a whole stream as parts."""
    with PartWriter(store, backup_id, stored_name) as writer:
        for piece in pieces:
            writer.write(piece)
        return writer.close()


def stored_bytes_of(store: Store, backup_id: str, archive: Archive) -> Iterator[bytes]:
    """Read an archive as it is stored; raise Malformed where an object is not what was stored."""
    for one in archive.objects:
        digest, size_bytes = hashlib.sha256(), 0
        try:
            for piece in store.read_stream(f"{backup_id}/{one.key}"):
                digest.update(piece)
                size_bytes += len(piece)
                yield piece
        except Missing:
            raise Malformed(f"{one.key}: the object is gone") from None
        if size_bytes != one.size_bytes:
            raise Malformed(f"{one.key}: {size_bytes} bytes where {one.size_bytes} were stored")
        if digest.hexdigest() != one.sha256:
            raise Malformed(f"{one.key}: its checksum differs: it was changed or damaged")


def plain_bytes_of(
    store: Store, backup_id: str, archive: Archive, key: Key | None
) -> Iterator[bytes]:
    """Read an archive as it was before encryption and compression, every byte accounted for."""
    pieces = stored_bytes_of(store, backup_id, archive)
    if archive.sealed:
        if key is None:
            raise Malformed(f"{archive.name}: it is encrypted and there is no key")
        pieces = unsealed(pieces, key, context_of(backup_id, archive.name))
    if archive.compressed:
        return unsqueezed(pieces, archive.plain_bytes)
    return _exactly(pieces, archive)


def _exactly(pieces: Iterable[bytes], archive: Archive) -> Iterator[bytes]:
    given = 0
    for piece in pieces:
        given += len(piece)
        yield piece
    if given != archive.plain_bytes:
        raise Malformed(f"{archive.name}: {given} bytes where {archive.plain_bytes} were expected")
