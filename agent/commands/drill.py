"""``knockon drill``: the founding incident on a node in a box, by the checkout's own lab."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from agent.errors import UserError

CHECKOUT = Path(__file__).resolve().parents[2]
_STAGE = Path("tests/lab/drill/__main__.py")
_NEEDED = ("pytest", "psycopg", "systemd")
_ASKS = frozenset({"-h", "--help"})


def run(words: Sequence[str], checkout: Path = CHECKOUT) -> int:
    """Become the lab's own program; raises UserError where it cannot be had."""
    if not (checkout / _STAGE).is_file():
        raise UserError(
            "the drill boots a node and needs the source checkout, not the installed package",
            "git clone, then `make e2e` or .venv/bin/knockon drill in it",
        )
    if os.geteuid() != 0 and not _ASKS & set(words):
        raise UserError("the drill needs root: it boots a node of its own", "sudo knockon drill")
    if not all(map(find_spec, _NEEDED)):
        raise UserError("the drill needs the developers' environment", "make venv system-deps")
    os.chdir(checkout)
    os.execv(sys.executable, [sys.executable, "-m", "tests.lab.drill", *words])  # noqa: S606
