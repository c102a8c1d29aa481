"""What a published backup is: the names of its objects, and the manifest that is written last.

    <prefix>/lock.json                         who may write here now
    <prefix>/<id>/base.tar.zst.enc.000000      one archive is a run of numbered parts
    <prefix>/<id>/16385.tar.zst.enc.000000     one archive a tablespace, named by its oid
    <prefix>/<id>/wal/<segment>.zst.enc        WAL received beside the base backup, if any
    <prefix>/<id>/backup_manifest[.zst.enc]    Postgres' own list of files and checksums
    <prefix>/<id>/knockon.json                 written last: without it the backup does not exist
    <prefix>/<id>/knockon.verify.json          what later checks found; never part of the backup

The parts of one archive, joined, are one stream: `cat base.tar.zst.* | zstd -d | tar -t` reads an
unencrypted one without us. Parts are objects of their own, not parts of a multipart upload: a cut
upload then stays visible and can be pruned, each part is created once and retried alone, and
S3's limit of 10,000 parts does not end a backup of many terabytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from backup.fields import Fields, Malformed

SCHEMA = "knockon-backup/v1"
LOCK_KEY = "lock.json"
PUBLISHED_NAME = "knockon.json"
CHECKS_NAME = "knockon.verify.json"
MANIFEST_NAME = "backup_manifest"
BASE_NAME = "base.tar"
# SHA-256, not the server's default CRC32C: it also resists a forger, and Python has it in C
# (1.8 GB/s with SHA extensions) where a CRC32C needs one more dependency.
MANIFEST_CHECKSUMS = "SHA256"

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LSN = re.compile(r"[0-9A-F]{1,8}/[0-9A-F]{1,8}")


class Role(StrEnum):
    """What an archive holds."""

    BASE = "base"
    TABLESPACE = "tablespace"
    WAL = "wal"
    MANIFEST = "manifest"


class WalMode(StrEnum):
    """Where the WAL comes from that makes the copy consistent."""

    FETCH = "fetch"  # in base.tar, under pg_wal/
    STREAM = "stream"  # received beside it: archives of role WAL
    ARCHIVED = "archived"  # not here: the cluster's own WAL archive has it


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as it lies in the store, its key relative to the backup's own folder."""

    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Archive:
    """One stream: a tar, a WAL segment or the manifest, as a run of stored objects."""

    name: str  # base.tar, 16385.tar, wal/000000010000000000000002, backup_manifest
    role: Role
    plain_bytes: int  # before compression and encryption
    objects: tuple[StoredObject, ...]
    compressed: bool = True
    sealed: bool = False

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store keeps for it."""
        return sum(one.size_bytes for one in self.objects)


@dataclass(frozen=True, slots=True)
class Tablespace:
    """One tablespace besides pg_default: its oid names its archive, <oid>.tar."""

    oid: int
    location: str


@dataclass(frozen=True, slots=True)
class Published:
    """A finished backup: everything needed to check it, restore it and judge its age."""

    id: str
    started_at_s: float
    finished_at_s: float
    server_version: int  # as libpq gives it: 150018
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    wal: WalMode
    archives: tuple[Archive, ...]
    tablespaces: tuple[Tablespace, ...] = ()
    wal_segment_bytes: int = 16 << 20
    key_id: str = ""  # empty: not encrypted
    verified_in_stream: bool = False  # every file's checksum was compared while it was uploaded
    from_standby: bool = False
    label: str = ""
    tool: str = ""  # "knockon 0.1.0"
    statistics: dict[str, float] = field(default_factory=dict)

    def of_role(self, role: Role) -> tuple[Archive, ...]:
        """The archives of one role, in the order in which they were sent."""
        return tuple(one for one in self.archives if one.role is role)

    @property
    def stored_bytes(self) -> int:
        """Bytes that the store keeps for this backup."""
        return sum(one.stored_bytes for one in self.archives)

    @property
    def plain_bytes(self) -> int:
        """Bytes that a restore writes, about."""
        return sum(one.plain_bytes for one in self.archives)


def new_id(now_s: float) -> str:
    """Name a backup so that names sort by time and two at once do not meet."""
    return f"{datetime.fromtimestamp(now_s, UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def is_id(text: str) -> bool:
    """Tell whether this names a backup of ours; nothing else in the prefix is ever touched."""
    return _ID.fullmatch(text) is not None


def id_time_s(backup_id: str) -> float:
    """When the backup of this name was started, by the clock of who started it."""
    return datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def published_key(backup_id: str) -> str:
    """The object whose existence makes the backup exist."""
    return f"{backup_id}/{PUBLISHED_NAME}"


def checks_key(backup_id: str) -> str:
    """Where later checks write what they found."""
    return f"{backup_id}/{CHECKS_NAME}"


def stored_name(archive: str, *, compressed: bool, sealed: bool) -> str:
    """The archive's name with what was done to it: base.tar.zst.enc."""
    return f"{archive}{'.zst' if compressed else ''}{'.enc' if sealed else ''}"


def part_name(stored: str, number: int) -> str:
    """The name of one part of an archive: base.tar.zst.000004."""
    return f"{stored}.{number:06d}"


def to_json(published: Published, sign: Callable[[bytes], str] | None = None) -> bytes:
    """Write the manifest with a checksum over itself, and a signature where there is a key."""
    body = _canonical(_body(published))
    whole = _body(published) | {"checksum": hashlib.sha256(body).hexdigest()}
    if sign is not None:
        whole["signature"] = sign(body)
    return json.dumps(whole, indent=1, sort_keys=True).encode() + b"\n"


def from_json(data: bytes, check: Callable[[bytes, str], None] | None = None) -> Published:
    """Read the manifest, or raise Malformed; ``check`` gets the body and its signature."""
    fields = Fields.parse(data)
    if fields.text("schema") != SCHEMA:
        raise Malformed(f"its schema is {fields.text('schema')}, not {SCHEMA}")
    body = _canonical(
        {key: value for key, value in fields.items() if key not in ("checksum", "signature")}
    )
    if hashlib.sha256(body).hexdigest() != fields.text("checksum"):
        raise Malformed("it was changed after it was written: its own checksum differs")
    if check is not None:
        check(body, fields.text("signature", ""))
    return _published(fields)


def _body(published: Published) -> dict[str, object]:
    return {"schema": SCHEMA} | asdict(published)


def _canonical(body: dict[str, object]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _published(fields: Fields) -> Published:
    return Published(
        id=fields.matching("id", _ID),
        started_at_s=fields.number("started_at_s"),
        finished_at_s=fields.number("finished_at_s"),
        server_version=fields.whole("server_version"),
        system_identifier=fields.text("system_identifier"),
        timeline=fields.whole("timeline"),
        start_lsn=fields.matching("start_lsn", _LSN),
        end_lsn=fields.matching("end_lsn", _LSN),
        wal=fields.one_of("wal", WalMode),
        archives=tuple(_archive(one) for one in fields.objects("archives")),
        tablespaces=tuple(
            Tablespace(one.whole("oid"), one.text("location"))
            for one in fields.objects("tablespaces")
        ),
        wal_segment_bytes=_segment_bytes(fields),
        key_id=fields.text("key_id"),
        verified_in_stream=fields.flag("verified_in_stream"),
        from_standby=fields.flag("from_standby"),
        label=fields.text("label"),
        tool=fields.text("tool"),
        statistics=fields.numbers("statistics"),
    )


def _segment_bytes(fields: Fields) -> int:
    """1 MB to 1 GB, a power of two (initdb --wal-segsize)."""
    size_bytes = fields.whole("wal_segment_bytes")
    if size_bytes.bit_count() != 1 or not 1 << 20 <= size_bytes <= 1 << 30:
        raise Malformed(f"wal_segment_bytes is {size_bytes}, which no server uses")
    return size_bytes


def _archive(fields: Fields) -> Archive:
    return Archive(
        name=fields.matching("name", _KEY),
        role=fields.one_of("role", Role),
        plain_bytes=fields.whole("plain_bytes"),
        objects=tuple(
            StoredObject(
                one.matching("key", _KEY), one.whole("size_bytes"), one.matching("sha256", _SHA256)
            )
            for one in fields.objects("objects")
        ),
        compressed=fields.flag("compressed"),
        sealed=fields.flag("sealed"),
    )
