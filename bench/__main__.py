"""``python -m bench``: runs every bench and prints one table. ``--smoke``: only that they run."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from bench import (
    agent,
    fleet_size,
    governor_plant,
    image,
    journal_follow,
    journal_scan,
    processes,
    quiet,
    recorder,
    report_speed,
    watch_client,
)
from bench.backup import __main__ as backup
from bench.diagnosis import summary
from bench.rows import Row, machine_line, rows_table


@dataclass(frozen=True, slots=True)
class Bench:
    """One bench: given whether a smoke run will do, it returns its numbers."""

    name: str
    run: Callable[[bool], list[Row]]


BENCHES = (
    Bench("journal_scan", journal_scan.bench),
    Bench("journal_follow", journal_follow.bench),
    Bench("recorder", recorder.bench),
    Bench("agent", agent.bench),
    Bench("processes", processes.bench),
    Bench("diagnosis", summary.bench),
    Bench("quiet", quiet.bench),
    Bench("report_speed", report_speed.bench),
    Bench("governor_plant", governor_plant.bench),
    Bench("watch_client", watch_client.bench),
    Bench("fleet_size", fleet_size.bench),
    Bench("image", image.bench),
    Bench("backup", backup.bench),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benches asked for; 1 when one of them could not run."""
    options = _parser().parse_args(argv)
    chosen = [one for one in BENCHES if not options.only or one.name in options.only]
    rows: list[Row] = []
    broken = 0
    for one in chosen:
        try:
            rows += one.run(options.smoke)
        except (UserError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            rows.append(Row(one.name, "did not run", "FAILED", note=str(error)))
            broken += 1
    text = f"{machine_line()}\n\n{rows_table(rows)}\n"
    sys.stdout.write(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    return 1 if broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small inputs, one turn")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the table there as well")
    parser.add_argument("--only", action="append", choices=[one.name for one in BENCHES])
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
