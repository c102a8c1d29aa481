"""The incidents of many nodes: ``knockon incidents`` asks the agents, ``--cluster`` their Events.

Events are read through kubectl, are kept an hour as a rule, and need neither a replica in the
cluster nor a right to reach the agents: the joining is the same (`agent.fleet`).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess  # noqa: TID251 - on a laptop: kubectl knows every way to log in
import time
from collections.abc import Iterable, Sequence
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
    """What can be said of the list."""
    add = parser.add_argument
    add("--cluster", action="store_true", help="from the agents' Events alone, through kubectl")
    add("--since", type=_span, metavar="24h", help="of a cluster: only so far back")
    add("--json", action="store_true", help="print knockon/v1 JSON")


def refuse_in_a_bundle(options: argparse.Namespace) -> None:
    """Raise UserError for what means nothing where a bundle or a log is read."""
    for name in ("cluster", "context", "kubeconfig", "since"):
        if getattr(options, name):
            raise UserError(f"--{name} goes with a cluster", "leave --bundle and --log out")


def listed(options: argparse.Namespace) -> str:
    """Ask kubectl, join, and return what is to be printed; raises UserError."""
    now_s = time.time()  # noqa: TID251 - the edge, where a person sits
    since_s = now_s - options.since if options.since else 0.0
    kept = Incidents()
    for one in read(_asked(options)):
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


def _asked(options: argparse.Namespace) -> bytes:
    program = shutil.which("kubectl")
    if program is None:
        raise UserError("there is no kubectl", "it reads the agents' Events; see docs/fleet.md")
    selector = quote(f"reportingComponent={CONTROLLER}", safe="")
    words = [program, "get", "--raw", f"/api/v1/events?fieldSelector={selector}"]
    words += ["--context", options.context] if options.context else []
    words += ["--kubeconfig", str(options.kubeconfig)] if options.kubeconfig else []
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
