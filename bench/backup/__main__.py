"""``python -m bench.backup [--smoke]``: a base backup beside pgbench, on a slow disk, arm by arm.

The order of the arms is shuffled in every round; the best fixed rate is picked in hindsight.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from bench.backup import arms, server
from bench.backup.arms import Arm
from bench.backup.figures import HEAD, Line, leftover, lines, picture
from bench.backup.measure import Run, Stage
from bench.backup.slow_disk import slow_disk
from bench.backup.trace import Trace, steady, varying
from bench.rows import Row, machine_line, text_table

ORACLE_SHARE = 0.98
NICE = -15
"""Of all that is measured alike: what else runs on the machine shall not be part of it."""

CALIBRATING = 2
"""Runs without a backup that come first: what they leave over is what the oracle knows."""
ARMS = (arms.NONE, arms.OURS, arms.UNTHROTTLED, arms.IDLE_CLIENT, arms.IDLE_SENDER)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is run."""

    traces: tuple[tuple[Trace, tuple[float, ...]], ...]
    """Each trace with the fixed rates tried on it, in MB/s."""
    rounds: int
    scale: int
    arms: tuple[Arm, ...] = (*ARMS, arms.PGBACKREST)
    seed: int = 5

    @property
    def size_bytes(self) -> int:
        """The room that the database takes."""
        return self.scale * 16_000_000 + (2500 << 20)


FULL = Plan(((steady(30.0), (10, 25, 40, 50, 54)), (varying(20.0), (10, 16, 25, 40))), 3, 175)
RAW = "raw.json"
SMOKE = Plan(((steady(4.0), (10,)),), 1, 12, ARMS[:2])


def measure(plan: Plan, only: Sequence[str] = ()) -> list[Run]:
    """Run the whole plan on a disk of its own."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory(prefix="knockon-bench-", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        with slow_disk(Path(place) / "slow", plan.size_bytes) as disk:
            made = server.start(disk.folder, plan.scale)
            try:
                stage = Stage(made, disk, Path(place))
                for trace, rates in plan.traces:
                    runs += _trace(stage, plan, trace, _arms(plan, rates, only))
            finally:
                made.stop()
    return runs


def _arms(plan: Plan, rates: Sequence[float], only: Sequence[str]) -> list[Arm]:
    found = [*plan.arms, *(arms.fixed(rate * 1e6) for rate in rates)]
    return [arm for arm in found if not only or arm.name in only]


def _trace(stage: Stage, plan: Plan, trace: Trace, chosen: Sequence[Arm]) -> list[Run]:
    random, rounds = Random(plan.seed), []
    calm = [_told(stage.run(arms.NONE, trace)) for _ in range(CALIBRATING)]
    seer = _oracle(trace, calm)
    for _ in range(plan.rounds):
        order = [*chosen, seer]
        random.shuffle(order)
        rounds += [_told(stage.run(arm, trace)) for arm in order]
    return [*calm, *rounds]


def _oracle(trace: Trace, calm: Sequence[Run]) -> Arm:
    at_s, steps = 0.0, []
    for phase, rate in zip(trace.phases, leftover(trace, calm), strict=True):
        steps.append((at_s, ORACLE_SHARE * rate))
        at_s += phase.length_s
    return arms.oracle(steps)


def _told(run: Run) -> Run:
    waits = " / ".join(f"{span.p99_s * 1e3:.1f}" for span in run.spans)
    read = sum(span.read_bytes for span in run.spans) / 1e6
    text = f"{run.trace:8} {run.arm:28} {read:6.0f} MB  p99 {waits} ms  load {run.load_before:.1f}"
    sys.stderr.write(f"{text}\n")
    return run


def bench(smoke: bool) -> list[Row]:
    """Return our lines for ``python -m bench``: short there, in full by itself only."""
    if os.geteuid() != 0:
        return [Row("backup", "on a slow disk", "not run", note="a loop device needs root")]
    if not smoke:
        return [Row("backup", "on a slow disk", "run by itself", note="python -m bench.backup")]
    found = _lines(SMOKE, measure(SMOKE))
    return [
        Row("backup (smoke)", f"{line.trace}: {line.arm}", f"{line.share.text()} % of the oracle")
        for line in found
    ]


def _lines(plan: Plan, runs: Sequence[Run]) -> list[Line]:
    ran = {run.trace for run in runs}
    return [line for trace, _ in plan.traces if trace.name in ran for line in lines(trace, runs)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the plan, print the table, keep raw data and picture."""
    options = _parser().parse_args(argv)
    plan = SMOKE if options.smoke else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    if options.trace:
        chosen = tuple(one for one in plan.traces if one[0].name in options.trace)
        plan = replace(plan, traces=chosen)
    plan = replace(plan, seed=options.seed)
    runs = [*_kept(options.out), *measure(plan, options.arm or ())]
    found = _lines(plan, runs)
    text = f"{machine_line()}\n\n{text_table(HEAD, [line.cells() for line in found])}\n"
    sys.stdout.write(text)
    if options.out:
        _keep(options.out, text, runs, found)
    return 0


def _kept(folder: Path | None) -> list[Run]:
    """Return the runs of earlier rounds: a busy machine is measured in several short stretches."""
    raw = folder / RAW if folder else None
    if raw is None or not raw.exists():
        return []
    return [Run.from_json(one) for one in json.loads(raw.read_text())]


def _keep(folder: Path, text: str, runs: Sequence[Run], found: Sequence[Line]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text(text)
    raw = ",\n".join(json.dumps(run.as_json()) for run in runs)
    (folder / RAW).write_text(f"[{raw}]\n")
    for trace in dict.fromkeys(line.trace for line in found):
        mine = [line for line in found if line.trace == trace and line.arm != "none"]
        title = f"bytes backed up against what others wait, {trace} load"
        (folder / f"{trace}.svg").write_text(picture(mine, title))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.backup", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a small disk, one round, two arms")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often each arm is run")
    parser.add_argument("--trace", action="append", metavar="NAME", help="only this trace")
    parser.add_argument("--arm", action="append", metavar="NAME", help="only this arm")
    parser.add_argument("--seed", type=int, default=5, metavar="N", help="of the arms' order")
    out = "keep table, raw data and picture, and add to the runs that are kept there"
    parser.add_argument("--out", type=Path, metavar="DIR", help=out)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
