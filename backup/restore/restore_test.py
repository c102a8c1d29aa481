"""`knockon backup restore-test`: start Postgres on a restored copy, ask it, and throw it away."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
from psycopg import sql

from agent.errors import UserError
from agent.printable import safe
from agent.times import span
from agent.words import counted
from backup.exits import Exit
from backup.fields import Malformed
from backup.postgres.verifybackup import program
from backup.restore.recovery import SIGNALS, restore_command
from backup.restore.restore import Order, open_backup, restore
from backup.restore.scratch import Scratch, Setting, account_for, may_enter
from backup.restore.walk import Opened
from backup.stopped import sigterm_raises
from backup.store.layout import WalMode
from backup.upkeep.catalog import LATEST, add_store, say
from backup.upkeep.checks import Check, record

_FOLDER = "knockon-restore-test"
_OURS = re.compile(rf"{_FOLDER}\.(\d+)\.[0-9a-f]{{8}}")
_LARGEST_INDEXES = """
    SELECT c.oid, c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
    JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'btree' AND i.indisvalid AND i.indisready AND c.relkind = 'i'
      AND c.relpersistence = 'p'
    ORDER BY c.relpages DESC, c.oid LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Questions:
    """What the scratch server is asked."""

    role: str = "postgres"
    query: str = ""
    database: str = "postgres"
    indexes: int = 20
    timeout_s: float = 3600.0
    restore_command: str = ""
    user: str = ""
    programs: Path | None = None


def restore_test(opened: Opened, work: Path, questions: Questions) -> tuple[str, ...]:
    """Restore, start, ask; say what was found, or raise Malformed. Nothing is left behind."""
    published = opened.published
    if published.wal is WalMode.ARCHIVED and not questions.restore_command:
        raise UserError(
            f"{published.id} has no WAL of its own", "give --restore-command for your WAL archive"
        )
    major = published.server_version // 10000
    postgres = program("postgres", major, questions.programs)
    if postgres is None:
        raise UserError(f"there is no Postgres {major} here", "install it, or name --bin-dir")
    user = account_for(questions.user)
    with _folder(work, user) as folder:
        mapping = {one.location: str(folder / str(one.oid)) for one in published.tablespaces}
        began_s = time.monotonic()
        done = restore(opened, Order(folder / "data", mapping, user))
        said = [f"{counted(done.files, 'file')} restored in {span(time.monotonic() - began_s)}"]
        _prepare_recovery(folder / "data", archived=published.wal is WalMode.ARCHIVED)
        setting = Setting(
            postgres, folder, folder / "data", user, questions.restore_command, questions.role
        )
        scratch = Scratch.start(setting)
        try:
            ready_s = scratch.until_ready(questions.timeout_s)
            said.append(f"Postgres {major} consistent after {span(ready_s)}")
            said += _ask(scratch, questions)
        finally:
            scratch.stop()
    return (*said, *done.notes)


def _ask(scratch: Scratch, questions: Questions) -> Iterator[str]:
    try:
        databases = _databases(scratch)
        relations = sum(_relations(scratch, name) for name in databases)
        yield f"{counted(relations, 'relation')} in {counted(len(databases), 'database')}"
        checked = [_indexes(scratch, name, questions.indexes) for name in databases]
        if None in checked:
            yield "amcheck is not installed here: no index was checked"
        else:
            yield f"{counted(sum(filter(None, checked)), 'index', 'indexes')} sound (amcheck)"
        if questions.query:
            yield f"the query gave {safe(_own(scratch, questions), 200)}"
    except psycopg.Error as error:
        raise Malformed(f"Postgres started, then: {safe(str(error), 300)}") from None


def _databases(scratch: Scratch) -> tuple[str, ...]:
    with scratch.connect("template1") as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")
        return tuple(str(row[0]) for row in rows)


def _relations(scratch: Scratch, database: str) -> int:
    with scratch.connect(database) as connection:
        row = connection.execute("SELECT count(*), sum(relpages) FROM pg_class").fetchone()
        return int(row[0]) if row else 0


def _indexes(scratch: Scratch, database: str, most: int) -> int | None:
    """Check the largest B-trees; None where the extension is not there."""
    with scratch.connect(database) as connection:
        there = connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'")
        if there.fetchone() is None:
            return None
        schema = f"knockon_{secrets.token_hex(4)}"
        called = _amcheck(connection, schema)
        rows = connection.execute(_LARGEST_INDEXES, (most,)).fetchall()
        for oid, name in rows:
            try:
                connection.execute(sql.SQL("SELECT {}(%s::oid)").format(called), (oid,))
            except psycopg.Error as error:
                raise Malformed(
                    f"index {safe(str(name), 80)} in {safe(database, 80)}: {safe(str(error), 200)}"
                ) from None
        return len(rows)


def _amcheck(connection: psycopg.Connection, schema: str) -> sql.Identifier:
    """Where the function is: the copy may have the extension already, in any schema."""
    found = connection.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'amcheck'"
    ).fetchone()
    if found is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
        connection.execute(
            sql.SQL("CREATE EXTENSION amcheck SCHEMA {}").format(sql.Identifier(schema))
        )
    return sql.Identifier(str(found[0]) if found else schema, "bt_index_check")


def _own(scratch: Scratch, questions: Questions) -> str:
    """The user's query: its first row; no row, NULL or false is a failure."""
    with scratch.connect(questions.database) as connection:
        connection.execute("SET default_transaction_read_only = on")
        row = connection.execute(questions.query.encode()).fetchone()
    if row is None or row[0] is None or row[0] is False:
        raise Malformed(f"the query gave {'no row' if row is None else row[0]}")
    return ", ".join(str(value) for value in row)


def _prepare_recovery(data: Path, *, archived: bool) -> None:
    for name in SIGNALS:
        (data / name).unlink(missing_ok=True)
    if archived:
        (data / "recovery.signal").touch()


@contextlib.contextmanager
def _folder(work: Path, user: str) -> Iterator[Path]:
    """A folder of our own; those that killed runs left are removed first."""
    try:
        _sweep(work)
        folder = work / f"{_FOLDER}.{os.getpid()}.{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        if user:
            shutil.chown(folder, user)
    except OSError as error:
        raise UserError(f"{work}: {error.strerror}", "give --work-dir a directory") from None
    try:
        if user and not may_enter(folder, user):
            raise UserError(
                f"{user}, as whom Postgres would run, may not enter {work}",
                "chmod o+x it and the folders above, or give another --work-dir or --as-user",
            )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(work: Path) -> None:
    for one in work.iterdir():
        named = _OURS.fullmatch(one.name)
        if named and not one.is_symlink() and not psutil.pid_exists(int(named[1])):
            shutil.rmtree(one, ignore_errors=True)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `restore-test`."""
    parser = subparsers.add_parser(
        "restore-test", help="start a scratch Postgres on a backup", allow_abbrev=False
    )
    add = parser.add_argument
    add("id", nargs="?", default=LATEST, metavar="ID", help="default: the latest")
    add_store(parser)
    add("--work-dir", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR",
        help="where the copy is written meanwhile; needs room for all of it")  # fmt: skip
    add("--query", default="", metavar="SQL", help="its first value must be neither NULL nor false")
    add("--database", default="postgres", metavar="NAME", help="where the query runs")
    add("--role", default="postgres", metavar="NAME", help="a superuser of the backed-up cluster")
    add("--indexes", type=int, default=20, metavar="N", help="B-trees to check in each database")
    add("--timeout", type=float, default=3600.0, metavar="SECONDS", help="for the recovery")
    add("--restore-command", default="", metavar="CMD", help="for backups with --wal archived")
    add("--as-user", default="", metavar="USER", help="where run by root (default: postgres)")
    add("--bin-dir", type=Path, metavar="DIR", help="where postgres and pg_verifybackup are")


def run(args: argparse.Namespace) -> int:
    """Test, record the outcome beside the backup, and say it; status 3 where it is bad."""
    command = restore_command(args.restore_command)
    opened = open_backup(args)
    questions = Questions(
        role=args.role,
        query=args.query,
        database=args.database,
        indexes=args.indexes,
        timeout_s=args.timeout,
        restore_command=command,
        user=args.as_user,
        programs=args.bin_dir,
    )
    began_s = time.monotonic()
    try:
        with sigterm_raises():
            said, well = restore_test(opened, args.work_dir, questions), True
    except Malformed as wrong:
        said, well = (wrong.message,), False
    took_s = time.monotonic() - began_s
    now_s = time.time()  # noqa: TID251 - the edge: recorded for people
    check = Check(now_s, well, took_s, "; ".join(said))
    record(opened.store, opened.published.id, restore_test=check)
    say(f"{opened.published.id}: {'restores and starts' if well else 'does NOT restore'}")
    for line in said:
        say(f"  {safe(line, 400)}")
    say(f"  took {span(took_s)}")
    return Exit.DONE if well else Exit.NOT_VERIFIED
