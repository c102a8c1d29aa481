"""Who makes the backup: each arm starts one, and is ended without a walsender left reading."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.backup.server import OWNER, Server

STARTED_S = 30.0


@dataclass(frozen=True, slots=True)
class Arm:
    """A name for the table, and the command that backs the server up."""

    name: str
    command: Callable[[Server, Path], Sequence[str]] | None = None
    user: str | None = None
    idle_sender: bool = False
    env: dict[str, str] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self, server: Server, scratch: Path) -> Iterator[None]:
        """Start the backup, wait until it reads, and leave nothing of it behind."""
        if self.command is None:
            yield
            return
        scratch.mkdir(parents=True)
        scratch.chmod(0o777)
        with (scratch / "said").open("wb") as said:
            process = subprocess.Popen(
                list(self.command(server, scratch)),
                stdout=subprocess.DEVNULL,
                stderr=said,
                user=self.user,
                cwd=Path(__file__).parents[2],
                env=os.environ | self.env,
                start_new_session=True,
            )
            try:
                _await_reading(server, process)
                if self.idle_sender:
                    _make_idle(server.senders())
                yield
            finally:
                server.end_backups()
                _end(process)
        shutil.rmtree(scratch, ignore_errors=True)


def _await_reading(server: Server, process: subprocess.Popen[bytes]) -> None:
    until_s = time.monotonic() + STARTED_S
    while time.monotonic() < until_s and process.poll() is None:
        if server.streamed_bytes() or _files_opened(server, process.pid):
            return
        time.sleep(0.02)


def _files_opened(server: Server, leader: int) -> bool:
    """A tool that reads files itself has begun when one of its processes holds one open."""
    data = str(server.data)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if int(stat.read_text().rpartition(")")[2].split()[2]) == leader and any(
                str(fd.readlink()).startswith(f"{data}/base")
                for fd in (stat.parent / "fd").iterdir()
            ):
                return True
    return False


def _make_idle(pids: Sequence[int]) -> None:
    for pid in pids:
        subprocess.run(["ionice", "-c3", "-p", str(pid)], check=False)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pg_basebackup(*more: str) -> Callable[[Server, Path], Sequence[str]]:
    def command(server: Server, scratch: Path) -> Sequence[str]:
        del scratch
        how = ["-D", "-", "-Ft", "-X", "none", "-c", "fast", *server.where]
        *before, rate = more or ("",)
        return [*before, server.program("pg_basebackup"), *how, *([rate] if rate else [])]

    return command


def _ours(server: Server, scratch: Path) -> Sequence[str]:
    where = ["--dsn", server.dsn, "--to", f"file://{scratch}/store"]
    return [sys.executable, "-m", "agent", "backup", "run", *where, "--fast-checkpoint"]


def fixed(rate_bytes_per_s: float) -> Arm:
    """One number for the whole run, set on the server."""
    rate = f"--max-rate={round(rate_bytes_per_s / 1024)}k"
    return Arm(f"fixed {rate_bytes_per_s / 1e6:g} MB/s", _pg_basebackup(rate))


def oracle(rates: Sequence[tuple[float, float]]) -> Arm:
    """One that knows what is coming: from when on how many bytes a second."""
    written = ",".join(f"{from_s:g}:{rate:.0f}" for from_s, rate in rates)

    def command(server: Server, scratch: Path) -> Sequence[str]:
        del scratch
        return [sys.executable, "-m", "bench.backup.oracle", server.dsn, written]

    return Arm("oracle", command)


def pgbackrest(server: Server, scratch: Path) -> Sequence[str]:
    """Debian's pgBackRest with one process; it reads the files itself."""
    repo, folder = scratch / "repo", str(server.folder)
    common = [
        "--stanza=bench",
        f"--pg1-path={server.data}",
        f"--pg1-socket-path={folder}",
        f"--pg1-port={server.where[3]}",
        f"--repo1-path={repo}",
        f"--lock-path={scratch}/lock",
        f"--log-path={scratch}/log",
    ]
    made = ["pgbackrest", *common, "stanza-create"]
    subprocess.run(made, user=OWNER, check=True, capture_output=True, cwd="/")
    quick = ["--no-archive-check", "--start-fast", "--process-max=1", "--compress-type=zst"]
    return ["pgbackrest", *common, *quick, "--compress-level=1", "--type=full", "backup"]


NONE = Arm("none")
OURS = Arm("knockon", _ours)
UNTHROTTLED = Arm("pg_basebackup", _pg_basebackup())
IDLE_CLIENT = Arm("+ ionice idle, nice 19", _pg_basebackup("ionice", "-c3", "nice", "-n19", ""))
IDLE_SENDER = Arm("+ ionice idle on walsender", _pg_basebackup(), idle_sender=True)
PGBACKREST = Arm("pgBackRest, 1 process", pgbackrest, user=OWNER)
