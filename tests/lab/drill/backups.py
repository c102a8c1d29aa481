"""Who makes the backup: the four arms of the drill, each a set of real programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.backup.server import programs
from tests.lab.drill.node import DATABASE, Node
from tests.lab.drill.setting import Ending, Setting

ROOT = Path(__file__).resolve().parents[3]
_STARTED_S = 60.0
_SENDERS = "SELECT pid FROM pg_stat_progress_basebackup"


@dataclass(slots=True)
class Backup:
    """A backup under way: its processes, and whether they are done."""

    processes: list[subprocess.Popen[bytes]]
    log: Path | None = None
    planned: int = 0
    """How many processes it will have; they begin one after the other."""

    @property
    def ended(self) -> bool:
        """Whether nobody reads any more."""
        begun = len(self.processes) == self.planned
        return begun and all(one.poll() is not None for one in self.processes)

    @property
    def succeeded(self) -> bool:
        """Whether all of it was taken."""
        return self.planned > 0 and self.ended and all(one.poll() == 0 for one in self.processes)

    @property
    def said(self) -> str:
        """The end of what it said."""
        return self.log.read_text(errors="replace")[-2000:] if self.log else ""


@contextlib.contextmanager
def taking(ending: Ending, setting: Setting, node: Node, scratch: Path) -> Iterator[Backup]:
    """Start the backup of an arm; nothing of it reads on afterwards."""
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "said"
    commands = _commands(ending, setting, node, scratch)
    backup, over = Backup([], log, len(commands)), threading.Event()

    def begin() -> None:
        for number, command in enumerate(commands):
            if over.wait(setting.apart_s if number else 0.0):
                return
            with log.open("ab") as said:
                backup.processes.append(_start(command, said))
            if ending is Ending.IONICE:
                _make_idle(node, len(backup.processes), over)

    log.touch()
    thread = threading.Thread(target=begin, name="backups", daemon=True)
    thread.start()
    try:
        yield backup
    finally:
        over.set()
        thread.join(_STARTED_S)
        for process in backup.processes:
            _end(process)
        shutil.rmtree(scratch / "store", ignore_errors=True)


def _start(command: Sequence[str], said: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=said, cwd=ROOT, start_new_session=True
    )


def _commands(ending: Ending, setting: Setting, node: Node, scratch: Path) -> list[Sequence[str]]:
    if ending is Ending.NONE:
        return []
    if ending is Ending.GOVERNED:
        return [_governed(setting, node, scratch)]
    where = ["-h", str(node.box.root / DATABASE), "-U", "postgres"]
    how = ["-X", "none", "-c", "fast", *where]
    program = str(programs() / "pg_basebackup")
    before = ["ionice", "-c3", "nice", "-n19"] if ending is Ending.IONICE else []
    return [
        [*before, program, *_target(setting, node, number), *how]
        for number in range(setting.streams)
    ]


def _target(setting: Setting, node: Node, number: int) -> list[str]:
    if not setting.kept:
        return ["-D", "-", "-Ft"]
    return ["-D", str(node.box.root / DATABASE / f"backup-{number}")]


def _governed(setting: Setting, node: Node, scratch: Path) -> Sequence[str]:
    store = node.box.root / DATABASE / "store" if setting.kept else scratch / "store"
    return [
        sys.executable, "-m", "agent", "backup", "run", "--dsn", node.dsn, "--to", f"file://{store}",
        "--fast-checkpoint", "--probe", f"docker://{node.box.root}/run/docker.sock",
    ]  # fmt: skip


def _make_idle(node: Node, count: int, over: threading.Event) -> None:
    """The readers are the server's: an idle client alone changes nothing for the disk."""
    until_s = time.monotonic() + _STARTED_S
    pids: list[str] = []
    while time.monotonic() < until_s and len(pids) < count and not over.is_set():
        asked = f"timeout 10 psql -XAtq -h /srv/pg -U postgres -c '{_SENDERS}'"
        pids = node.box.sh(asked, 30).stdout.split()
        time.sleep(0.5)
    for pid in pids:
        node.box.sh(_idle_in_container(pid), 30)


def _idle_in_container(pid: str) -> str:
    """Postgres knows its processes by the numbers of its own container."""
    return (
        "for status in /proc/[0-9]*/status; do"
        f" grep -q '^NSpid:.*[[:space:]]{pid}$' $status && grep -q '^Name:[[:space:]]*postgres'"
        " $status && p=${status%/status} && ionice -c3 -p ${p#/proc/}; done; true"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(15.0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
