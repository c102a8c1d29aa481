"""Standard output: what it can show, and how it is written to."""

from __future__ import annotations

import argparse
import os
import shutil
import sys

from agent.printable import ascii_only
from agent.report.screen import Screen

WIDEST = 120  # longer lines are hard to read, however wide the screen


def write(text: str) -> None:
    """Print at once: whoever reads a pipe waits for it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def write_plainly(text: str) -> None:
    """Print, spelt in ASCII where the other side cannot show more."""
    write(text if speaks_unicode() else ascii_only(text))


def screen_of(options: argparse.Namespace) -> Screen:
    """Give what the terminal can do, and how much was asked to be shown on it."""
    colour = (
        not options.no_color
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
        and sys.stdout.isatty()
    )
    return Screen(
        width=max(20, min(shutil.get_terminal_size((80, 24)).columns, WIDEST)),
        colour=colour,
        unicode=speaks_unicode(),
        explain=getattr(options, "explain", False),
        every_incident=getattr(options, "all", False),
    )


def speaks_unicode() -> bool:
    """Say whether any letter can be written."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
