"""The commands of a node's agent: ``agent``, ``check-config`` and ``bundle``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from agent.commands import agent, bundle

_Parser = TypeVar("_Parser", bound=argparse.ArgumentParser)

COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "agent": agent.command,
    "check-config": agent.check,
    "bundle": bundle.command,
}


def add_parsers(commands: argparse._SubParsersAction[_Parser]) -> dict[str, _Parser]:
    """Add them to the command line."""
    running = commands.add_parser("agent", help="watch this node", allow_abbrev=False)
    agent.add_arguments(running)
    checking = commands.add_parser("check-config", help="check its settings", allow_abbrev=False)
    agent.add_check_arguments(checking)
    bundling = commands.add_parser("bundle", help="collect a bundle", allow_abbrev=False)
    bundle.add_arguments(bundling)
    return {"agent": running, "check-config": checking, "bundle": bundling}
