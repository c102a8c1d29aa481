"""Play every fault on a node and count what was told: `python -m tests.lab.drill.matrix`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.errors import NoData, UserError
from agent.recorder.ring_read import load_ring
from agent.report.whole_file import write_whole
from agent.times import parse
from tests.agents import explained
from tests.lab.box import exit_on_signals
from tests.lab.drill.__main__ import CACHE, made
from tests.lab.drill.faults import CHECK_S, FAULTS, Expected, Fault, Stage
from tests.lab.drill.node import node
from tests.lab.drill.witness import watching
from tests.lab.image import LabUnavailable

_BEGIN, _END = "<!-- matrix -->", "<!-- /matrix -->"
_CALM_S = 8.0
_SETTLED_S = 35.0
_TOLD_S = 60.0


@dataclass(frozen=True, slots=True)
class Played:
    """One fault, played once, and what the agent made of it."""

    fault: str
    expected: int
    reported: int
    lost: int
    duplicated: int
    wrong: int
    worst_gap_s: float | None
    explained_s: float | None
    """From the first pod that changed to the Event on the last of them."""
    told: tuple[str, ...]


def play(name: str, fault: Fault, cache: Path) -> Played:
    """Boot a node, do what the fault says, and count."""
    with (
        node(cache) as booted,
        tempfile.TemporaryDirectory(prefix="knockon-fault-") as scratch,
    ):
        booted.start_pods()
        if fault.monitor:
            booted.start_monitor(CHECK_S, unit=fault.monitor)
        with watching(booted, CHECK_S, Path(scratch)) as witness:
            time.sleep(_CALM_S)
            from_s = time.time()
            fault.act(Stage(booted, witness))
            gave_up = any(check.status for check in booted.checks())
            expected = fault.expected + (fault.if_killed if gave_up else ())
            victims = sum(one.victims for one in expected)
            took_s = _await_events(witness.api, victims)
            time.sleep(_SETTLED_S)
            told = witness.told(None, 0)
            gap_s = worst_gap_s(witness.one.ring, from_s, time.time())
    return counted(name, expected, told.incidents, gap_s, took_s)


def _await_events(api: Any, victims: int) -> float | None:
    """Wait for an Event on every victim; how long it took from when the first pod changed."""
    until_s = time.monotonic() + _TOLD_S
    while time.monotonic() < until_s and len(explained(api)) < victims:
        time.sleep(0.2)
    done_s = time.time()
    changed = [
        parse(event["lastTimestamp"])
        for event in api.store.everything("events")[1]
        if event["reason"] == "SandboxChanged"
    ]
    if not victims or not changed or len(explained(api)) < victims:
        return None
    return round(max(0.0, done_s - min(changed)), 1)


def worst_gap_s(ring: Path, from_s: float, to_s: float) -> float | None:
    """Return the longest time without a sample of the recorder."""
    try:
        at_s = [sample.at_s for sample in load_ring(ring, parts=False).samples]
    except (NoData, UserError, OSError):
        return None
    inside = [from_s, *(at for at in at_s if from_s <= at <= to_s)]
    return round(max(later - before for before, later in pairwise([*inside, inside[-1]])), 2)


def counted(
    name: str,
    expected: Sequence[Expected],
    incidents: Iterable[Mapping[str, Any]],
    gap_s: float | None,
    took_s: float | None,
) -> Played:
    """Match what was told with what had to be; each incident serves once."""
    told = [one for one in incidents if one["victims"] or one["killer"]]
    left, lost, wrong, duplicated = list(told), 0, 0, 0
    for one in expected:
        same = [item for item in left if _killer(item) == one.killer]
        if not same and left and len(expected) == 1:
            same = left[:1]  # told, but of somebody else
        if not same:
            lost += 1
            continue
        best = min(same, key=lambda item: abs(len(item["victims"]) - one.victims))
        left.remove(best)
        wrong += not _right(best, one)
        twice = [item for item in left if _killer(item) == one.killer]
        duplicated += len(twice)
        left = [item for item in left if item not in twice]
    said = tuple(f"{one['cause']} ({_killer(one)}, {len(one['victims'])} pods)" for one in told)
    return Played(
        name, len(expected), len(told), lost, duplicated, wrong + len(left), gap_s, took_s, said
    )


def _killer(incident: Mapping[str, Any]) -> str:
    return str(incident["killer"]["kind"]) if incident["killer"] else "none"


def _right(incident: Mapping[str, Any], one: Expected) -> bool:
    return (
        _killer(incident) == one.killer
        and incident["cause"] in one.causes
        and incident["planned"] is one.planned
        and len(incident["victims"]) == one.victims
    )


def as_markdown(played: Sequence[Played], on: str) -> str:
    """Return the table of docs/reliability.md."""
    lines = [
        f"Played {on}, by `python -m tests.lab.drill.matrix`.",
        "",
        f"| {' | '.join(_HEADS)} |",
        f"|{'---|' * len(_HEADS)}",
    ]
    for name, fault in FAULTS.items():
        runs = [one for one in played if one.fault == name]
        if runs:
            lines.append(_row(name, fault, runs))
    return "\n".join(lines) + "\n"


def _row(name: str, fault: Fault, runs: Sequence[Played]) -> str:
    sums = [sum(getattr(one, field) for one in runs) for field in _COUNTS]
    gaps = [one.worst_gap_s for one in runs if one.worst_gap_s is not None]
    took = [one.explained_s for one in runs if one.explained_s is not None]
    says = fault.says + (f" (injected: {fault.injected})" if fault.injected else "")
    cells = [name, says, len(runs), *sums, max(gaps, default="-"), max(took, default="-")]
    return f"| {' | '.join(map(str, cells))} |"


_HEADS = (
    "fault", "what is done", "times", "expected", "reported", "lost", "twice", "wrong",
    "longest gap, s", "explained after, s",
)  # fmt: skip
_COUNTS = ("expected", "reported", "lost", "duplicated", "wrong")


def into(page: str, table: str) -> str:
    """Put the table between its marks; raises ValueError on a page that has none."""
    before, rest = page.split(_BEGIN)
    return f"{before}{_BEGIN}\n{table}{_END}{rest.split(_END)[1]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Play the faults asked for; 1 when something was lost, told twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "faults", nargs="*", metavar="FAULT", help="all, where none is named or kept"
    )
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--json", type=Path, help="keep the counts; runs already there count too")
    parser.add_argument("--page", type=Path, help="put the table into this page")
    args = parser.parse_args(argv)
    if unknown := set(args.faults) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    exit_on_signals()
    kept = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    played = [Played(**{**one, "told": tuple(one["told"])}) for one in kept]
    wanted = args.faults or ([] if kept else list(FAULTS))
    try:
        for name in wanted * args.times:
            played.append(play(name, FAULTS[name], CACHE))
            print(asdict(played[-1]), flush=True)
            if args.json:
                write_whole(args.json, json.dumps([asdict(one) for one in played], indent=1))
    except LabUnavailable as missing:
        print(f"matrix: not on this machine: {missing}", file=sys.stderr)
        return 3
    table = as_markdown(played, made())
    print(table)
    if args.page:
        write_whole(args.page, into(args.page.read_text("utf-8"), table))
    return int(any(one.lost or one.duplicated or one.wrong for one in played))


if __name__ == "__main__":
    sys.exit(main())
