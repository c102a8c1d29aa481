"""The subcommand `backup run`: options in, a terminal or a log out."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time

from backup.run import run as running
from backup.run import settings
from backup.run.progress import Progress, Screen


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare `backup run`."""
    parser = subparsers.add_parser(
        "run", help="take a base backup that yields to the workload", allow_abbrev=False
    )
    settings.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Make one backup."""
    return running.run(settings.from_options(options), desk())


def desk() -> running.Desk:
    """Return where a run speaks: to the terminal, or as lines of JSON where nobody watches."""
    screen = Screen(
        width=max(20, min(shutil.get_terminal_size((80, 24)).columns, 160)),
        unicode=(sys.stderr.encoding or "").lower().replace("-", "") == "utf8",
    )
    terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    now_s = time.time()  # noqa: TID251 - the edge, where a person sits
    return running.Desk(Progress(_write, screen, terminal=terminal, now_s=now_s))


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
