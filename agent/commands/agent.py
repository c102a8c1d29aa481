"""``knockon agent`` and ``knockon check-config``: the DaemonSet's program, and its settings."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.daemon.config_file import ConfigFaults, load_config
from agent.printable import safe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The agent's options."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="its settings")
    parser.add_argument(
        "--cluster",
        action="store_true",
        help="not a node's agent but the cluster's replica: joins what the nodes tell",
    )


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """The file to check."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the agent's settings")


def command(options: argparse.Namespace) -> int:
    """Become the agent: a process of its own, without the modules of the command line."""
    status = _check(options.config)
    if status == 0:
        module = "agent.fleet" if options.cluster else "agent.daemon"
        words = [sys.executable, "-m", module, str(options.config)]
        os.execv(sys.executable, words)  # noqa: S606 - our own module
    return status


def check(options: argparse.Namespace) -> int:
    """Say all that is wrong with a configuration."""
    status = _check(options.file)
    if status == 0:
        sys.stdout.write(f"{safe(str(options.file), 300)} is well.\n")
    return status


def _check(path: Path) -> int:
    try:
        load_config(path)
    except ConfigFaults as error:
        say(error.faults, str(path))
        return 2
    return 0


def say(faults: Sequence[str], where: str) -> None:
    """Print every fault on a line of its own."""
    for fault in faults:
        sys.stderr.write(f"knockon: {safe(where, 300)}: {safe(fault, 600)}\n")
