"""`knockon backup list`: every backup in a place, how old it is, and whether it was ever proved."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from agent.printable import safe
from agent.times import readable, rfc3339, span
from agent.words import counted
from backup.exits import Exit
from backup.fields import Malformed
from backup.store.errors import Missing
from backup.store.layout import Published, from_json, id_time_s, is_id, published_key
from backup.store.seal import KEY_VARIABLE, Key
from backup.store.store import Store
from backup.upkeep.checks import Check, Checks, read_checks

LATEST = "latest"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_HEADINGS = ("id", "finished", "size", "duration", "verified", "restore-tested", "age")


@dataclass(frozen=True, slots=True)
class Entry:
    """One backup of a listing: readable, or damaged."""

    id: str
    published: Published | None
    problem: str
    checks: Checks

    @property
    def finished_at_s(self) -> float:
        """When it was published; a damaged one is as old as its name says."""
        return self.published.finished_at_s if self.published else id_time_s(self.id)

    @property
    def good(self) -> bool:
        """Tell whether it can be relied on as far as anybody knows."""
        return self.published is not None and not self.checks.failed

    @property
    def verified(self) -> bool:
        """Tell whether its content was compared with Postgres' checksums, also in the stream."""
        if self.published is None or self.checks.failed:
            return False
        return self.checks.passed or self.published.verified_in_stream


@dataclass(frozen=True, slots=True)
class Catalog:
    """All in a place: backups by age, the oldest first, and folders that never became one."""

    entries: tuple[Entry, ...]
    unpublished: tuple[str, ...]


def read_catalog(store: Store) -> Catalog:
    """Look at every folder that bears a name of ours; nothing else is ours."""
    entries: list[Entry] = []
    unpublished: list[str] = []
    for backup_id in filter(is_id, store.folders()):
        entry = _entry(store, backup_id)
        if entry is None:
            unpublished.append(backup_id)
        else:
            entries.append(entry)
    entries.sort(key=lambda one: (one.finished_at_s, one.id))
    return Catalog(tuple(entries), tuple(unpublished))


def _entry(store: Store, backup_id: str) -> Entry | None:
    try:
        published = _own(from_json(store.read(published_key(backup_id))), backup_id)
    except Missing:
        return None
    except Malformed as damage:
        return Entry(backup_id, None, damage.message, Checks())
    return Entry(backup_id, published, "", read_checks(store, backup_id))


def _own(published: Published, backup_id: str) -> Published:
    if published.id != backup_id:
        raise Malformed(f"{backup_id}: its manifest belongs to {published.id}")
    return published


def find(store: Store, wanted: str, key: Key | None) -> Published:
    """Load one backup by id, or the latest good one; its key is checked before anything is read."""
    backup_id = _latest(store) if wanted == LATEST else wanted
    if not is_id(backup_id):
        raise UserError(f"{safe(wanted, 80)} is no backup's id", "see `knockon backup list`")
    try:
        data = store.read(published_key(backup_id))
    except Missing:
        raise UserError(
            f"{backup_id} does not exist in {store.where}, or was never finished",
            "see `knockon backup list`",
        ) from None
    published = _own(from_json(data), backup_id)
    _fits(published, key)
    if key is not None and published.key_id:
        from_json(data, key.check)
    return published


def _latest(store: Store) -> str:
    good = [entry.id for entry in read_catalog(store).entries if entry.good]
    if not good:
        raise UserError(f"{store.where} holds no good backup", "see `knockon backup list`")
    return good[-1]


def _fits(published: Published, key: Key | None) -> None:
    """An unencrypted manifest under a key may be a forgery that dropped the encryption: refuse."""
    if published.key_id and key is None:
        raise UserError(
            f"{published.id} is encrypted with key {safe(published.key_id, 20)}",
            f"give --key-file, or set {KEY_VARIABLE}",
        )
    if key is not None and published.key_id != key.id:
        made = f"key {safe(published.key_id, 20)}" if published.key_id else "no key"
        raise UserError(
            f"{published.id} was made with {made}, you gave key {key.id}",
            "give its own key, or none if it was never encrypted",
        )


def add_store(parser: argparse.ArgumentParser, *, keyed: bool = True) -> None:
    """Options that every command shares which reads backups."""
    parser.add_argument(
        "--from",
        "--store",
        dest="store",
        required=True,
        metavar="URL",
        help="where the backups are: file:///dir, s3://bucket/prefix, gs://…, az://…",
    )
    if keyed:
        parser.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help=f"the key of an encrypted backup; else {KEY_VARIABLE}",
        )


def open_store(options: argparse.Namespace) -> Store:
    """Open the place and prove that it lets us in."""
    store = Store.open(options.store)
    store.check()
    return store


def say(text: str) -> None:
    """Write one line to standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `list`."""
    parser = subparsers.add_parser("list", help="what backups there are", allow_abbrev=False)
    add_store(parser, keyed=False)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the list; status 7 when there is none."""
    catalog = read_catalog(open_store(args))
    now_s = time.time()  # noqa: TID251 - the edge: an age is told to a person
    say(as_json(catalog, now_s) if args.json else as_text(catalog, now_s))
    return Exit.DONE if catalog.entries else Exit.NOTHING_TO_DO


def as_text(catalog: Catalog, now_s: float) -> str:
    """Return a table, the oldest first, and what else lies there."""
    rows = [_HEADINGS, *(_row(entry, now_s) for entry in catalog.entries)]
    lines = _columns(rows) if catalog.entries else ["no backups"]
    for entry in catalog.entries:
        if entry.problem:
            lines.append(f"{entry.id}: {safe(entry.problem, 200)}")
        elif entry.checks.failed:
            lines += [f"{entry.id}: {safe(one.says, 200)}" for one in _bad(entry.checks)]
    if catalog.unpublished:
        lines.append(
            f"{counted(len(catalog.unpublished), 'folder')} of runs that did not finish;"
            " `knockon backup prune` removes them when they are a day old"
        )
    return "\n".join(lines)


def as_json(catalog: Catalog, now_s: float) -> str:
    """Return the same for scripts."""
    rows = [
        {
            "id": entry.id,
            "finished_at": rfc3339(entry.finished_at_s),
            "age_s": round(now_s - entry.finished_at_s, 3),
            "stored_bytes": entry.published.stored_bytes if entry.published else None,
            "duration_s": _duration_s(entry.published),
            "good": entry.good,
            "verified": entry.verified,
            "verified_at": _when(entry.checks.verify),
            "restore_tested_at": _when(entry.checks.restore_test),
            "encrypted": bool(entry.published and entry.published.key_id),
            "problem": entry.problem,
        }
        for entry in catalog.entries
    ]
    whole = {"schema": "knockon-list/v1", "backups": rows, "unpublished": catalog.unpublished}
    return json.dumps(whole, indent=1)


def _row(entry: Entry, now_s: float) -> tuple[str, ...]:
    published = entry.published
    in_stream = published is not None and published.verified_in_stream
    return (
        entry.id,
        readable(entry.finished_at_s),
        size(published.stored_bytes) if published else "damaged",
        span(_duration_s(published) or 0.0) if published else "-",
        _word(entry.checks.verify, "in the stream" if in_stream else "no"),
        _word(entry.checks.restore_test, "no"),
        _age(now_s - entry.finished_at_s),
    )


def _word(check: Check | None, otherwise: str) -> str:
    if check is None:
        return otherwise
    return f"{readable(check.at_s)[:10]}" if check.ok else "FAILED"


def _age(age_s: float) -> str:
    return span(age_s) if age_s >= 0 else f"{span(-age_s)} in the future"


def _bad(checks: Checks) -> list[Check]:
    return [one for one in (checks.verify, checks.restore_test) if one is not None and not one.ok]


def _when(check: Check | None) -> str | None:
    return rfc3339(check.at_s) if check is not None and check.ok else None


def _duration_s(published: Published | None) -> float | None:
    return published.finished_at_s - published.started_at_s if published else None


def size(count_bytes: int) -> str:
    """Format a size: "1.4 GB"."""
    number, unit = float(count_bytes), 0
    while number >= 999.5 and unit < len(_UNITS) - 1:
        number, unit = number / 1000, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {_UNITS[unit]}"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
