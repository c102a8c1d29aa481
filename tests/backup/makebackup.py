"""Makes a published backup of a real scratch Postgres, without the client: pg_basebackup reads it.

The layout is what `backup.store.layout` says; the server belongs to the test session and goes
with it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup.postgres.manifest import parse_manifest
from backup.store.layout import (
    BASE_NAME,
    MANIFEST_CHECKSUMS,
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
from backup.store.seal import Key, Sealer, context_of
from backup.store.squeeze import Squeezer
from backup.store.store import Store

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
PORT = 55413
PIECE_BYTES = 300_001  # no multiple of anything, so that every boundary is crossed somewhere


@dataclass(frozen=True, slots=True)
class Cluster:
    """A scratch server: its folder, and who runs it."""

    folder: Path
    user: str | None

    def run(self, *command: str) -> str:
        """Run one of Postgres' programs as its owner."""
        done = subprocess.run(
            [str(PROGRAMS / command[0]), *command[1:]],
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement as superuser."""
        where = ["-h", str(self.folder), "-p", str(PORT), "-U", "postgres", "-d", database]
        return self.run("psql", *where, "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement).strip()

    @property
    def spaces(self) -> dict[int, str]:
        """The tablespaces besides the two built in."""
        rows = self.sql(
            "SELECT oid, pg_tablespace_location(oid) FROM pg_tablespace WHERE oid > 16000"
        )
        return {int(oid): place for oid, _, place in (row.partition("|") for row in rows.split())}


@contextlib.contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a server with some data and one tablespace; nothing of it stays."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip("needs Postgres 15's programs (Debian: postgresql-15)")
    user = "postgres" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="knockon-cluster."))
    try:
        if user:
            shutil.chown(folder, user)
        cluster = Cluster(folder, user)
        cluster.run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-k", "--no-sync")
        with (folder / "data/postgresql.auto.conf").open("a") as conf:
            # What a restored copy must not do, for the restore test to overrule.
            conf.write("archive_mode = on\narchive_command = '/bin/false'\nmax_connections = 30\n")
        options = f"-p {PORT} -k {folder} -h '' -F -c shared_buffers=16MB"
        cluster.run("pg_ctl", "-D", "data", "-o", options, "-l", "log", "-w", "start")
        try:
            _fill(cluster)
            yield cluster
        finally:
            cluster.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _fill(cluster: Cluster) -> None:
    cluster.run(
        "psql", "-h", str(cluster.folder), "-p", str(PORT), "-U", "postgres", "-Xqc", "SELECT 1"
    )
    (cluster.folder / "space").mkdir()
    if cluster.user:
        shutil.chown(cluster.folder / "space", cluster.user)
    cluster.sql(f"CREATE TABLESPACE side LOCATION '{cluster.folder}/space'")
    cluster.sql(
        "CREATE TABLE main_t AS SELECT n, md5(n::text) AS word FROM generate_series(1, 50000) n"
    )
    cluster.sql("CREATE INDEX ON main_t (word)")
    cluster.sql("CREATE TABLE side_t TABLESPACE side AS SELECT generate_series(1, 20000) AS n")


def publish(
    cluster: Cluster,
    store: Store,
    *,
    key: Key | None = None,
    now_s: float | None = None,
    checksums: str = MANIFEST_CHECKSUMS,
) -> Published:
    """Take one backup and publish it, as `knockon backup run` lays it out."""
    started_s = time.time() if now_s is None else now_s
    backup_id = new_id(started_s)
    with tempfile.TemporaryDirectory(prefix="taken.", dir=cluster.folder) as name:
        taken = Path(name)
        if cluster.user:
            shutil.chown(taken, cluster.user)
        cluster.run(
            *("pg_basebackup", "-h", str(cluster.folder), "-p", str(PORT), "-U", "postgres"),
            *("-Ft", "-D", f"{taken}/out", "--wal-method=fetch", "--checkpoint=fast"),
            *(f"--manifest-checksums={checksums}", "--no-sync"),
        )
        files = sorted((taken / "out").iterdir())
        archives = tuple(_archive(store, backup_id, file, key) for file in files)
        wal = parse_manifest((taken / "out" / MANIFEST_NAME).read_bytes()).wal[-1]
    published = Published(
        id=backup_id,
        started_at_s=started_s,
        finished_at_s=started_s + 2.5,
        server_version=150018,
        system_identifier=_identifier(cluster),
        timeline=wal.timeline,
        start_lsn=wal.start_lsn,
        end_lsn=wal.end_lsn,
        wal=WalMode.FETCH,
        archives=archives,
        tablespaces=tuple(Tablespace(oid, place) for oid, place in cluster.spaces.items()),
        key_id=key.id if key else "",
        tool="test",
    )
    store.put_new(published_key(backup_id), to_json(published, key.sign if key else None))
    return published


def _archive(store: Store, backup_id: str, file: Path, key: Key | None) -> Archive:
    roles = {BASE_NAME: Role.BASE, MANIFEST_NAME: Role.MANIFEST}
    name = stored_name(file.name, compressed=True, sealed=key is not None)
    return Archive(
        name=file.name,
        role=roles.get(file.name, Role.TABLESPACE),
        plain_bytes=file.stat().st_size,
        objects=put_parts(store, backup_id, name, _packed(file, backup_id, key)),
        compressed=True,
        sealed=key is not None,
    )


def _packed(file: Path, backup_id: str, key: Key | None) -> Iterator[bytes]:
    squeezer = Squeezer()
    sealer = Sealer(key, context_of(backup_id, file.name)) if key else None
    with file.open("rb") as source:
        while piece := source.read(PIECE_BYTES):
            packed = squeezer.feed(piece)
            yield sealer.feed(packed) if sealer else packed
    rest = squeezer.finish()
    yield sealer.feed(rest) + sealer.finish() if sealer else rest


def _identifier(cluster: Cluster) -> str:
    found = re.search(r"system identifier: +(\d+)", cluster.run("pg_controldata", "-D", "data"))
    assert found
    return found[1]


def processes_of(folder: Path) -> list[int]:
    """Processes that still work below a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str(folder) in (entry / "cmdline").read_text(
                "utf-8", "replace"
            ):
                found.append(int(entry.name))
    return found
