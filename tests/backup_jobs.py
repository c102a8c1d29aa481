"""Real base backups of a real Postgres, run as the CronJob's pod runs them: with a name of its own.

Each `knockon backup` is a process with its own host name and with the node's /run/knockon mounted,
so that what it announces reaches the agent of that node and of no other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agents import ROOT
from tests.backup import cluster as postgres
from tests.monitoring import free_port

STORE = "pg-main"
_INSIDE = """
hostname "$1"; mkdir -p /run/knockon; mount --bind "$2" /run/knockon
shift 2; exec "$@"
"""
_WAY_IN = ("unshare", "--mount", "--uts", *(() if os.geteuid() == 0 else ("--map-root-user",)))


@dataclass(frozen=True, slots=True)
class BackupJobs:
    """The CronJobs of one database: its server, its store, and where their metrics are kept."""

    server: postgres.Cluster
    folder: Path
    textfiles: Path
    port: int

    @property
    def store(self) -> str:
        """What --to and --from say."""
        return f"file://{self.folder}/{STORE}"

    @contextmanager
    def started(
        self, pod: str, announcements: Path, *options: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a backup in the background, in a pod's namespaces; it is gone afterwards."""
        words = ["run", "--dsn", self.server.dsn, "--to", self.store, "--fast-checkpoint"]
        words += ["--deadline", "1h", "--metrics-port", str(self.port), *options]
        inside = ["sh", "-ec", _INSIDE, "pod", pod, str(announcements)]
        line = [*_WAY_IN, *inside, *_knockon_backup(*words, *self._kept())]
        process = subprocess.Popen(line, cwd=ROOT, stderr=subprocess.PIPE)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)

    def check(self, word: str, *options: str) -> str:
        """Run `verify` or `restore-test` as its CronJob does, and return what it printed."""
        return self.ask(word, *options, *self._kept())

    def ask(self, word: str, *options: str) -> str:
        """Run a command on the store; its output, or a failed test with it."""
        return self.typed("backup", word, "--from", self.store, *options)

    def typed(self, *words: str) -> str:
        """Run any `knockon` command where the database is the one that the PG* variables name."""
        server = self.server
        where = {"PGHOST": str(server.folder), "PGPORT": str(server.port), "PGUSER": server.user}
        path = f"{server.programs}:{os.environ['PATH']}"
        done = subprocess.run(
            [sys.executable, "-m", "agent", *words],
            cwd=ROOT,
            env={**os.environ, **where, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout or done.stderr

    def _kept(self) -> tuple[str, str]:
        return "--metrics-textfile", str(self.textfiles)


def _knockon_backup(*words: str) -> list[str]:
    return [sys.executable, "-m", "agent", "backup", *words]


@contextmanager
def backup_jobs(folder: Path, scale: int) -> Iterator[BackupJobs]:
    """A server with about 25 + 15 x scale MB; skips where no namespace of our own can be had."""
    if subprocess.run([*_WAY_IN, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a backup cannot be given a host name of its own here: unshare is refused")
    with ExitStack() as scope:
        # pytest's own folders are closed to Postgres' user.
        made = tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True)
        place = Path(scope.enter_context(made))
        server = scope.enter_context(postgres.running(place, postgres.free_port()))
        server.bench("-i", "-q", "-s", str(scale))
        textfiles = folder / "textfiles"
        textfiles.mkdir()
        yield BackupJobs(server, folder, textfiles, free_port())
