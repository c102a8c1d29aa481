"""`knockon backup restore`: a backup becomes a data directory, whole or not at all."""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from agent.printable import safe
from agent.words import counted
from backup.exits import Exit, Failure
from backup.fields import Malformed
from backup.postgres.verifybackup import run_pg_verifybackup
from backup.restore.landing import MARK, Landing
from backup.restore.recovery import SIGNALS, prepare, restore_command
from backup.restore.walk import Opened, Place, Walk
from backup.stopped import sigterm_raises
from backup.store.layout import MANIFEST_NAME, Published, Role, WalMode
from backup.store.seal import load_key
from backup.upkeep.catalog import LATEST, add_store, find, open_store, say, size

_MAP = "tablespace_map"
_SPARE = 1.02  # folders and rounding up to blocks


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore made."""

    target: Path
    tablespaces: Mapping[int, Path]
    files: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Where a backup is to be restored, and for whom."""

    target: Path
    mapping: Mapping[str, str]  # locations of tablespaces, old to new
    owner: str = ""  # a user to give the files to; only root can
    with_tool: bool = True  # ask pg_verifybackup too
    restore_command: str = ""  # fetches WAL from an archive, also what came after the backup


def restore(opened: Opened, order: Order) -> Restored:
    """Write a backup to an empty place, checked byte by byte; leave nothing where it fails."""
    published = opened.published
    spaces = _spaces(published, order.mapping)
    owner = _owner(order.owner)
    walk = Walk.begin(opened)
    _room_for(published, order.target)
    with ExitStack() as undo:
        landings = {0: _prepared(order.target, undo)}
        for oid, path in spaces.items():
            landings[oid] = _prepared(path, undo)
        _fill(walk, _Writer(landings))
        notes = _finish(walk, landings, with_tool=order.with_tool)
        if order.restore_command:
            prepare(landings[0].staging, order.restore_command)
        # Tablespaces first: a data directory whose tablespaces are not there yet must not start.
        for oid in sorted(landings, reverse=True):
            if owner is not None:
                landings[oid].give_to(*owner)
            landings[oid].land()
        undo.pop_all()
    return Restored(order.target, spaces, len(walk.seen), notes)


class _Writer:
    """A sink that writes each tablespace into its own landing."""

    def __init__(self, landings: Mapping[int, Landing]) -> None:
        self._landings = landings

    def folder(self, place: Place) -> None:
        """Create it."""
        self._landings[place.oid].folder(place.path)

    def file(self, place: Place, pieces: Iterator[bytes]) -> None:
        """Write it."""
        self._landings[place.oid].file(place.path, pieces)


def _fill(walk: Walk, sink: _Writer) -> None:
    published = walk.opened.published
    for archive in published.archives:
        if archive.role is not Role.MANIFEST:
            walk.archive(archive, sink)
    missing = walk.missing()
    if missing:
        raise Malformed(f"{published.id}: {'; '.join(missing[:3])}")
    manifest = published.of_role(Role.MANIFEST)[0]
    sink.file(Place(0, MANIFEST_NAME), walk.opened.plain(manifest))


def _finish(walk: Walk, landings: Mapping[int, Landing], *, with_tool: bool) -> tuple[str, ...]:
    """Link the tablespaces, and let Postgres' own tool look at the result."""
    published = walk.opened.published
    data = landings[0].staging
    # Postgres would make the links from this map, at the old places; pg_basebackup's plain format
    # makes them itself and keeps no map, and so do we.
    (data / _MAP).unlink(missing_ok=True)
    notes = []
    if with_tool:
        _link(data, {oid: landing.staging for oid, landing in landings.items() if oid})
        notes.append(
            run_pg_verifybackup(
                data,
                published.server_version // 10000,
                with_wal=published.wal is not WalMode.ARCHIVED,
                ignored=(_MAP, MARK, *(f"pg_tblspc/{oid}/{MARK}" for oid in landings if oid)),
            )
        )
    _link(data, {oid: landing.target for oid, landing in landings.items() if oid})
    notes += [
        f"{name} came with it: it will start as the standby that it is a copy of"
        for name in SIGNALS
        if (data / name).exists()
    ]
    return tuple(notes)


def _link(data: Path, spaces: Mapping[int, Path]) -> None:
    for oid, place in spaces.items():
        link = data / "pg_tblspc" / str(oid)
        link.parent.mkdir(mode=0o700, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(place)


def _prepared(path: Path, undo: ExitStack) -> Landing:
    landing = Landing.prepare(path)
    undo.callback(landing.discard)
    return landing


def _spaces(published: Published, mapping: Mapping[str, str]) -> dict[int, Path]:
    known = {one.location for one in published.tablespaces}
    strange = sorted(set(mapping) - known)
    if strange:
        has = ", ".join(sorted(known)) or "none"
        raise UserError(
            f"there is no tablespace at {safe(strange[0])}", f"this backup has: {safe(has)}"
        )
    places = {
        one.oid: Path(mapping.get(one.location, one.location)) for one in published.tablespaces
    }
    relative = [path for path in places.values() if not path.is_absolute()]
    if relative:
        raise UserError(f"tablespace {safe(str(relative[0]))} is no absolute path")
    if len(set(places.values())) < len(places):
        raise UserError("two tablespaces would share one directory", "give each its own")
    return places


def _room_for(published: Published, target: Path) -> None:
    above = next(path for path in (target.absolute(), *target.absolute().parents) if path.exists())
    free_bytes = shutil.disk_usage(above).free
    # Tablespaces may lie elsewhere, so only what surely goes here is counted.
    here = sum(one.plain_bytes for one in published.archives if one.role is not Role.TABLESPACE)
    if here * _SPARE > free_bytes:
        raise Failure(
            f"{target} has {size(free_bytes)} free, the backup needs {size(here)}",
            "nothing was written; use a larger volume",
        )


def _owner(name: str) -> tuple[int, int] | None:
    if not name:
        return None
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise UserError(f"there is no user {safe(name)} here", "mend --owner") from None
    if os.geteuid() not in (0, user.pw_uid):
        raise UserError(f"only root can give files to {name}", "run as root, or without --owner")
    return user.pw_uid, user.pw_gid


def mappings(words: Sequence[str]) -> dict[str, str]:
    """Read --tablespace-mapping OLD=NEW; a backslash keeps an equals sign, as in pg_basebackup."""
    found = {}
    for word in words:
        old, separator, new = word.replace("\\=", "\0").partition("=")
        old, new = old.replace("\0", "="), new.replace("\0", "=")
        if not separator or not old.startswith("/") or not new.startswith("/"):
            raise UserError(f"{safe(word)} is no mapping", "write OLD=NEW, both absolute paths")
        found[old.rstrip("/") or "/"] = new
    return found


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `restore`."""
    parser = subparsers.add_parser(
        "restore", help="write a backup to a new data directory", allow_abbrev=False
    )
    parser.add_argument("id", nargs="?", default=LATEST, metavar="ID", help="default: the latest")
    add_store(parser)
    parser.add_argument("--target", type=Path, required=True, metavar="DIR", help="new or empty")
    parser.add_argument(
        "--tablespace-mapping",
        "-T",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="put a tablespace elsewhere",
    )
    parser.add_argument("--owner", default="", metavar="USER", help="give the files to this user")
    parser.add_argument(
        "--restore-command",
        default="",
        metavar="CMD",
        help="fetches WAL from your archive, to its end; what --wal archived needs",
    )


def run(args: argparse.Namespace) -> int:
    """Restore, and say how to start it."""
    command = restore_command(args.restore_command)
    opened = open_backup(args)
    spaces = mappings(args.tablespace_mapping)
    order = Order(args.target, spaces, args.owner, restore_command=command)
    with sigterm_raises():
        done = restore(opened, order)
    files = counted(done.files, "file")
    say(f"{opened.published.id}: {files} in {done.target}, all as Postgres wrote them")
    for note in done.notes:
        say(note)
    say(how_to_start(opened.published, done.target, prepared=bool(command)))
    return Exit.DONE


def open_backup(args: argparse.Namespace) -> Opened:
    """Find the backup that the arguments name, with its key."""
    key = load_key(args.key_file)
    store = open_store(args)
    return Opened(store, find(store, args.id, key), key)


def how_to_start(published: Published, target: Path, *, prepared: bool = False) -> str:
    """What to do next; never to delete backup_label, which would corrupt the copy silently."""
    major = published.server_version // 10000
    start = f"start it with Postgres {major}: pg_ctl -D {target} start"
    if prepared:
        start += ", and it takes all the WAL that the archive has"
    elif published.wal is WalMode.ARCHIVED:
        start = (
            "it cannot start yet, for its WAL is in your archive: restore with --restore-command"
            f" 'cp /archive/%f %p', or set restore_command in {target}/postgresql.auto.conf and"
            f" `touch {target}/recovery.signal`; then {start}"
        )
    return f"{start} (keep backup_label: it is how Postgres knows where to begin)"
