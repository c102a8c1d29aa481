"""``knockon incidents --cluster``: what the agents of all nodes told, joined, through kubectl.

It reads the Events that the agents wrote, of the last hour as a rule, and needs no replica in the
cluster: the joining is the same (`agent.fleet`).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess  # noqa: TID251 - on a laptop: kubectl knows every way to log in
import time
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from agent.errors import UserError
from agent.fleet.incident import Incidents, NodeIncident
from agent.fleet.join import FleetIncident, joined
from agent.fleet.told import told_of
from agent.kube.event_body import CONTROLLER
from agent.printable import safe
from agent.sources.untyped import objects
from agent.times import readable
from agent.words import counted

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_LONGEST_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said beside --cluster."""
    add = parser.add_argument
    add("--cluster", action="store_true", help="of all nodes, from their agents' Events (kubectl)")
    add("--context", default="", metavar="NAME", help="with --cluster: kubectl's context")
    add("--since", type=_span, metavar="2h", help="with --cluster: only so far back")
    add("--json", action="store_true", help="with --cluster: print knockon/v1 JSON")


def listed(options: argparse.Namespace, write: Callable[[str], None]) -> bool:
    """Print them if all nodes are meant; raises UserError for what means nothing without."""
    if options.cluster:
        write(_listing(options, time.time()))  # noqa: TID251 - the edge, where a person sits
    elif options.json or options.context or options.since:
        raise UserError("--json, --context and --since go with --cluster", "add --cluster")
    return bool(options.cluster)


def _listing(options: argparse.Namespace, now_s: float) -> str:
    """Ask, join, and return what is to be printed; raises UserError."""
    since_s = now_s - options.since if options.since else 0.0
    kept = Incidents()
    for one in read(_asked(options.context)):
        if (one.opened_s or now_s) >= since_s and options.node in ("", one.node):
            kept.keep(one)
    groups = joined(kept)
    return _as_json(kept, groups) if options.json else as_text(kept, groups)


def read(answer: bytes) -> Incidents:
    """Read a list of Events as the API server gives it."""
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise UserError(f"kubectl did not print JSON: {str(error)[:200]}") from error
    made = Incidents()
    told = [one for one in map(told_of, objects(document, "items")) if one is not None]
    for one in sorted(told, key=lambda one: one.at_s or 0.0):
        made.take(one)
    return made


def as_text(incidents: Iterable[NodeIncident], groups: Sequence[FleetIncident]) -> str:
    """Groups first, each with its members below it; then what stands alone; oldest first."""
    grouped = {one.id for group in groups for one in group.members}
    lines: list[str] = []
    for group in sorted(groups, key=lambda one: one.opened_s):
        when = readable(group.opened_s)
        lines.append(f"{group.id}  {when}  {group.verdict} {counted(group.victims, 'pod')} hurt.")
        lines += [f"  {_line(one)}" for one in group.members]
    alone = [one for one in incidents if one.id not in grouped]
    lines += [_line(one) for one in sorted(alone, key=lambda one: one.opened_s or 0.0)]
    return "".join(f"{line}\n" for line in lines) or (
        "Nothing to report: no agent wrote an Event that is still kept (an hour, as a rule).\n"
    )


def _as_json(incidents: Incidents, groups: tuple[FleetIncident, ...]) -> str:
    from agent.fleet.document import overview  # the replica's page, with what it is made of
    from agent.fleet.state import Fleet

    return json.dumps(overview(Fleet(incidents, groups=groups), {}), indent=2) + "\n"


def _line(one: NodeIncident) -> str:
    planned = "planned, " if one.planned else ""
    sure = f"{planned}{one.cause} {one.confidence:.2f}"
    hurt = counted(len(one.victims), "pod")
    return f"{one.id}  {readable(one.opened_s)}  {one.node}  {hurt}  {sure}"


def _asked(context: str) -> bytes:
    program = shutil.which("kubectl")
    if program is None:
        raise UserError("there is no kubectl", "it reads the agents' Events; see docs/fleet.md")
    selector = quote(f"reportingComponent={CONTROLLER}", safe="")
    words = [program, "get", "--raw", f"/api/v1/events?fieldSelector={selector}"]
    words += ["--context", context] if context else []
    try:
        done = subprocess.run(words, capture_output=True, check=False, timeout=_LONGEST_S)  # noqa: S603
    except subprocess.TimeoutExpired as late:
        raise UserError(f"kubectl did not answer within {_LONGEST_S:.0f} s") from late
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip() or f"status {done.returncode}"
        raise UserError(f"kubectl: {safe(said, 400)}", "may you list events in all namespaces?")
    return done.stdout


def _span(text: str) -> float:
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is no span; write 30m or 2h")
    return float(found[1]) * _UNITS_S[found[2]]
