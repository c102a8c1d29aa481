"""A Postgres on the slow disk that has to read it: little memory, and its cache emptied."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent.errors import UserError

PORT = 55480
EVICT_EVERY_S = 0.5
OWNER = "postgres"
_SETTINGS = f"""
port = {PORT}
listen_addresses = ''
shared_buffers = 16MB
fsync = off
autovacuum = off
max_wal_size = 1GB
checkpoint_timeout = 1h
bgwriter_lru_maxpages = 0
"""


@dataclass(frozen=True, slots=True)
class Server:
    """One running server."""

    programs: Path
    folder: Path

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def dsn(self) -> str:
        """Over its unix socket, as the superuser."""
        return f"host={self.folder} port={PORT} user={OWNER}"

    @property
    def where(self) -> list[str]:
        """The same, for Postgres' own programs."""
        return ["-h", str(self.folder), "-p", str(PORT), "-U", OWNER]

    def program(self, name: str) -> str:
        """Return the path of one of Postgres' programs."""
        return str(self.programs / name)

    def sql(self, text: str) -> str:
        """Run SQL, return unaligned rows."""
        command = [self.program("psql"), "-XAtq", *self.where, "-d", "postgres", "-c", text]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def size_bytes(self) -> int:
        """How much there is to back up."""
        return int(self.sql("SELECT pg_database_size('postgres')"))

    def senders(self) -> list[int]:
        """The processes that read for a backup."""
        return [int(pid) for pid in self.sql("SELECT pid FROM pg_stat_progress_basebackup").split()]

    def streamed_bytes(self) -> int:
        """What a streaming backup has read so far; 0 while there is none."""
        asked = "SELECT sum(backup_streamed) FROM pg_stat_progress_basebackup"
        return int(self.sql(asked) or 0)

    def end_backups(self) -> None:
        """Stop whoever reads: a client that is merely killed lets the server read on."""
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_progress_basebackup")

    def files(self) -> list[Path]:
        """All files of the database, the big ones first."""
        found = [file for file in (self.data / "base").rglob("*") if file.is_file()]
        return sorted(found, key=lambda file: -file.stat().st_size)

    def stop(self) -> None:
        """Stop at once."""
        _as_owner([self.program("pg_ctl"), "-D", str(self.data), "-m", "immediate", "stop"])


def programs() -> Path:
    """Where Postgres' programs are, the newest first."""
    for version in range(18, 12, -1):
        folder = Path(f"/usr/lib/postgresql/{version}/bin")
        if (folder / "pgbench").exists() or (folder / "initdb").exists():
            return folder
    raise UserError("no Postgres server here", "apt-get install postgresql")


def start(folder: Path, scale: int) -> Server:
    """Make a server with pgbench's tables; 1.5 GB are scale 100."""
    server = Server(programs(), folder)
    shutil.chown(folder, OWNER)
    data = str(server.data)
    _as_owner([server.program("initdb"), "-D", data, "-A", "trust", "-U", OWNER, "-k", "-N"])
    with (server.data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS + f"unix_socket_directories = '{folder}'\n")
    log = str(folder / "log")
    _as_owner([server.program("pg_ctl"), "-D", data, "-l", log, "-w", "start"])
    steps = ["-i", "-q", "-I", "dtGvp", "-s", str(scale)]
    command = [server.program("pgbench"), *steps, *server.where, "postgres"]
    subprocess.run(command, capture_output=True, check=True)
    server.sql("VACUUM (FREEZE, ANALYZE)")
    server.sql("CHECKPOINT")
    os.sync()
    return server


class Evictor:
    """Keeps the page cache empty of the database, as if memory were small.

    A memory limit would do it better, but would count the walsender's reads against everybody.
    """

    def __init__(self, files: list[Path]) -> None:
        self._fds = [os.open(file, os.O_RDONLY | os.O_CLOEXEC) for file in files]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="evictor", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        for fd in self._fds:
            os.close(fd)

    def _run(self) -> None:
        while not self._stopped.wait(EVICT_EVERY_S):
            for fd in self._fds:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def _as_owner(command: list[str]) -> None:
    subprocess.run(command, capture_output=True, check=True, user=OWNER, cwd="/")
