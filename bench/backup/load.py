"""The foreground: pgbench in an open loop, so that a transaction that waits in line counts too."""

from __future__ import annotations

import mmap
import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

from backup.simulation.plant import Waited
from bench.backup.server import Server
from bench.backup.trace import Phase

CLIENTS = 8
PROBE_GAP_S = 0.1
PROBE_PATIENCE_S = 2.0
"""What takes longer would be a missed health check."""


class Pgbench:
    """One phase of the foreground."""

    def __init__(self, server: Server, phase: Phase, folder: Path) -> None:
        self._folder = folder
        self._length_s = phase.length_s
        folder.mkdir(parents=True)
        rate = ["-R", str(phase.tps), "-T", str(max(1, round(phase.length_s)))]
        how = ["-n", "-S", "-M", "prepared", "-c", str(CLIENTS), "-j", "1", "-l"]
        command = [server.program("pgbench"), *how, *rate, *server.where, "postgres"]
        self._process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def waits(self) -> list[Waited]:
        """Wait for the end, and return what each transaction took from when it was due."""
        try:
            self._process.wait(self._length_s + 30.0)
        finally:
            self._process.kill()
        found: list[Waited] = []
        for log in self._folder.glob("pgbench_log.*"):
            for line in log.read_text().splitlines():
                took, ended_s, ended_us = (line.split()[column] for column in (2, 4, 5))
                if took.isdigit():  # "skipped", "failed" are no time
                    took_s = int(took) / 1e6
                    found.append(Waited(int(ended_s) + int(ended_us) / 1e6 - took_s, took_s))
        return found


class RuntimeProbe:
    """Asks for a block of a file of its own on the same disk, as a runtime does for its state."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(os.urandom(16 << 20))
        os.sync()
        self._file = file
        self._took_s: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runtime", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=10.0)

    def take(self) -> list[float]:
        """Return what the questions since the last call took."""
        taken, self._took_s = self._took_s, []
        return taken

    def _run(self) -> None:
        fd = os.open(self._file, os.O_RDONLY | os.O_DIRECT)
        buffer = mmap.mmap(-1, 4096)
        blocks = os.fstat(fd).st_size // 4096
        while not self._stopped.wait(random.expovariate(1 / PROBE_GAP_S)):
            began_s = time.monotonic()
            os.preadv(fd, [buffer], random.randrange(blocks) * 4096)
            self._took_s.append(time.monotonic() - began_s)
        os.close(fd)
