"""Starts `knockon backup exec` as a process of its own, and looks at what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backup.levers.cgroup_group import PREFIX, pid_space

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 20.0
_MAIN = """
import math, sys
from agent.recorder.host import Host
from backup.foreign import exec as command
from backup.foreign.governor import Wish
from pathlib import Path
rate, slice_s, freeze, *argv = sys.argv[1:]

class Fixed:
    def start(self): pass
    def stop(self): pass
    def allowed_bytes_per_s(self): return float(rate)
    def take_notices(self): return []
    def summary(self): return ""

job = command.Job(tuple(argv), Wish(Path.cwd()), freeze == "freeze", float(slice_s))
sys.exit(command.execute(job, Host(), lambda progress: Fixed()))
"""


def command(*argv: str, options: tuple[str, ...] = ("--quiet",)) -> list[str]:
    """The command line of a governed program."""
    main = "import sys; from backup.commands import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-c", main, "exec", *options, "--", *argv]


def at_rate(rate: float, *argv: str, freeze: bool = True, slice_s: float = 0.2) -> list[str]:
    """The same with a governor that knows one rate."""
    how = "freeze" if freeze else "run"
    return [sys.executable, "-c", _MAIN, str(rate), str(slice_s), how, *argv]


def run(line: list[str], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run to the end."""
    return subprocess.run(line, cwd=ROOT, input=given, capture_output=True, check=False, timeout=60)


@contextmanager
def started(line: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start it in the background; whatever happens, it is gone afterwards."""
    process = subprocess.Popen(
        line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def until(true: Callable[[], object], patience_s: float = PATIENCE_S) -> bool:
    """Wait until it is true; False when it never was."""
    end_s = time.monotonic() + patience_s
    while time.monotonic() < end_s:
        if true():
            return True
        time.sleep(0.02)
    return False


def pids_in(file: Path, count: int) -> list[int]:
    """Wait until so many processes have written their pids, a line each."""
    assert until(lambda: file.exists() and len(file.read_text().split()) >= count), file
    return [int(word) for word in file.read_text().split()]


def alive(pid: int) -> bool:
    """Whether it runs: a zombie does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def gone(pids: list[int]) -> bool:
    """Wait until none of them runs."""
    return until(lambda: not any(alive(pid) for pid in pids))


def keeper_of(pid: int) -> int:
    """The only child of the governing process."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    assert until(lambda: children.read_text().split())
    return int(children.read_text().split()[0])


def groups_of(pid: int) -> list[Path]:
    """The control groups that this process made, wherever they are mounted."""
    top = Path("/sys/fs/cgroup")
    return [
        Path(folder)
        for folder, _, _ in os.walk(top)
        if Path(folder).name.startswith(f"{PREFIX}-{pid_space(Path('/proc'))}-{pid}-")
    ]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to exactly this process."""
    os.kill(pid, number)
