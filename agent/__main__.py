"""The command line: arguments in, an answer on standard output, an exit status for scripts.

0 explained or nothing to report, 2 the user's mistake, 3 unknown, 130 interrupted. A command's
modules are loaded when it is the one that was typed, and not for ``--help``.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from agent import __version__
from agent.commands import manifests
from agent.errors import UserError
from agent.printable import safe

EXPLAINED, MISTAKE, INTERRUPTED, PIPE_CLOSED = 0, 2, 130, 141

Run = Callable[[argparse.Namespace], int]
Begin = Callable[[argparse.ArgumentParser], Run]


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are UserErrors: one line and a hint."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, f"{self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    try:
        return _run(sys.argv[1:] if argv is None else list(argv))
    except UserError as error:
        return _complain(error.message, error.hint)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            return _hang_up()
        return _complain(f"{error.filename or 'input'}: {error.strerror or error}", "")
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    word = next((arg for arg in argv if not arg.startswith("-")), "")
    if word and word not in _WORDS:
        raise UserError(f"unknown command {word}", _close(word, list(_WORDS)) or _HELP)
    if word == "backup":
        from backup.commands import main as backup

        return backup(argv[argv.index(word) + 1 :])
    if word == "drill":
        from agent.commands import drill

        return drill.run(argv[argv.index(word) + 1 :])
    if word in manifests.WORDS:
        return manifests.run(word, argv[argv.index(word) + 1 :])
    parser, command, run = _parsers(word)
    try:
        options, extra = parser.parse_known_args(argv)
    except SystemExit as done:  # argparse leaves this way after --help and --version
        return done.code if isinstance(done.code, int) else EXPLAINED
    flags = [arg for arg in extra if arg.startswith("-")]
    if flags:
        known = re.findall(r"(?<!\S)--?[a-z-]+", command.format_help())
        raise UserError(f"unknown option {flags[0]}", _close(flags[0], known) or _HELP)
    if extra and word != "why":
        raise UserError(f"unknown argument {extra[0]}", f"knockon {word} --help")
    if run is None:
        sys.stdout.write(parser.format_help())
        return MISTAKE
    options.words = [*getattr(options, "words", []), *extra]  # a name after options lands in extra
    return run(options)


def _parsers(word: str) -> tuple[_Parser, argparse.ArgumentParser, Run | None]:
    """Give the parser of everything, the one of the command typed, and how to run that."""
    parser = _Parser(
        prog="knockon",
        description="Tells why the pods on a Kubernetes node were re-created.",
        epilog="Exit status: 0 explained or quiet, 2 usage, 3 no cause found with enough evidence.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"knockon {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    command: argparse.ArgumentParser = parser
    run: Run | None = None
    for name, says in _WORDS.items():
        made = commands.add_parser(name, help=says, allow_abbrev=False)
        if name == word:
            command, run = made, _COMMANDS[name](made)
    return parser, command, run


def _why(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import asking

    asking.add_why(parser)
    return asking.why


def _incidents(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import asking

    asking.add_incidents(parser)
    return asking.incidents


def _rules(parser: argparse.ArgumentParser) -> Run:
    parser.add_argument("--check", type=Path, metavar="DIR", help="check rules of your own")

    def run(options: argparse.Namespace) -> int:
        from agent.commands.out import write_plainly
        from agent.commands.rules import checked, listing
        from agent.commands.why import rule_files
        from agent.rules.catalogue import Catalogue

        folder = options.check
        write_plainly(checked(rule_files([folder])) if folder else listing(Catalogue.load()))
        return EXPLAINED

    return run


def _follow(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import follow
    from agent.commands.out import screen_of, write
    from agent.commands.why import rule_files

    follow.add_arguments(parser)
    return lambda options: follow.run(options, screen_of(options), write, rule_files(options.rules))


def _record(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import record
    from agent.commands.out import screen_of, write

    record.add_arguments(parser)
    return lambda options: record.command(options, screen_of(options), write)


def _agent(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import agent

    agent.add_arguments(parser)
    return agent.command


def _check_config(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import agent

    agent.add_check_arguments(parser)
    return agent.check


def _bundle(parser: argparse.ArgumentParser) -> Run:
    from agent.commands import bundle

    bundle.add_arguments(parser)
    return bundle.command


_COMMANDS: Mapping[str, Begin] = MappingProxyType(
    {
        "why": _why,
        "incidents": _incidents,
        "rules": _rules,
        "follow": _follow,
        "record": _record,
        "agent": _agent,
        "check-config": _check_config,
        "bundle": _bundle,
    }
)
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "why": "explain what happened, and why",
        "incidents": "one line an incident",
        "follow": "tail a live journal",
        "record": "the last minutes at 1 Hz",
        "bundle": "collect a bundle",
        "rules": "list or check rules",
        "agent": "watch this node",
        "check-config": "check its settings",
        "backup": "a base backup that yields",
        "drill": "stage the incident on a node in a box",
        **manifests.WORDS,
    }
)
_HELP = "knockon --help lists what there is"


def _close(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.partition("=")[0], known, 1)
    return f"did you mean {near[0]}?" if near else ""


def _complain(message: str, hint: str) -> int:
    said = f"knockon: {safe(message, 600)}" + (f" ({safe(hint, 300)})" if hint else "")
    sys.stderr.write(f"{said}\n")
    return MISTAKE


def _hang_up() -> int:
    """Leave quietly when the reader has gone, also from the flush at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(main())
