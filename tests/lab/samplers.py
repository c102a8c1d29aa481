"""What is sampled beside the journal: how long `docker ps` takes, and the machine's pressure."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from .box import Box

PROBE_COLUMNS = "start,cmd,seconds,rc"
PROBE_LIMIT_S = 30
PRESSURE_COLUMNS = (
    "ts,"
    + ",".join(
        f"{resource}_{share}_{value}"
        for resource in ("cpu", "io", "mem")
        for share in ("some", "full")
        for value in ("avg10", "total_us")
    )
    + ",disk,rd_ios,rd_merges,rd_sectors,rd_ms,wr_ios,wr_merges,wr_sectors,wr_ms,inflight,io_ms"
    + ",weighted_ms,load1,mem_available_kb"
)


def iso(at_s: float) -> str:
    """Return a time in UTC with milliseconds."""
    text = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Sampler:
    """Calls `sample` once a second in a thread of its own and keeps the lines it returns."""

    def __init__(self, columns: str, sample: Callable[[], str | None]) -> None:
        """Take the CSV header and the function that makes one line."""
        self._lines = [columns]
        self._sample = sample
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> Self:
        """Start sampling."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop sampling after the sample under way."""
        self._stop.set()
        self._thread.join(PROBE_LIMIT_S + 5)

    @property
    def csv(self) -> str:
        """Everything sampled so far, with its header."""
        return "\n".join(self._lines) + "\n"

    def _loop(self) -> None:
        due_s = time.monotonic()
        while not self._stop.wait(max(0.0, due_s - time.monotonic())):
            due_s = max(due_s + 1.0, time.monotonic())
            line = self._sample()
            if line:
                self._lines.append(line)


def probe(box: Box) -> Sampler:
    """Ask the runtime what the health monitor asks it, once a second."""

    def sample() -> str:
        start_s, before_s = time.time(), time.monotonic()
        argv = ["timeout", str(PROBE_LIMIT_S), "docker", "ps", "-q"]
        try:
            rc = box.enter(argv, PROBE_LIMIT_S + 3).returncode
        except subprocess.TimeoutExpired:
            rc = 124
        return f"{iso(start_s)},docker ps -q,{time.monotonic() - before_s:.3f},{rc}"

    return Sampler(PROBE_COLUMNS, sample)


def pressure(disk: str | None) -> Sampler | None:
    """Read the whole machine's pressure and its disk's counters; None where PSI is off."""
    if not Path("/proc/pressure/io").exists():
        return None
    return Sampler(PRESSURE_COLUMNS, lambda: _pressure_line(disk))


def main_disk() -> str | None:
    """Return the disk with the most I/O so far, the one worth watching."""
    disks = [line.split() for line in Path("/proc/diskstats").read_text().splitlines()]
    whole = [item for item in disks if Path(f"/sys/block/{item[2]}").exists()]
    busiest = max(whole, key=lambda item: int(item[5]) + int(item[9]), default=None)
    return busiest[2] if busiest else None


def _pressure_line(disk: str | None) -> str:
    cells = [iso(time.time())]
    for resource in ("cpu", "io", "memory"):
        cells += _psi(Path("/proc/pressure") / resource)
    cells += _disk(disk)
    cells.append(Path("/proc/loadavg").read_text().split()[0])
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    cells.append(meminfo["MemAvailable"].split()[0])
    return ",".join(cells)


def _psi(path: Path) -> list[str]:
    cells = {"some": ["", ""], "full": ["", ""]}
    for line in path.read_text().splitlines():
        share, *pairs = line.split()
        values = dict(pair.split("=") for pair in pairs)
        cells[share] = [values["avg10"], values["total"]]
    return cells["some"] + cells["full"]


def _disk(name: str | None) -> list[str]:
    for line in Path("/proc/diskstats").read_text().splitlines():
        fields = line.split()
        if fields[2] == name:
            return ["disk0", *fields[3:14]]
    return [""] * 12
