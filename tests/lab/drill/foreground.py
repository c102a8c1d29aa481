"""The application: pgbench in an open loop, so that a transaction that waits in line counts too."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from bench.backup.server import programs

CLIENTS = 8


class Foreground:
    """Reads a database at a fixed rate until stopped; `waits_s` gives what is new each time.

    pgbench writes its log by the page, some thirty bytes a transaction: at 40 a second there is
    news every third second.
    """

    def __init__(self, socket_folder: Path, tps: int, folder: Path) -> None:
        how = ["-n", "-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-l", "-T", "36000"]
        where = ["-h", str(socket_folder), "-U", "postgres", "postgres"]
        self._command = [str(programs() / "pgbench"), *how, "-R", str(tps), *where]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._read: dict[Path, int] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Connect, again when the database went away: an application's pool does that too."""
        self._process = subprocess.Popen(
            self._command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def connected(self) -> bool:
        """Whether it still runs; it ends when the last of its connections breaks."""
        return self._process is not None and self._process.poll() is None

    def waits_s(self) -> list[float]:
        """What each transaction took that ended since the last call, from when it was due."""
        found: list[float] = []
        for log in self._folder.glob("pgbench_log.*"):
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read[log] = self._read.get(log, 0) + len(whole)
            for line in whole.splitlines():
                took = line.split()[2]
                if took.isdigit():  # "skipped", "failed" are no time
                    found.append(int(took) / 1e6)
        return found
