"""Makes backups by hand, honest and hostile, without a server: a few files, and a list of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace

from backup.store.layout import (
    BASE_NAME,
    MANIFEST_NAME,
    Archive,
    Published,
    Role,
    Tablespace,
    WalMode,
    new_id,
    published_key,
    stored_name,
    to_json,
)
from backup.store.parts import put_parts
from backup.store.squeeze import Squeezer
from backup.store.store import Store

SEGMENT_BYTES = 1 << 20
NOW_S = 1_795_434_256.0


@dataclass(frozen=True, slots=True)
class File:
    """One member of a tar; ``kind`` is tarfile's own letter."""

    path: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""


def segment(number: int, size_bytes: int = SEGMENT_BYTES) -> File:
    """A WAL file whose first page says where it begins."""
    head = (
        b"\x10\xd1\x07\0"
        + (1).to_bytes(4, "little")
        + (number * SEGMENT_BYTES).to_bytes(8, "little")
    )
    return File(f"pg_wal/{1:08X}{0:08X}{number:08X}", head + bytes(size_bytes - len(head)))


HONEST = (
    File("PG_VERSION", b"15\n"),
    File("backup_label", b"START WAL LOCATION: 0/100028\n"),
    File("base", kind=tarfile.DIRTYPE),
    File("base/1", kind=tarfile.DIRTYPE),
    File("base/1/1259", bytes(range(256)) * 700),
    File("base/1/empty"),
    File("pg_tblspc", kind=tarfile.DIRTYPE),
    File("pg_wal/archive_status", kind=tarfile.DIRTYPE),
    segment(1),
    File("global/pg_control", b"control" * 100),
)
SIDE = (
    File("PG_15_202209061", kind=tarfile.DIRTYPE),
    File("PG_15_202209061/5/16390", b"side" * 99),
)


def tar(files: Iterable[File]) -> bytes:
    """Pack as Postgres does: ustar, nothing extended."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for file in files:
            info = tarfile.TarInfo(file.path)
            info.type, info.linkname, info.size = file.kind, file.link, len(file.data)
            archive.addfile(info, io.BytesIO(file.data))
    return whole.getvalue()


def manifest(files: Iterable[File], prefix: str = "") -> list[dict[str, object]]:
    """List files as Postgres does; WAL is not listed."""
    return [
        {
            "Path": f"{prefix}{file.path}",
            "Size": len(file.data),
            "Checksum-Algorithm": "SHA256",
            "Checksum": hashlib.sha256(file.data).hexdigest(),
        }
        for file in files
        if file.kind == tarfile.REGTYPE and not file.path.startswith("pg_wal/")
    ]


def manifest_text(listed: list[dict[str, object]], end_lsn: str = "0/100100") -> bytes:
    """Write the list as Postgres does, with its own checksum as the last line."""
    rows = ",\n".join(json.dumps(row) for row in listed)
    wal = json.dumps({"Timeline": 1, "Start-LSN": "0/100028", "End-LSN": end_lsn})
    text = (
        '{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n'
        f'{rows}\n],\n"WAL-Ranges": [\n{wal}\n],\n'
    ).encode()
    return text + f'"Manifest-Checksum": "{hashlib.sha256(text).hexdigest()}"}}\n'.encode()


def archive(store: Store, backup_id: str, name: str, role: Role, data: bytes) -> Archive:
    """Store one archive."""
    squeezer = Squeezer()
    packed = squeezer.feed(data) + squeezer.finish()
    stored = stored_name(name, compressed=True, sealed=False)
    return Archive(name, role, len(data), put_parts(store, backup_id, stored, [packed]))


def forge(
    store: Store,
    files: Iterable[File] = HONEST,
    *,
    listed: Iterable[File] | None = None,
    side: Iterable[File] = (),
    side_at: str = "/srv/side",
    now_s: float = NOW_S,
    **changes: object,
) -> Published:
    """Publish a backup of these files; ``listed`` is what its manifest says instead."""
    files, side = tuple(files), tuple(side)
    backup_id = new_id(now_s)
    rows = manifest(files if listed is None else listed) + manifest(side, "pg_tblspc/16385/")
    archives = [archive(store, backup_id, BASE_NAME, Role.BASE, tar(files))]
    if side:
        archives.append(archive(store, backup_id, "16385.tar", Role.TABLESPACE, tar(side)))
    archives.append(archive(store, backup_id, MANIFEST_NAME, Role.MANIFEST, manifest_text(rows)))
    published = Published(
        id=backup_id,
        started_at_s=now_s,
        finished_at_s=now_s + 60,
        server_version=150018,
        system_identifier="7300000000000000001",
        timeline=1,
        start_lsn="0/100028",
        end_lsn="0/100100",
        wal=WalMode.FETCH,
        archives=tuple(archives),
        tablespaces=(Tablespace(16385, side_at),) if side else (),
        wal_segment_bytes=SEGMENT_BYTES,
    )
    published = replace(published, **changes)  # type: ignore[arg-type]
    store.put_new(published_key(published.id), to_json(published))
    return published
