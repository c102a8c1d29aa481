"""Reads Postgres' `backup_manifest`: which files there must be, their sizes and checksums.

Format: https://www.postgresql.org/docs/current/backup-manifest-format.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from backup.fields import Fields, Malformed

_LSN = re.compile(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}")
_TOTAL = re.compile(rb'"Manifest-Checksum": "([0-9a-f]{64})"\}\n?\Z')


class Hasher(Protocol):
    """What hashlib's objects are."""

    def update(self, data: bytes, /) -> object:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Give the checksum so far."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its path below the data directory, its size, its checksum and how that is made."""

    path: str
    size_bytes: int
    algorithm: str  # NONE, CRC32C, SHA224, SHA256, SHA384, SHA512
    checksum: str


@dataclass(frozen=True, slots=True)
class WalRange:
    """WAL that must be replayed before the copy is consistent."""

    timeline: int
    start_lsn: str
    end_lsn: str


@dataclass(frozen=True, slots=True)
class PgManifest:
    """The whole list."""

    files: Mapping[str, FileEntry]
    wal: tuple[WalRange, ...]


def parse_manifest(data: bytes) -> PgManifest:
    """Read a manifest whose own checksum holds, or raise Malformed."""
    total = _TOTAL.search(data)
    if total is None:
        raise Malformed("backup_manifest: its last line is not a checksum: cut short or changed")
    last_line = data.rstrip(b"\n").rfind(b"\n") + 1
    if hashlib.sha256(data[:last_line]).hexdigest() != total[1].decode():
        raise Malformed("backup_manifest: it was changed after Postgres wrote it")
    fields = Fields.parse(data)
    if fields.whole("PostgreSQL-Backup-Manifest-Version") not in (1, 2):
        raise Malformed("backup_manifest: its version is newer than this tool")
    files: dict[str, FileEntry] = {}
    for one in fields.objects("Files"):
        entry = _entry(one)
        if entry.path in files:
            raise Malformed(f"backup_manifest: {entry.path} stands there twice")
        files[entry.path] = entry
    return PgManifest(files, tuple(_range(one) for one in fields.objects("WAL-Ranges")))


def _entry(fields: Fields) -> FileEntry:
    encoded = fields.text("Encoded-Path", "")
    try:
        path = bytes.fromhex(encoded).decode("utf-8", "surrogateescape") if encoded else ""
    except ValueError:
        raise Malformed("backup_manifest: a path is not in hexadecimal") from None
    return FileEntry(
        path=path or fields.text("Path"),
        size_bytes=fields.whole("Size"),
        algorithm=fields.text("Checksum-Algorithm", "NONE"),
        checksum=fields.text("Checksum", ""),
    )


def _range(fields: Fields) -> WalRange:
    return WalRange(
        fields.whole("Timeline"),
        fields.matching("Start-LSN", _LSN),
        fields.matching("End-LSN", _LSN),
    )


def hasher(algorithm: str) -> Hasher | None:
    """The hash that a file's entry asks for; None where it has none."""
    if algorithm == "NONE":
        return None
    if algorithm == "CRC32C":
        return _Crc32c()
    made = _SHA.get(algorithm)
    if made is None:
        raise Malformed(f"backup_manifest: {algorithm} is no checksum that we know")
    return made()


_SHA: Mapping[str, Callable[[], Hasher]] = {
    "SHA224": hashlib.sha224,
    "SHA256": hashlib.sha256,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
}


def _extend_slowly(value: int, data: bytes) -> int:
    """CRC-32C (Castagnoli, RFC 3720) byte by byte: about 5 MB/s, for backups made by others."""
    table = _TABLE
    value ^= 0xFFFFFFFF
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def _row(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = tuple(_row(byte) for byte in range(256))

try:
    from google_crc32c import extend as _extend
except ImportError:
    _extend = _extend_slowly


class _Crc32c:
    """CRC-32C as Postgres writes it in a manifest: the four bytes of a little-endian number."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = _extend(self._value, data)

    def hexdigest(self) -> str:
        return self._value.to_bytes(4, "little").hex()
