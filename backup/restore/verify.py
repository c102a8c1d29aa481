"""`knockon backup verify`: read a backup back and compare every byte with what should be there."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agent.errors import UserError
from agent.printable import safe
from agent.times import span
from agent.words import counted
from backup.exits import Exit
from backup.fields import Malformed
from backup.restore.restore import Order, open_backup, restore
from backup.restore.walk import Nowhere, Opened, Walk
from backup.stopped import sigterm_raises
from backup.store.layout import Role
from backup.upkeep.catalog import LATEST, add_store, say
from backup.upkeep.checks import Check, record

_MOST_TOLD = 20


def problems(opened: Opened) -> Iterator[str]:
    """Say everything that is wrong: first what a listing shows, then what reading shows."""
    listed = list(_listed_wrong(opened))
    yield from listed
    if listed:
        return
    try:
        walk = Walk.begin(opened)
    except Malformed as wrong:
        yield wrong.message
        return
    whole = True
    for archive in opened.published.archives:
        if archive.role is Role.MANIFEST:
            continue
        try:
            walk.archive(archive, Nowhere())
        except Malformed as wrong:
            whole = False
            yield wrong.message
    if whole:  # else what was not reached would be told as missing
        yield from walk.missing()


def _listed_wrong(opened: Opened) -> Iterator[str]:
    """One listing finds what is gone or cut, before terabytes are read."""
    published = opened.published
    sizes = {info.key: info.size_bytes for info in opened.store.list(published.id)}
    for archive in published.archives:
        if not archive.objects:
            yield f"{archive.name}: it has no objects"
        for one in archive.objects:
            found = sizes.get(f"{published.id}/{one.key}")
            if found is None:
                yield f"{one.key}: the object is gone"
            elif found != one.size_bytes:
                yield f"{one.key}: {found} bytes where {one.size_bytes} were stored"


def with_tool(opened: Opened, scratch: Path) -> str:
    """Unpack into a scratch directory, let pg_verifybackup read it, and remove it again."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="knockon-verify.", dir=scratch)
    except OSError as error:
        raise UserError(f"{scratch}: {error.strerror}", "give --scratch a directory") from None
    with folder as name:
        mapping = {one.location: f"{name}/{one.oid}" for one in opened.published.tablespaces}
        done = restore(opened, Order(Path(name, "data"), mapping))
    return done.notes[0]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `verify`."""
    parser = subparsers.add_parser(
        "verify", help="compare a backup with its checksums", allow_abbrev=False
    )
    parser.add_argument("id", nargs="?", default=LATEST, metavar="ID", help="default: the latest")
    add_store(parser)
    parser.add_argument(
        "--scratch",
        type=Path,
        metavar="DIR",
        help="unpack there for a while, and let pg_verifybackup read it too",
    )


def run(args: argparse.Namespace) -> int:
    """Verify, record what was found beside the backup, and say it; status 3 where it is bad."""
    started_s = time.monotonic()
    opened = open_backup(args)
    found = [wrong for wrong, _ in zip(problems(opened), range(_MOST_TOLD), strict=False)]
    second = ""
    if not found and args.scratch is not None:
        try:
            with sigterm_raises():
                second = with_tool(opened, args.scratch)
        except Malformed as wrong:
            found.append(wrong.message)
    took_s = time.monotonic() - started_s
    says = found[0] if found else "every file is as Postgres listed it" + (second and f"; {second}")
    check = Check(time.time(), not found, took_s, says)  # noqa: TID251 - the edge: recorded for people
    record(opened.store, opened.published.id, verify=check)
    _tell(opened.published.id, found, f"{says}, read in {span(took_s)}")
    return Exit.NOT_VERIFIED if found else Exit.DONE


def _tell(backup_id: str, found: list[str], well: str) -> None:
    if not found:
        say(f"{backup_id}: {well}")
        return
    many = f"{'at least ' if len(found) == _MOST_TOLD else ''}{counted(len(found), 'problem')}"
    say(f"{backup_id}: NOT as it should be, {many}; do not rely on it")
    for wrong in found:
        say(f"  {safe(wrong, 300)}")
