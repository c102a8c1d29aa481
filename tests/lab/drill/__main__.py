"""Stage the founding incident on a node in a box, with every ending: `knockon drill`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from agent.errors import UserError
from agent.report.whole_file import write_whole
from tests.lab.box import exit_on_signals
from tests.lab.drill.arm import Outcome, play
from tests.lab.drill.live import Live
from tests.lab.drill.page import as_page
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.verdict import as_text
from tests.lab.image import LabUnavailable

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))
ORDER = (Ending.NONE, Ending.UNTHROTTLED, Ending.IONICE, Ending.GOVERNED)
MISTAKE, UNAVAILABLE = 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Play the endings asked for; 3 when this machine cannot."""
    exit_on_signals()
    try:
        args = _arguments(argv)
        setting = Setting().with_words(args.settings)
    except (UserError, ValueError) as error:
        print(f"knockon: {error}", file=sys.stderr)
        return MISTAKE
    try:
        outcomes = [
            play(ending, setting, CACHE, Live(ending, setting, _write, _moving()), args.bundle)
            for ending in ORDER
            if ending.value in args.endings
        ]
    except UserError as error:  # a program of Postgres' that is not here
        print(f"knockon: {error.message} ({error.hint})", file=sys.stderr)
        return UNAVAILABLE
    except (LabUnavailable, TimeoutError) as missing:  # or too slow to get a node ready
        print(f"knockon: no drill here: {missing}", file=sys.stderr)
        return UNAVAILABLE
    _write(f"\n{as_text(outcomes)}")
    if args.html:
        write_whole(args.html, as_page(outcomes, made()))
        _write(f"The page: {args.html}\n")
    if args.json:
        write_whole(args.json, json.dumps([as_json(one) for one in outcomes], indent=1) + "\n")
    return 0


def as_json(outcome: Outcome) -> dict[str, object]:
    """Return everything that was seen of an arm."""
    return {
        "ending": outcome.ending.value,
        "setting": asdict(outcome.setting),
        "killed": outcome.killed,
        "backup_from_s": outcome.backup_from_s,
        "backup_to_s": outcome.backup_to_s,
        "restarted": list(outcome.restarted),
        "checks": [asdict(check) for check in outcome.checks],
        "seconds": [second.as_json() for second in outcome.seconds],
        "told": outcome.told.as_json(),
    }


def made() -> str:
    """When and on what the drill was played."""
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{at}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} processors"


def _moving() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="knockon drill", description=__doc__, allow_abbrev=False)
    every = [one.value for one in ORDER]
    parser.add_argument(
        "--endings", type=lambda text: text.split(","), default=every, metavar="A,B",
        help=f"which to play (all: {','.join(every)})",
    )  # fmt: skip
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the plots side by side")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every second seen")
    parser.add_argument(
        "--bundle", type=Path, metavar="PATH", help="keep what the agent had of the last kill"
    )
    parser.add_argument(
        "settings", nargs="*", metavar="NAME=VALUE", help="another node: room_mb=200"
    )
    args = parser.parse_args(argv)
    unknown = ", ".join(sorted(set(args.endings) - set(every)))
    if unknown:
        raise ValueError(f"no such ending: {unknown} (there are {', '.join(every)})")
    return args


if __name__ == "__main__":
    sys.exit(main())
