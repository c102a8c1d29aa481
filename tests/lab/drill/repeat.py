"""The founding incident again and again, each evening a little different: `make drill-100`.

Every evening is drawn from its number. What stands in the table already is not played again, so a
long series may be interrupted and taken up.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.lab.box import exit_on_signals
from tests.lab.drill.__main__ import CACHE
from tests.lab.drill.arm import Outcome, play
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.verdict import during, killed_at_s, line, taken_mb
from tests.lab.image import LabUnavailable

_COLUMNS = (
    "evening", "ending", "at", "app_tps", "every_s", "calm_s", "killed", "killed_after_s",
    "worst_check_s", "checks", "io_pct", "read_mb_s", "app_p99_ms", "pods_restarted",
    "pods_told_why", "told_after_kill_s", "killer", "cause", "offender", "taken_mb", "load",
)  # fmt: skip


def evening(number: int, seed: int) -> Setting:
    """Draw an evening: how busy the application is, when the backup begins and the monitor asks."""
    chance = Random(f"{seed}/{number}")
    return replace(
        Setting(),
        app_tps=chance.randint(15, 25),
        every_s=round(chance.uniform(4.0, 6.0), 2),
        calm_s=round(chance.uniform(8.0, 16.0), 1),
    )


def row(number: int, outcome: Outcome) -> dict[str, object]:
    """Put one run in a line of the table."""
    figures, at_s = line(outcome), killed_at_s(outcome)
    killer = next((one for one in outcome.told.incidents if one.get("killer")), None)
    return {
        "evening": number,
        "ending": outcome.ending.value,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "app_tps": outcome.setting.app_tps,
        "every_s": outcome.setting.every_s,
        "calm_s": outcome.setting.calm_s,
        "killed": outcome.killed,
        "killed_after_s": "" if at_s is None else round(at_s - outcome.backup_from_s, 1),
        "worst_check_s": round(max((c.took_s for c in outcome.checks), default=0.0), 2),
        "checks": figures.checks,
        "io_pct": figures.io_pct,
        "read_mb_s": figures.read_mb_s,
        "app_p99_ms": figures.app_p99_ms if during(outcome) else "",
        "pods_restarted": figures.restarted,
        "pods_told_why": len(outcome.told.explained),
        "told_after_kill_s": outcome.told.after_kill_s or "",
        "killer": killer["killer"]["kind"] if killer else "",
        "cause": killer["cause"] if killer else "",
        "offender": (killer.get("offender") or {}).get("name", "") if killer else "",
        "taken_mb": round(progress[0]) if (progress := taken_mb(outcome)) else "",
        "load": round(os.getloadavg()[0], 1),
    }


def summary(rows: Iterable[Mapping[str, object]]) -> str:
    """Say how often docker was killed; 3/N bounds what was never seen (rule of three, 95 %)."""
    runs: Counter[str] = Counter()
    kills: Counter[str] = Counter()
    for one in rows:
        runs[str(one["ending"])] += 1
        kills[str(one["ending"])] += str(one["killed"]) == "True"
    said = []
    for ending, count in runs.items():
        bound = f" (95 % bound: {min(1.0, 3 / count):.0%})" if not kills[ending] else ""
        said.append(f"{ending}: docker killed in {kills[ending]} of {count} runs{bound}\n")
    return "".join(said)


def main(argv: Sequence[str] | None = None) -> int:
    """Play what is missing of the series; 1 when a governed backup let docker die."""
    args = _arguments(argv)
    exit_on_signals()
    done = _rows(args.table)
    known = {(str(one["evening"]), str(one["ending"])) for one in done}
    try:
        for number in range(1, args.runs + 1):
            for ending in args.endings:
                if (str(number), ending.value) in known:
                    continue
                made = row(number, play(ending, evening(number, args.seed), CACHE))
                _append(args.table, made)
                done.append(made)
                print({name: made[name] for name in _COLUMNS[:2] + _COLUMNS[6:]}, flush=True)
    except LabUnavailable as missing:
        print(f"drill: not on this machine: {missing}", file=sys.stderr)
        return 3
    print(summary(done), end="")
    governed = [one for one in done if one["ending"] == Ending.GOVERNED.value]
    return int(any(str(one["killed"]) == "True" for one in governed))


def _rows(table: Path) -> list[dict[str, object]]:
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return [dict(one) for one in csv.DictReader(file)]


def _append(table: Path, made: Mapping[str, object]) -> None:
    fresh = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerow(made)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    both = [Ending.UNTHROTTLED, Ending.GOVERNED]
    parser.add_argument("runs", type=int)
    parser.add_argument(
        "--endings", type=lambda text: [Ending(one) for one in text.split(",")], default=both
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", type=Path, default=Path("drill-runs.csv"))
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
