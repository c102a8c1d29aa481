"""`knockon backup …`: one subcommand a module, each loaded only when it is there."""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NoReturn

from agent.errors import UserError
from agent.printable import safe
from backup.exits import Exit, as_help, status_of

# Word, module, help. A module brings `add_parser(subparsers)` and `run(options) -> int`; one whose
# libraries are missing says so only when it is asked for.
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("run", "backup.run.command", "take a base backup that yields to the workload"),
    ("list", "backup.upkeep.catalog", "the backups in a place"),
    ("verify", "backup.restore.verify", "compare a backup with its checksums"),
    ("restore", "backup.restore.restore", "write a backup to an empty directory"),
    ("restore-test", "backup.restore.restore_test", "restore, start a scratch Postgres, ask it"),
    ("prune", "backup.upkeep.prune", "delete old backups, dry run first"),
    ("exec", "backup.foreign.exec", "govern any other tool: exec -- CMD…"),
    ("doctor", "backup.foreign.doctor", "what will bite here and what will not"),
)
_CHECKS = frozenset({"verify", "restore-test"})
_EXTRA = "pip install 'knockon[backup]'"


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are UserErrors: one line and a hint."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, f"{self.prog} --help")


def main(argv: Sequence[str]) -> int:
    """Run one `backup` command and return its exit status."""
    try:
        return _run(list(argv))
    except UserError as error:
        return complain(error)
    except OSError as error:
        return complain(UserError(f"{error.filename or 'input'}: {error.strerror or error}"))
    except KeyboardInterrupt:
        return Exit.ABORTED


def _parser(word: str, module: ModuleType | None) -> _Parser:
    """Build the parser; only the command that is asked for is imported."""
    parser = _Parser(
        prog="knockon backup",
        description="A Postgres base backup that yields to the workload.",
        epilog=as_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, _, help_text in COMMANDS:
        if name == word and module is not None:
            module.add_parser(subparsers)
            if word in _CHECKS:
                importlib.import_module("backup.run.settings").add_outlet(subparsers.choices[word])
        else:
            subparsers.add_parser(name, help=help_text)
    return parser


def _run(argv: list[str]) -> int:
    word = next((arg for arg in argv if not arg.startswith("-")), "")
    known = [name for name, _, _ in COMMANDS]
    if word and word not in known:
        raise UserError(f"unknown command backup {word}", f"one of {', '.join(known)}")
    module = _module(word) if word else None
    parser = _parser(word, module)
    try:
        options = parser.parse_args(argv)
    except SystemExit as done:  # argparse leaves this way after --help
        return done.code if isinstance(done.code, int) else Exit.DONE
    if module is None:
        sys.stdout.write(parser.format_help())
        return Exit.USER_ERROR
    command: Callable[[argparse.Namespace], int] = module.run
    return _measured(word, options, command) if word in _CHECKS else command(options)


def _measured(
    word: str, options: argparse.Namespace, command: Callable[[argparse.Namespace], int]
) -> int:
    """Run a check, and keep what it found where metrics are kept: most checks run unwatched."""
    from backup import metrics
    from backup.run.settings import outlet_of

    outlet = outlet_of(options, options.store)
    begun_s, status = time.time(), int(Exit.FAILED)  # noqa: TID251 - the edge
    try:
        status = command(options)
    except UserError as error:
        status = status_of(error)
        raise
    finally:
        now_s = time.time()  # noqa: TID251 - the edge
        # A store that does not answer says nothing about the backup: that check is merely missing.
        if status in (Exit.DONE, Exit.NOT_VERIFIED):
            kind, good = word.replace("-", "_"), status == Exit.DONE
            found = metrics.checked(kind, now_s, now_s - begun_s, good=good)
            for complaint in outlet.keep(found, "check"):
                sys.stderr.write(f"knockon: {complaint}\n")
    return status


def _module(word: str) -> ModuleType:
    module_name = next(module for name, module, _ in COMMANDS if name == word)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name == module_name:
            raise UserError(f"backup {word} is not part of this build") from None
        raise UserError(f"backup {word} needs {missing.name}", _EXTRA) from None


def complain(error: UserError) -> int:
    """Write one line and its hint; return the status that goes with it."""
    hint = f" ({safe(error.hint, 300)})" if error.hint else ""
    sys.stderr.write(f"knockon: {safe(error.message, 600)}{hint}\n")
    return status_of(error)
