"""Runs the store's commands as a user types them."""

from __future__ import annotations

import argparse
import sys

from agent.errors import UserError
from backup.exits import status_of
from backup.restore import restore, restore_test, verify
from backup.upkeep import catalog, prune

_MODULES = {
    "list": catalog,
    "verify": verify,
    "restore": restore,
    "restore-test": restore_test,
    "prune": prune,
}


def knockon_backup(*words: str) -> int:
    """Run one command; errors become a line and a status, as in the command line itself."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    subparsers = parser.add_subparsers(dest="command", required=True)
    for module in _MODULES.values():
        module.add_parser(subparsers)
    args = parser.parse_args(words)
    try:
        return int(_MODULES[args.command].run(args))
    except UserError as error:
        sys.stderr.write(f"{error.message} ({error.hint})\n")
        return status_of(error)
