"""Play every scenario and write the table of docs/reliability.md: `python -m tests.reliability`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from agent.report.whole_file import write_whole
from tests.lab.drill.__main__ import made
from tests.reliability.page import into, table
from tests.reliability.play import Row, play
from tests.reliability.scenarios import SCENARIOS
from tests.replay import remote_tool

ROWS = Path(__file__).parent / "rows.json"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main(argv: Sequence[str] | None = None) -> int:
    """Play the scenarios asked for; 1 when something was lost, told twice or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="all unless named")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="a scenario mostly waits")
    parser.add_argument("--killing", action="store_true", help="once more with the agent killed")
    parser.add_argument("--render", action="store_true", help="play nothing, write the page")
    parser.add_argument("--rows", type=Path, default=ROWS, help="where each run is kept")
    args = parser.parse_args(argv)
    wanted = args.scenarios or list(SCENARIOS)
    if unknown := set(wanted) - SCENARIOS.keys():
        parser.error(f"no such scenario: {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
    tool = remote_tool()
    if tool is None:
        print("reliability: systemd-journal-remote is not installed", file=sys.stderr)
        return 3
    rows = read_rows(args.rows)
    due = [
        (name, kills)
        for _ in range(0 if args.render else args.times)
        for name in wanted
        for kills in ((False, True) if args.killing else (False,))
        if not kills or SCENARIOS[name].killable
    ]
    with ThreadPoolExecutor(args.at_once) as pool:
        plays = [pool.submit(_played, name, tool, kills=kills) for name, kills in due]
        for done in as_completed(plays):
            rows.append(done.result())
            print(json.dumps(asdict(rows[-1])), flush=True)
            write_whole(args.rows, json.dumps([asdict(one) for one in rows], indent=1) + "\n")
    if args.rows == ROWS:
        write_whole(PAGE, into(PAGE.read_text("utf-8"), table(rows, made())))
    print(table(rows, made()))
    return int(any(one.lost or one.duplicated or one.wrong for one in rows))


def _played(name: str, tool: str, *, kills: bool) -> Row:
    return play(name, SCENARIOS[name], tool, kills_agent=kills)


def read_rows(path: Path) -> list[Row]:
    """Return the runs that were kept."""
    kept = json.loads(path.read_text("utf-8")) if path.exists() else []
    return [
        Row(**{**one, "complaints": tuple(one["complaints"]), "told": tuple(one["told"])})
        for one in kept
    ]


if __name__ == "__main__":
    sys.exit(main())
