"""A Postgres of our own under the temporary directory, gone when we are, however we went."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PLACES = ("/usr/lib/postgresql/{}/bin", "/usr/pgsql-{}/bin")
_SETTINGS = """
port = {port}
unix_socket_directories = '{folder}'
listen_addresses = '127.0.0.1'
fsync = off
autovacuum = off
max_wal_size = 4GB
wal_sender_timeout = 5s
archive_command = 'true'
"""
# Reads until the tests' end of the pipe closes, which it also does when they are killed.
_UNDERTAKER = 'read -r _; "$1/pg_ctl" -D "$2/data" -m immediate -w stop; rm -rf "$2" "$3"'


@dataclass(frozen=True, slots=True)
class Cluster:
    """One running server."""

    programs: Path
    folder: Path
    port: int
    clients: Path  # psql and pgbench speak to servers of every version
    user: str = "postgres"

    @property
    def dsn(self) -> str:
        """Over its unix socket, as the superuser."""
        return f"host={self.folder} port={self.port} user={self.user}"

    @property
    def tcp_dsn(self) -> str:
        """Over loopback."""
        return f"host=127.0.0.1 port={self.port} user={self.user}"

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run SQL, return unaligned rows."""
        return self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text)

    def bench(self, *arguments: str) -> str:
        """Run pgbench."""
        return self._run("pgbench", *arguments, "postgres")

    def restart(self) -> None:
        """Stop and start it, for settings that want that."""
        control: list[str | Path] = [
            self.programs / "pg_ctl",
            "-D",
            self.data,
            "-l",
            self.folder / "log",
            "-w",
        ]
        as_owner([*control, "-m", "fast", "restart"])

    def tablespace(self, name: str) -> None:
        """Make a tablespace in a folder of its own."""
        place = self.folder / name
        if not place.exists():
            as_owner(["mkdir", place])
            self.sql(f"CREATE TABLESPACE {name} LOCATION '{place}'")

    def reload(self) -> None:
        """Make the server read its configuration again."""
        self.sql("SELECT pg_reload_conf()")
        time.sleep(0.3)

    def walsenders(self) -> list[int]:
        """The processes that send a backup or WAL."""
        rows = self.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'")
        return [int(row) for row in rows.split()]

    def backup_pid(self, patience_s: float = 15.0) -> int:
        """Wait until a backup streams, and return who sends it."""
        return int(
            self.until(
                "SELECT pid FROM pg_stat_progress_basebackup"
                " WHERE phase = 'streaming database files' AND backup_streamed > 0",
                patience_s,
            )
        )

    def quiet(self, patience_s: float = 5.0) -> bool:
        """Wait until no walsender and no slot is left."""
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if (
                not self.walsenders()
                and self.sql("SELECT count(*) FROM pg_replication_slots") == "0"
            ):
                return True
            time.sleep(0.05)
        return False

    def until(self, question: str, patience_s: float) -> str:
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            if found := self.sql(question):
                return found
            time.sleep(0.02)
        raise AssertionError(f"never true: {question}")

    def _run(self, program: str, *arguments: str) -> str:
        where = ("-h", str(self.folder), "-p", str(self.port), "-U", self.user)
        done = subprocess.run(
            [self.clients / program, *where, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def programs() -> Path:
    """Where Postgres' programs are, the newest first; skips where there is none."""
    for version in range(18, 12, -1):
        for place in _PLACES:
            folder = Path(place.format(version))
            if (folder / "initdb").exists():
                return folder
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    pytest.skip("no Postgres server here: apt-get install postgresql-15")


def free_port() -> int:
    """A port that nobody uses now: two suites may run on one machine."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def as_owner(command: list[str | Path]) -> None:
    """Run as somebody who is not root, as Postgres wants it."""
    subprocess.run(command, check=True, capture_output=True, user=_owner())


def _owner() -> str | None:
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip("root may not run Postgres, and there is no user postgres")
    return "postgres"


@contextlib.contextmanager
def running(folder: Path, port: int, server: Path | None = None) -> Iterator[Cluster]:
    """Make a cluster, start it, and take it away afterwards."""
    clients = programs()
    cluster = Cluster(server or clients, folder / "pg", port, clients)
    cluster.folder.mkdir(parents=True)
    folder.chmod(0o755)
    if owner := _owner():
        shutil.chown(cluster.folder, owner)
        shutil.chown(folder, owner)  # so that the undertaker may remove it too
    as_owner(
        [
            cluster.programs / "initdb",
            "-D",
            cluster.data,
            "-A",
            "trust",
            "-U",
            "postgres",
            "-k",
            "-N",
        ]
    )
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS.format(port=port, folder=cluster.folder))
    with _undertaker(cluster, folder):
        log = cluster.folder / "log"
        as_owner([cluster.programs / "pg_ctl", "-D", cluster.data, "-l", log, "-w", "start"])
        yield cluster


@contextlib.contextmanager
def _undertaker(cluster: Cluster, folder: Path) -> Iterator[None]:
    arguments = [cluster.programs, cluster.folder, folder]
    process = subprocess.Popen(
        ["sh", "-c", _UNDERTAKER, "undertaker", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=_owner(),
    )
    try:
        yield
    finally:
        process.communicate(timeout=60)
