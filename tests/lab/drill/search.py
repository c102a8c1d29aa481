"""Search for a node that the unthrottled backup kills and the governed one does not.

python -m tests.lab.drill.search TABLE ARM[,ARM...] [NAME=VALUE...]: every attempt adds a line.
"""

from __future__ import annotations

import csv
import os
import statistics
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.lab.box import exit_on_signals
from tests.lab.drill.arm import Outcome, play
from tests.lab.drill.setting import Ending, Setting

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))


def row(outcome: Outcome, at: str) -> dict[str, object]:
    """Return one line of the table of attempts: of the time with the backup, not before."""
    during = [one for one in outcome.seconds if one.at_s >= outcome.backup_from_s]
    p99 = [one.app_p99_ms for one in during if one.app_p99_ms is not None]
    waits = [check.took_s for check in outcome.checks]
    return {
        "at": at,
        **asdict(outcome.setting),
        "arm": outcome.ending.value,
        "checks": len(waits),
        "check_median_s": round(statistics.median(waits), 2) if waits else "",
        "check_worst_s": round(outcome.worst_check_s, 2),
        "killed": outcome.killed,
        "restarted": len(outcome.restarted),
        "app_p99_ms": round(statistics.median(p99), 1) if p99 else "",
        "io_pct": round(statistics.mean(one.io_pct for one in during), 1) if during else "",
        "memory_pct": round(statistics.mean(one.memory_pct for one in during), 1) if during else "",
        "read_mb_s": round(statistics.mean(one.disk_mb_s for one in during), 1) if during else "",
        "major_faults_s": round(statistics.mean(one.major_faults for one in during), 1)
        if during
        else "",
        "done_s": outcome.backup_to_s or "",
        "load": round(os.getloadavg()[0], 1),
    }


def main(argv: list[str]) -> int:
    """Play the arms asked for and append them to the table."""
    table, arms, *words = argv
    setting = Setting().with_words(words)
    exit_on_signals()
    for name in arms.split(","):
        at = datetime.now(UTC).isoformat(timespec="seconds")
        began_s = time.monotonic()
        outcome = play(Ending(name), setting, CACHE)
        line = row(outcome, at)
        path = Path(table)
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(line))
            if fresh:
                writer.writeheader()
            writer.writerow(line)
        print({key: line[key] for key in list(line)[12:]}, f"{time.monotonic() - began_s:.0f} s")
        if outcome.said.strip():
            print(outcome.said[-600:])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
