"""One archive on its way to the store: compressed, sealed, cut into parts, accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from backup.store.layout import Archive, Role, stored_name
from backup.store.parts import PartWriter
from backup.store.seal import Key, Sealer, context_of
from backup.store.squeeze import Squeezer
from backup.store.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """Where one backup goes, and the key it is sealed with, if any."""

    store: Store
    backup_id: str
    key: Key | None = None


class Upload:
    """Takes the plain bytes of one archive; a context that is left early stores nothing more."""

    def __init__(self, place: Place, name: str, role: Role) -> None:
        self._name = name
        self._role = role
        self._plain_bytes = 0
        self._squeezer = Squeezer()
        self._sealer = Sealer(place.key, context_of(place.backup_id, name)) if place.key else None
        stored = stored_name(name, compressed=True, sealed=self._sealer is not None)
        self._parts = PartWriter(place.store, place.backup_id, stored)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._parts.abort()

    def write(self, data: bytes) -> None:
        """Take a piece; waits while the store is slower than we are."""
        self._plain_bytes += len(data)
        self._pass_on(self._squeezer.feed(data))

    def close(self) -> Archive:
        """Store the rest, and say what is stored now."""
        self._pass_on(self._squeezer.finish())
        if self._sealer is not None:
            self._parts.write(self._sealer.finish())
        return Archive(
            name=self._name,
            role=self._role,
            plain_bytes=self._plain_bytes,
            objects=self._parts.close(),
            compressed=True,
            sealed=self._sealer is not None,
        )

    def _pass_on(self, data: bytes) -> None:
        if data:
            self._parts.write(self._sealer.feed(data) if self._sealer else data)


def upload(place: Place, name: str, role: Role, data: bytes) -> Archive:
    """Store a small archive that is there already."""
    with Upload(place, name, role) as sending:
        sending.write(data)
        return sending.close()
