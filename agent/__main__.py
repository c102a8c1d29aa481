"""The command line: arguments in, an answer on standard output, an exit status for scripts.

0 explained or nothing to report, 2 the user's mistake, 3 unknown, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from agent import __version__
from agent.commands import fleet, follow, manifests, node, record
from agent.commands.rules import checked, listing
from agent.commands.why import Pasted, Question, answer, rule_files
from agent.errors import UserError
from agent.printable import ascii_only, safe
from agent.report.html import as_html
from agent.report.jsonform import as_json
from agent.report.markdown import as_markdown
from agent.report.screen import Screen
from agent.report.terminal import as_text, incident_line
from agent.report.timeline import LONG, SHORT
from agent.report.view import Report
from agent.report.whole_file import write_whole
from agent.rules.catalogue import Catalogue
from agent.times import parse

EXPLAINED, MISTAKE, UNKNOWN, INTERRUPTED, PIPE_CLOSED = 0, 2, 3, 130, 141
WIDEST = 120  # longer lines are hard to read, however wide the screen
_POD_WORDS = frozenset({"pod", "pods", "po"})


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
    parser, commands = _parsers()
    word = next((arg for arg in argv if not arg.startswith("-")), "")
    if word and word not in commands:
        raise UserError(f"unknown command {word}", _close(word, list(commands)) or _HELP)
    if word == "backup":
        from backup.commands import main as backup

        return backup(argv[argv.index(word) + 1 :])
    if word in manifests.WORDS:
        return manifests.run(word, argv[argv.index(word) + 1 :])
    try:
        options, extra = parser.parse_known_args(argv)
    except SystemExit as done:  # argparse leaves this way after --help and --version
        return done.code if isinstance(done.code, int) else EXPLAINED
    flags = [arg for arg in extra if arg.startswith("-")]
    if flags:
        known = re.findall(
            r"(?<!\S)--?[a-z-]+", commands.get(options.command, parser).format_help()
        )
        raise UserError(f"unknown option {flags[0]}", _close(flags[0], known) or _HELP)
    if extra and options.command != "why":
        raise UserError(f"unknown argument {extra[0]}", f"knockon {options.command} --help")
    if not options.command:
        _write(parser.format_help())
        return MISTAKE
    options.words = [*getattr(options, "words", []), *extra]  # a name after options lands in extra
    return _COMMANDS[options.command](options)


def _parsers() -> tuple[_Parser, Mapping[str, _Parser]]:
    parser = _Parser(
        prog="knockon",
        description="Tells why the pods on a Kubernetes node were re-created.",
        epilog="Exit status: 0 explained or quiet, 2 usage, 3 no cause found with enough evidence.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"knockon {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    why = commands.add_parser("why", help="explain what happened, and why", allow_abbrev=False)
    why.add_argument(
        "words", nargs="*", metavar="POD", help="pod/NAME, NAME or NAMESPACE/NAME; none: the node"
    )
    why.add_argument("-n", "--namespace", default="", metavar="NS", help="the pod's namespace")
    _add_input(why)
    why.add_argument("--json", action="store_true", help="print knockon/v1 JSON, every incident")
    why.add_argument("--markdown", action="store_true", help="print Markdown for a ticket")
    why.add_argument("--html", metavar="FILE", help="write the page to forward; - prints it")
    why.add_argument("--explain", action="store_true", help="show quotes and what it was not")
    why.add_argument("--all", action="store_true", help="show every incident in full")
    incidents = commands.add_parser("incidents", help="one line an incident", allow_abbrev=False)
    _add_input(incidents)
    fleet.add_arguments(incidents)
    rules = commands.add_parser("rules", help="list or check rules", allow_abbrev=False)
    rules.add_argument("--check", type=Path, metavar="DIR", help="check rules of your own")
    following = commands.add_parser("follow", help="tail a live journal", allow_abbrev=False)
    follow.add_arguments(following)
    recording = commands.add_parser("record", help="the last minutes at 1 Hz", allow_abbrev=False)
    record.add_arguments(recording)
    backup = commands.add_parser("backup", help="a base backup that yields", add_help=False)
    made = {one: commands.add_parser(one, help=says) for one, says in manifests.WORDS.items()}
    return parser, made | {
        "backup": backup,
        "why": why,
        "incidents": incidents,
        "rules": rules,
        "follow": following,
        "record": recording,
        **node.add_parsers(commands),
    }


def _add_input(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--bundle", type=Path, metavar="PATH", help="a bundle: folder, archive, journal or events")
    add("--log", metavar="FILE", help="text pasted from a ticket; - reads standard input")
    add("--node", default="", metavar="NODE", help="only this node's incidents")
    add("--rules", type=Path, action="append", default=[], metavar="DIR", help="add your rules")
    add("--now", type=_time, metavar="TIME", help='"5m ago" in pasted text counts from here')
    add("--no-color", action="store_true", help="no colour, as NO_COLOR in the environment")


def _time(text: str) -> float:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-23T11:44:16Z or Unix seconds"
        ) from error


def _why(options: argparse.Namespace) -> int:
    if options.json + options.markdown + (options.html == "-") > 1:
        raise UserError("one form on standard output, please", "--html FILE goes with any of them")
    answered = answer(_question(options))
    if options.html:
        _page(answered, options)
    if options.json:
        _write(as_json(answered))
    elif options.markdown:
        text = as_markdown(answered, every_incident=options.all)
        _write(text if _speaks_unicode() else ascii_only(text))
    elif options.html != "-":
        _write(as_text(answered, _screen(options)))
    return EXPLAINED if answered.explained else UNKNOWN


def _page(answered: Report, options: argparse.Namespace) -> None:
    page = as_html(answered, every_incident=options.all)
    if options.html == "-":
        sys.stdout.buffer.write(page.encode())  # says itself that it is UTF-8
        sys.stdout.flush()
    else:
        write_whole(Path(options.html), page)


def _incidents(options: argparse.Namespace) -> int:
    if fleet.listed(options, _write):
        return EXPLAINED
    answered = answer(_question(options))
    if answered.quiet:
        _write(as_text(answered, _screen(options)))
    told = sorted(answered.incidents, key=lambda one: one.kill_at_s or 0.0)
    lines = "".join(f"{incident_line(one)}\n" for one in told)
    _write(lines if _speaks_unicode() else ascii_only(lines))
    return EXPLAINED


def _rules(options: argparse.Namespace) -> int:
    text = checked(rule_files([options.check])) if options.check else listing(Catalogue.load())
    _write(text if _speaks_unicode() else ascii_only(text))
    return EXPLAINED


def _follow(options: argparse.Namespace) -> int:
    return follow.run(options, _screen(options), _write, rule_files(options.rules))


def _record(options: argparse.Namespace) -> int:
    return record.command(options, _screen(options), _write)


_COMMANDS: Mapping[str, Callable[[argparse.Namespace], int]] = MappingProxyType(
    {"why": _why, "incidents": _incidents, "rules": _rules, "follow": _follow, "record": _record}
    | node.COMMANDS
)
_HELP = "knockon --help lists what there is"


def _question(options: argparse.Namespace) -> Question:
    if options.bundle is None and options.log is None:
        raise UserError("nothing to read", "give --bundle PATH, or --log FILE for pasted text")
    namespace, pod = _pod(options.words, getattr(options, "namespace", ""))
    return Question(
        bundle=options.bundle,
        log=_pasted(options.log, options.now) if options.log is not None else None,
        pod=pod,
        namespace=namespace,
        node=options.node,
        rules=tuple(options.rules),
        now_s=options.now,
        moments=LONG if getattr(options, "explain", False) else SHORT,
    )


def _pod(words: Sequence[str], namespace: str) -> tuple[str, str]:
    """Read ``pod/NAME``, ``pod NAME``, ``NAME`` or ``NAMESPACE/NAME``."""
    first, *rest = words or [""]
    if first in _POD_WORDS and len(rest) == 1:
        return namespace, rest[0]
    if rest:
        raise UserError(f"one pod at a time, please: {safe(' '.join(words))}", "knockon why --help")
    head, slash, name = first.partition("/")
    if not slash or head in _POD_WORDS:
        return namespace, name if slash else first
    if not name or "/" in name or (namespace and namespace != head):
        raise UserError(f"{first} names no pod", "write pod/NAME -n NAMESPACE, or NAMESPACE/NAME")
    return head, name


def _pasted(name: str, now_s: float | None) -> Pasted:
    """Read a pasted log whole: it is what a person selected, not a node's journal."""
    shown = "standard input" if name == "-" else name
    if name == "-" and sys.stdin.isatty():
        sys.stderr.write("knockon: paste the log, then press Ctrl-D\n")
    data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    if not data.strip():
        raise UserError(f"{shown} is empty", "paste the lines around the time the pods changed")
    if data.count(b"\0") * 100 > len(data):
        raise UserError(f"{shown} is not text", "journal files and archives go to --bundle")
    at_s = time.time() if now_s is None else now_s  # noqa: TID251 - where a person sits
    return Pasted(shown, data.decode("utf-8", "replace"), at_s)


def _screen(options: argparse.Namespace) -> Screen:
    colour = (
        not options.no_color
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
        and sys.stdout.isatty()
    )
    return Screen(
        width=max(20, min(shutil.get_terminal_size((80, 24)).columns, WIDEST)),
        colour=colour,
        unicode=_speaks_unicode(),
        explain=getattr(options, "explain", False),
        every_incident=getattr(options, "all", False),
    )


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _close(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word.partition("=")[0], known, 1)
    return f"did you mean {near[0]}?" if near else ""


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


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
