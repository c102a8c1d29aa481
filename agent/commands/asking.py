"""``knockon why`` and ``knockon incidents``: what was typed, asked; the answer, shown.

With a bundle or a pasted log the answer is in them; without, a cluster is asked.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agent.commands.cluster import options as cluster
from agent.commands.out import screen_of, write, write_plainly
from agent.commands.why import Pasted, Question, answer
from agent.errors import UserError
from agent.printable import safe
from agent.report.html import as_html
from agent.report.jsonform import as_json, document, shortened
from agent.report.markdown import as_markdown
from agent.report.terminal import as_text, incident_line
from agent.report.timeline import LONG, SHORT
from agent.report.view import Report
from agent.report.whole_file import write_whole
from agent.times import parse

EXPLAINED, UNKNOWN = 0, 3
_POD_WORDS = frozenset({"pod", "pods", "po"})
_OWN_RULES = "an agent has rules of its own"
_NOTHING = "name a pod to ask its cluster (pod/NAME -n NS), or give --bundle PATH, or --log FILE"


def add_why(why: argparse.ArgumentParser) -> None:
    """What can be said with ``why``."""
    why.add_argument(
        "words", nargs="*", metavar="POD", help="pod/NAME, NAME or NAMESPACE/NAME; none: the node"
    )
    why.add_argument("-n", "--namespace", default="", metavar="NS", help="the pod's namespace")
    _add_input(why)
    cluster.add_arguments(why)
    why.add_argument("--json", action="store_true", help="print knockon/v1 JSON, every incident")
    why.add_argument("--markdown", action="store_true", help="print Markdown for a ticket")
    why.add_argument("--html", metavar="FILE", help="write the page to forward; - prints it")
    why.add_argument("--explain", action="store_true", help="show quotes and what it was not")
    why.add_argument("--all", action="store_true", help="show every incident in full")


def add_incidents(incidents: argparse.ArgumentParser) -> None:
    """What can be said with ``incidents``."""
    from agent.commands import fleet  # a quarter of all modules, for this command alone

    _add_input(incidents)
    cluster.add_arguments(incidents)
    fleet.add_arguments(incidents)


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


def why(options: argparse.Namespace) -> int:
    """Explain, in the form that was asked for."""
    if options.json + options.markdown + (options.html == "-") > 1:
        raise UserError("one form on standard output, please", "--html FILE goes with any of them")
    with _uncollected():
        answered = _answered(options)
        if options.html:
            _page(answered, options)
    if options.json:
        write(as_json(answered))
    elif options.markdown:
        write_plainly(as_markdown(answered, every_incident=options.all))
    elif options.html != "-":
        write(as_text(answered, screen_of(options)))
    return EXPLAINED if answered.explained else UNKNOWN


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave the collector of cycles out: it looks at an hour's rows, which are all still needed."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def incidents(options: argparse.Namespace) -> int:
    """List them, one line each."""
    if options.bundle is None and options.log is None:
        return _of_cluster(options)
    from agent.commands import fleet

    fleet.refuse_in_a_bundle(options)
    answered = answer(_question(options))
    if options.json:
        whole = document(answered)["incidents"]
        assert isinstance(whole, list)
        listed = {"incidents": [shortened(one) for one in whole], "fleet": [], "blind": []}
        write(json.dumps({"schema": "knockon/v1", **listed}, indent=2) + "\n")
        return EXPLAINED
    if answered.quiet:
        write(as_text(answered, screen_of(options)))
    told = sorted(answered.incidents, key=lambda one: one.kill_at_s or 0.0)
    write_plainly("".join(f"{incident_line(one)}\n" for one in told))
    return EXPLAINED


def _of_cluster(options: argparse.Namespace) -> int:
    if options.rules or options.now is not None:
        raise UserError("--rules and --now go with --bundle or --log", _OWN_RULES)
    if options.cluster:
        from agent.commands import fleet

        write_plainly(fleet.listed(options))
        return EXPLAINED
    from agent.commands.cluster.listing import Range, as_lines, ask_all, overview

    now_s = time.time()  # noqa: TID251 - where a person sits
    span = Range(options.node, now_s - options.since if options.since else None, now_s)
    found = ask_all(cluster.server_of(options), options.agents, span)
    if options.json:
        write(json.dumps(overview(found), indent=2) + "\n")
    else:
        write_plainly(as_lines(found))
    return EXPLAINED if found.anybody else UNKNOWN


def _answered(options: argparse.Namespace) -> Report:
    if options.bundle is not None or options.log is not None:
        return answer(_question(options))
    namespace, pod = _pod(options.words, options.namespace)
    if not pod and not options.node:
        raise UserError("nothing to read", _NOTHING)
    if options.rules or options.now is not None:
        raise UserError("--rules and --now go with --bundle or --log", _OWN_RULES)
    from agent.commands.cluster.explain import Wanted, explain

    wanted = Wanted(
        pod=pod,
        namespace=namespace,
        node="" if pod else options.node,
        agents=options.agents,
        moments=LONG if options.explain else SHORT,
        charts=bool(options.html),
        options=cluster.typed(options),
    )
    found = explain(cluster.server_of(options), wanted)
    if found.instead:
        sys.stderr.write(f"knockon: {safe(found.instead, 600)}\n")
    return found.report


def _page(answered: Report, options: argparse.Namespace) -> None:
    page = as_html(answered, every_incident=options.all)
    if options.html == "-":
        sys.stdout.buffer.write(page.encode())  # says itself that it is UTF-8
        sys.stdout.flush()
    else:
        write_whole(Path(options.html), page)


def _question(options: argparse.Namespace) -> Question:
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
