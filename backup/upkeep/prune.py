"""`knockon backup prune`: delete old backups, and never the one that would be needed."""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import UserError
from agent.times import span
from agent.words import counted
from backup.exits import Exit
from backup.stopped import sigterm_raises
from backup.store.layout import published_key
from backup.store.lock import Lock, acquire
from backup.store.store import ObjectInfo, Store
from backup.upkeep.catalog import Catalog, Entry, add_store, open_store, read_catalog, say, size

DAY_S = 86400.0
_SKEW_ALLOWED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Policy:
    """What is to stay: so many good backups, and those younger than so many days; either counts."""

    keep: int = 0
    keep_days: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A backup that stays, and why."""

    entry: Entry
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done."""

    kept: tuple[Kept, ...]
    deleted: tuple[Entry, ...]


def plan(entries: Sequence[Entry], policy: Policy, now_s: float) -> Plan:
    """Decide for each backup, given from the oldest to the newest."""
    reasons = [_reason(entry, entries, policy, now_s) for entry in entries]
    return Plan(
        tuple(Kept(entry, why) for entry, why in zip(entries, reasons, strict=True) if why),
        tuple(entry for entry, why in zip(entries, reasons, strict=True) if not why),
    )


def _reason(entry: Entry, entries: Sequence[Entry], policy: Policy, now_s: float) -> str:
    """Say why a backup stays; nothing where it may go."""
    good = [one for one in entries if one.good]
    verified = [one for one in good if one.verified]
    if not good:
        return "there is no good backup at all: a bad one may be better than none"
    if verified and entry is verified[-1]:
        return "the newest verified one"
    if entry is good[-1]:
        return "the newest good one"
    if verified and entries.index(entry) > entries.index(verified[-1]):
        return "younger than the newest verified one"
    if entry in good[-policy.keep :] and policy.keep:
        return f"one of the {policy.keep} newest good ones"
    if policy.keep_days and now_s - entry.finished_at_s < policy.keep_days * DAY_S:
        return f"younger than {span(policy.keep_days * DAY_S)}"
    return ""


def leftovers(store: Store, catalog: Catalog, now_s: float) -> dict[str, tuple[ObjectInfo, ...]]:
    """Folders of runs that never finished, and of deletions cut short, untouched for a day."""
    found = {backup_id: store.list(backup_id) for backup_id in catalog.unpublished}
    return {
        backup_id: objects
        for backup_id, objects in found.items()
        if objects and now_s - max(one.modified_s for one in objects) > DAY_S
    }


def delete(store: Store, backup_id: str) -> None:
    """Delete one backup; its manifest goes first, so that half a backup never looks like one."""
    store.delete((published_key(backup_id),))
    store.delete([one.key for one in store.list(backup_id)])


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `prune`."""
    parser = subparsers.add_parser(
        "prune", help="delete old backups (shows what it would do first)", allow_abbrev=False
    )
    add_store(parser, keyed=False)
    add = parser.add_argument
    add("--keep", type=int, default=0, metavar="N", help="keep the N newest good ones")
    add("--keep-days", type=float, default=0.0, metavar="D", help="keep those younger than D days")
    add("--confirm", action="store_true", help="delete; without it, only say what would go")


def run(args: argparse.Namespace) -> int:
    """Say what goes and what stays, and with --confirm do it; status 7 where nothing goes."""
    policy = Policy(args.keep, args.keep_days)
    if policy.keep < 0 or policy.keep_days < 0 or not (policy.keep or policy.keep_days):
        raise UserError("nothing says what to keep", "give --keep N, --keep-days D, or both")
    store = open_store(args)
    if not args.confirm:
        return _prune(store, policy, None)
    here_s = time.time()  # noqa: TID251 - the edge
    lock = acquire(store, f"{socket.gethostname()} pid {os.getpid()}, prune", here_s)
    try:
        with sigterm_raises():
            return _prune(store, policy, lock)
    finally:
        lock.release()


def _prune(store: Store, policy: Policy, lock: Lock | None) -> int:
    here_s = time.time()  # noqa: TID251 - the edge
    catalog = read_catalog(store)
    now_s = _agreed_now_s(store, lock, here_s)
    decided = plan(catalog.entries, policy, now_s)
    left = leftovers(store, catalog, now_s)
    for kept in decided.kept:
        say(f"keep    {kept.entry.id}  {kept.why}")
    for entry in decided.deleted:
        say(
            f"delete  {entry.id}  {span(max(now_s - entry.finished_at_s, 0.0))} old, {_size(entry)}"
        )
    for backup_id, objects in left.items():
        stored = sum(one.size_bytes for one in objects)
        say(f"delete  {backup_id}  never finished, {size(stored)}")
    going = [*(entry.id for entry in decided.deleted), *left]
    if not going:
        say("nothing to delete")
        return Exit.NOTHING_TO_DO
    if lock is None:
        say(f"{counted(len(going), 'backup')} would be deleted; --confirm does it")
        return Exit.DONE
    for backup_id in going:
        lock.renew(time.time())  # noqa: TID251 - the edge
        delete(store, backup_id)
    say(f"{counted(len(going), 'backup')} deleted")
    return Exit.DONE


def _agreed_now_s(store: Store, lock: Lock | None, here_s: float) -> float:
    """The store's clock where we hold the lock; a clock that is far off must not decide on age."""
    if lock is None:
        return here_s
    there_s = store.now_s(f"clock-{lock.holder.token}")
    if abs(there_s - here_s) > _SKEW_ALLOWED_S:
        raise UserError(
            f"this machine's clock and the store's are {span(abs(there_s - here_s))} apart",
            "nothing was deleted; mend the clock first",
        )
    return there_s


def _size(entry: Entry) -> str:
    return size(entry.published.stored_bytes) if entry.published else "damaged"
