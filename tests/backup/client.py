"""Runs `knockon backup …` as a process of its own, and watches what the server reads for it."""

from __future__ import annotations

import argparse
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

from agent.errors import UserError
from agent.kube.access import Access
from backup.commands import complain
from backup.run import command as run_command
from backup.run import settings
from backup.run.governed import Fixed
from backup.run.run import run

_PROGRAM = "import sys; from backup.commands import main; sys.exit(main(sys.argv[1:]))"
_PACED = "import sys; from tests.backup.client import paced; sys.exit(paced(sys.argv[1:]))"
PACE_BYTES_PER_S = 25e6
API_PORT = "KNOCKON_TEST_API_PORT"
ROOT = Path(__file__).resolve().parent.parent.parent


def paced(arguments: list[str]) -> int:
    """`backup run` at one known pace, however busy this machine is."""
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    try:
        desk = dataclasses.replace(
            run_command.desk(),
            govern=lambda _, abort: Fixed(PACE_BYTES_PER_S, abort),
            access=lambda: Access("127.0.0.1", int(os.environ[API_PORT]), tls=False),
        )
        return run(settings.from_options(parser.parse_args(arguments)), desk)
    except UserError as error:
        return complain(error)


def start_paced(*arguments: str) -> subprocess.Popen[str]:
    """Begin a run at one known pace."""
    return start(*arguments, program=_PACED)


def paced_run(*arguments: str) -> tuple[int, str]:
    """Make a run at one known pace, to its end."""
    return finish(start_paced(*arguments))


def start(*arguments: str, program: str = _PROGRAM) -> subprocess.Popen[str]:
    """Begin a command."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], patience_s: float = 60.0) -> tuple[int, str]:
    """Wait for its end; its status and what it said."""
    out, err = process.communicate(timeout=patience_s)
    return process.returncode, out + err


def command(*arguments: str) -> tuple[int, str]:
    """Run a command to its end."""
    return finish(start(*arguments))


def read_bytes(pid: int) -> int | None:
    """What a process has read by system calls, from disk or cache; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/io").read_text("ascii")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(text.split()[1])


def read_until_gone(pid: int, before_bytes: int, patience_s: float = 30.0) -> int:
    """Watch a process to its end; how much it read from a moment on."""
    last, until_s = before_bytes, time.monotonic() + patience_s
    while (now_bytes := read_bytes(pid)) is not None:
        last = now_bytes
        assert time.monotonic() < until_s, "it never ended"
        time.sleep(0.0005)
    return last - before_bytes
