"""The law in the simulated plant, beside fixed rates and the oracle: bytes against p99.

``python -m bench.governor_plant [--smoke]``. Medians over the seeds named under the table; a seed
fixes arrivals, service times and probe gaps. The oracle reads exactly what nobody else would miss.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

from backup.law.law import Law
from backup.simulation.plant import (
    TCP_BUFFER_BYTES,
    UNIX_BUFFER_BYTES,
    Outcome,
    Phase,
    Setting,
    Trace,
    quantile,
)
from backup.simulation.rig import Arm, Fixed, Governed, Rig
from bench.rows import Row, machine_line, text_table

STEADY = Trace((Phase(0.0),), 60.0)
VARYING = Trace(
    (Phase(0.0), Phase(20.0, tps=500.0), Phase(40.0, bytes_per_s=20e6, iops=600.0)), 60.0
)
TRACES = {"steady 250 tps": STEADY, "250 / 500 tps / volume cut to 20 MB/s": VARYING}
BUFFERS = {
    "unix": UNIX_BUFFER_BYTES,
    "TCP 0.4 MB": 400_000,
    "TCP 1 MB": 1_000_000,
    "TCP 4 MB": TCP_BUFFER_BYTES,
}
"""What is on its way: with our receive buffer a median of 0.4 MB where the MTU is 1,500 and 0.8 MB
over loopback were measured; 4 MB is what the kernels choose for a client that leaves it to them."""
SEEDS = tuple(range(1, 11))
CEILING_BYTES_PER_S = 200e6
HEAD = ("trace", "socket", "arm", "% of oracle", "p99 ms by phase", "harm s")


def runs(
    trace: Trace, arm: Callable[[], Arm], buffer_bytes: int, seeds: Sequence[int]
) -> list[Outcome]:
    """Run one arm once for each seed."""
    return [Rig(trace, arm(), Setting(buffer_bytes=buffer_bytes, seed=s)).run() for s in seeds]


def law() -> Arm:
    """Our arm."""
    return Governed(Law(CEILING_BYTES_PER_S))


def fixed(bytes_per_s: float) -> Callable[[], Arm]:
    """Every other tool's arm."""
    return lambda: Fixed(bytes_per_s)


def middle(values: Sequence[float]) -> float:
    """Return the median."""
    return quantile(values, 0.5)


def phase_p99_s(outcomes: Sequence[Outcome]) -> list[float]:
    """Return each phase's median p99."""
    return [middle(phase) for phase in zip(*(o.phase_p99_s() for o in outcomes), strict=True)]


def best_fixed(
    trace: Trace, seeds: Sequence[int], ours: Sequence[Outcome]
) -> tuple[float, list[Outcome]]:
    """Return the fastest fixed rate in hindsight that harms no phase more than we do."""
    idle = phase_p99_s(runs(trace, fixed(0.0), UNIX_BUFFER_BYTES, seeds))
    budget = [max(2 * a, b) for a, b in zip(idle, phase_p99_s(ours), strict=True)]
    for rate in range(58, 4, -2):
        outcomes = runs(trace, fixed(rate * 1e6), UNIX_BUFFER_BYTES, seeds)
        if all(p <= most for p, most in zip(phase_p99_s(outcomes), budget, strict=True)):
            return rate * 1e6, outcomes
    return 0.0, runs(trace, fixed(0.0), UNIX_BUFFER_BYTES, seeds)


def table(seeds: Sequence[int]) -> list[tuple[str, ...]]:
    """Return the rows of all traces and arms."""
    rows = []
    for name, trace in TRACES.items():
        for rate in (0.0, math.inf, 10e6, 40e6, 54e6):
            label = {0.0: "none", math.inf: "unthrottled"}.get(rate, f"fixed {rate / 1e6:.0f} MB/s")
            outcomes = runs(trace, fixed(rate), UNIX_BUFFER_BYTES, seeds)
            rows.append(_row(name, "unix", label, outcomes))
        ours = runs(trace, law, UNIX_BUFFER_BYTES, seeds)
        rate, best = best_fixed(trace, seeds, ours)
        rows.append(_row(name, "unix", f"best fixed in hindsight ({rate / 1e6:.0f})", best))
        rows.append(_row(name, "unix", "ours", ours))
        rows += [
            _row(name, socket, "ours", runs(trace, law, BUFFERS[socket], seeds))
            for socket in BUFFERS
            if socket != "unix"
        ]
    return rows


def bench(smoke: bool) -> list[Row]:
    """Return the law's two lines for ``python -m bench``."""
    seeds = SEEDS[:1] if smoke else SEEDS
    rows = []
    for name, trace in TRACES.items():
        ours = runs(trace, law, UNIX_BUFFER_BYTES, seeds)
        _, best = best_fixed(trace, seeds, ours)
        times = _bytes(ours) / max(1.0, _bytes(best))
        cells = _row(name, "unix", "ours", ours)
        rows.append(
            Row(
                "governor (simulated)",
                f"{name}: bytes",
                f"{cells[3]} % of the oracle",
                f"{times:.2f} x the best fixed rate",
                f"p99 {cells[4]} ms, seeds {seeds[0]}..{seeds[-1]}",
            )
        )
    return rows


def _bytes(outcomes: Sequence[Outcome]) -> float:
    return middle([float(o.read_bytes) for o in outcomes])


def _row(trace: str, socket: str, arm: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    share = middle([o.efficiency for o in outcomes])
    waits = " / ".join(f"{p * 1e3:.1f}" for p in phase_p99_s(outcomes))
    harm = middle([float(o.harm_s(0.0035)) for o in outcomes])
    return trace, socket, arm, f"{100 * share:.1f}", waits, f"{harm:.0f}"


def main(argv: Sequence[str]) -> int:
    """Print the whole table."""
    seeds = SEEDS[:1] if "--smoke" in argv else SEEDS
    sys.stdout.write(f"{machine_line()}\n\n{text_table(HEAD, table(seeds))}\n\n")
    sys.stdout.write(f"seeds {', '.join(map(str, seeds))}; harm s: seconds with p99 over 3.5 ms\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
