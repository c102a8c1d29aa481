"""What must hold before a backup begins: each thing that does not is one line and a hint.

Asked over the replication connection itself, so that no second right and no database is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from backup.exits import Exit, Failure
from backup.postgres.session import Session, System
from backup.postgres.wire import OLDEST_SERVER
from backup.store.layout import WalMode

_UNITS = {"": 1, "B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SIZE = re.compile(r"(\d+)\s*(B|kB|MB|GB)?")
_SMALLEST_SHARE = 0.1  # of the data that a backup of it may take, compressed well


@dataclass(frozen=True, slots=True)
class Found:
    """What the server said about itself."""

    system: System
    server_version: int
    data_directory: str
    segment_bytes: int
    pause_limit_s: float | None
    """The server's tcp_user_timeout where we come over TCP: a longer pause is our end."""
    from_standby: bool
    notes: tuple[str, ...]
    same_node: bool = True
    """Whether what this node shows of its disks says something about the server's."""
    unix_socket: bool = False
    """Whether we come over a unix socket: its buffer is shallow, so what moves moves for us now."""
    wal_room_bytes: int | None = None
    """How much WAL the server may keep back for us."""
    wal_keep_bytes: int = 0
    """How much WAL the server keeps in any case: all that --wal fetch can count on."""


def inspect(session: Session, wal: WalMode) -> Found:
    """Ask the server, and raise at what makes a backup impossible."""
    _version(session)
    show = session.show
    _wal_level(show)
    limit_s = _pause_limit_s(session)
    notes = [*_wal(show, wal), *_damage(show)]
    if limit_s is not None:
        notes.append(
            f"the server's tcp_user_timeout is {limit_s:g} s: pauses stay shorter than that"
        )
    return Found(
        system=session.identify(),
        server_version=session.server_version,
        data_directory=show("data_directory") or "",
        segment_bytes=size_bytes(show("wal_segment_size") or "16MB"),
        pause_limit_s=limit_s,
        from_standby=session.in_recovery,
        notes=tuple(notes),
        same_node=_same_node(session.host, show("data_directory") or ""),
        unix_socket=session.host.startswith(("/", "@")) or not session.host,
        wal_room_bytes=_wal_room_bytes(show),
        wal_keep_bytes=_wal_keep_bytes(show),
    )


def room(expected_bytes: int, free_bytes: int | None) -> str:
    """Return a warning, or nothing; raise when the target is too small for certain."""
    if free_bytes is None or free_bytes > expected_bytes:
        return ""
    said = (
        f"the target has {free_bytes / 1e9:.1f} GB free, the data is {expected_bytes / 1e9:.1f} GB"
    )
    if free_bytes < expected_bytes * _SMALLEST_SHARE:
        raise Failure(said, "knockon backup prune, or a larger target", Exit.USER_ERROR)
    return f"{said}: it fits only if it compresses well"


def size_bytes(text: str) -> int:
    """Return a size as the server writes it.

    >>> size_bytes("16MB")
    16777216
    """
    found = _SIZE.fullmatch(text.strip())
    return int(found[1]) * _UNITS[found[2] or ""] if found else 16 << 20


def duration_s(text: str) -> float:
    """Return a duration as the server writes it; a bare number is milliseconds.

    >>> duration_s("1min")
    60.0
    """
    found = re.fullmatch(r"(\d+)\s*(ms|s|min|h|d)?", text.strip())
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
    return int(found[1]) * units[found[2] or "ms"] if found else 0.0


def _version(session: Session) -> None:
    if session.server_version < OLDEST_SERVER:
        raise Failure(
            f"this server is version {session.server_version // 10000}",
            "13 is the oldest that lists its files with checksums",
            Exit.USER_ERROR,
        )


def _wal_level(show: Callable[[str], str | None]) -> None:
    if show("wal_level") == "minimal":
        raise Failure(
            "wal_level is minimal: no online backup is possible",
            "ALTER SYSTEM SET wal_level = replica, then restart the server",
            Exit.USER_ERROR,
        )


def _pause_limit_s(session: Session) -> float | None:
    limit_s = duration_s(session.show("tcp_user_timeout") or "0")
    return limit_s if limit_s and not session.host.startswith("/") else None


def _same_node(host: str, data_directory: str) -> bool:
    """A socket, loopback or a visible data directory is near; an address may be anywhere."""
    near = host.startswith(("/", "@", "127.")) or host in ("", "::1", "localhost")
    return near or (bool(data_directory) and os.path.isdir(f"{data_directory}/base"))  # noqa: PTH112


def _wal_room_bytes(show: Callable[[str], str | None]) -> int | None:
    """Return what a slot may hold back, else the room on the volume where it can be seen."""
    limit = show("max_slot_wal_keep_size") or "-1"
    if limit not in ("-1", "0"):
        return size_bytes(limit)
    folder = show("data_directory")
    try:
        stat = os.statvfs(f"{folder}/pg_wal") if folder else None
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize if stat else None


def _wal_keep_bytes(show: Callable[[str], str | None]) -> int:
    said = show("wal_keep_size") or "0"
    return 0 if said == "0" else size_bytes(said)


def _wal(show: Callable[[str], str | None], wal: WalMode) -> list[str]:
    if wal is WalMode.STREAM and show("max_replication_slots") == "0":
        raise Failure(
            "max_replication_slots is 0: WAL cannot be held back for --wal stream",
            "raise it, or --wal fetch",
            Exit.USER_ERROR,
        )
    if wal is WalMode.ARCHIVED and show("archive_mode") == "off":
        raise Failure(
            "--wal archived, and archive_mode is off: the backup could never be restored",
            "--wal stream or --wal fetch takes the WAL along",
            Exit.USER_ERROR,
        )
    if wal is WalMode.FETCH and (show("wal_keep_size") or "0") == "0":
        return [
            "wal_keep_size is 0: a slow backup may outlive the WAL it needs; --wal stream holds it"
        ]
    return []


def _damage(show: Callable[[str], str | None]) -> list[str]:
    if show("data_checksums") == "off":
        return ["data_checksums is off: damage on the server's disk cannot be noticed"]
    return []
