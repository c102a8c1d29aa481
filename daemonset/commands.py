"""`knockon render`, `apply` and `delete`: manifests from Python templates, kubectl for the rest."""

from __future__ import annotations

import argparse
import difflib
import shutil
import subprocess  # noqa: TID251 - on a laptop: kubectl knows every way to log in
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from agent.errors import UserError
from daemonset.chart import write_chart
from daemonset.check import SUPPORTED, check, known_version
from daemonset.folder import OURS
from daemonset.render import Order, render
from daemonset.text import Rendered, as_yaml

WORDS = {
    "render": "print manifests made from Python templates",
    "apply": "render, check, and hand them to kubectl apply",
    "delete": "render, and hand them to kubectl delete",
}
DONE, FAILED, DIFFERS = 0, 1, 1
_MOST_FAULTS = 20


class _Parser(argparse.ArgumentParser):
    """An argparse parser whose complaints are UserErrors: one line and a hint."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message, f"{self.prog} --help")


def main(word: str, argv: Sequence[str]) -> int:
    """Run one of the three commands and return its exit status."""
    ours, _, theirs = _parted(argv)
    try:
        options = _parser(word).parse_args(ours)
    except SystemExit as done:  # argparse leaves this way after --help
        return done.code if isinstance(done.code, int) else DONE
    if theirs and word == "render":
        raise UserError("render runs no kubectl", "arguments after -- belong to apply and delete")
    order = Order(tuple(options.paths or [OURS]), tuple(options.values), tuple(options.set))
    rendered = render(order)
    if options.check and word != "delete":
        _refuse_faulty(rendered, options.kubernetes)
    if word == "render":
        return _shown(as_yaml(rendered), options)
    if word == "delete":
        rendered = rendered[::-1]
    return _kubectl(word, options, theirs, as_yaml(rendered))


def _parted(argv: Sequence[str]) -> tuple[list[str], str, list[str]]:
    """Part our arguments from kubectl's, which stand behind ``--``."""
    at = argv.index("--") if "--" in argv else len(argv)
    return list(argv[:at]), "--", list(argv[at + 1 :])


def _parser(word: str) -> _Parser:
    says = WORDS[word]
    parser = _Parser(
        prog=f"knockon {word}",
        description=f"{says[0].upper()}{says[1:]}. Without PATH: the agent's own manifests.",
        epilog="Exit status: 0 done, 1 it differs or kubectl failed, 2 usage, values or templates.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("paths", nargs="*", type=Path, metavar="PATH", help="a folder of templates, or one file")
    add("-f", "--values", type=Path, action="append", default=[], metavar="FILE",
        help="values (YAML); several, the last wins")  # fmt: skip
    add("-s", "--set", action="append", default=[], metavar="KEY=VALUE,…",
        help="single values, as helm's --set")  # fmt: skip
    if word != "delete":
        add("--kubernetes", action="append", default=[], metavar="1.33",
            help=f"check against this version; default {', '.join(SUPPORTED)}")  # fmt: skip
        add("--no-check", dest="check", action="store_false", help="do not check the objects")
    else:
        parser.set_defaults(check=False)
    if word == "render":
        add("--diff", type=Path, metavar="FILE", help="show what differs from FILE instead")
        add("--chart", type=Path, metavar="DIR", help="write a helm chart there instead")
    if word == "apply":
        add("--diff", action="store_true", help="show what would change in the cluster; no more")
    return parser


def _refuse_faulty(rendered: Sequence[Rendered], versions: Sequence[str]) -> None:
    found = check(rendered, [known_version(one) for one in versions] or SUPPORTED)
    if found.unchecked:
        listed = ", ".join(found.unchecked[:5])
        more = f" and {len(found.unchecked) - 5} more" if len(found.unchecked) > 5 else ""
        sys.stderr.write(f"knockon: not checked, its schema is the cluster's: {listed}{more}\n")
    if found.faults:
        for fault in found.faults[1:_MOST_FAULTS]:
            sys.stderr.write(f"knockon: {fault}\n")
        more = f"and {len(found.faults) - 1} more" if len(found.faults) > 1 else ""
        raise UserError(found.faults[0], more)


def _shown(text: str, options: argparse.Namespace) -> int:
    if options.chart is None:
        return _show(text, options.diff)
    if options.diff is not None:
        raise UserError("--chart and --diff are two things", "compare with knockon render --diff")
    write_chart(options.chart, text)
    return DONE


def _show(text: str, before: Path | None) -> int:
    if before is None:
        sys.stdout.write(text)
        return DONE
    try:
        old = before.read_text("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{before} is not text", "--diff names an earlier rendering") from None
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), text.splitlines(keepends=True), str(before), "rendered now"
    )
    changed = "".join(lines)
    sys.stdout.write(changed)
    return DIFFERS if changed else DONE


def _kubectl(word: str, options: argparse.Namespace, extra: Sequence[str], text: str) -> int:
    program = shutil.which("kubectl")
    if program is None:
        raise UserError(
            "kubectl is not here", f"install it, or pipe: knockon render | kubectl {word} -f -"
        )
    verb = "diff" if word == "apply" and options.diff else word
    gone = ["--ignore-not-found"] if verb == "delete" else []
    done = subprocess.run(  # noqa: S603 - a program of the user's PATH, no shell
        [program, verb, *gone, *extra, "-f", "-"], input=text.encode(), check=False
    )
    return DONE if done.returncode == 0 else FAILED
