"""``python -m bench.watch_client``: our API client beside the official informer, on one stream.

Each arm is a process of its own. It lists thirty pods of a fake API server, then thousands of
updates come. The official package is looked for in this interpreter, or in the one that
``KNOCKON_BENCH_KUBERNETES`` names.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from bench.rows import Row, machine_line, rows_table
from tests.fake_api import FakeApi
from tests.fake_pods import pod

ROOT = Path(__file__).resolve().parent.parent
FULL_UPDATES, SMOKE_UPDATES = 3_000, 100
FULL_TURNS, SMOKE_TURNS = 5, 1
PODS = 30
_BALLAST = 64  # variables that nobody reads, for objects of 4.8 KB
_OURS, _OFFICIAL = "ours", "official informer"
Cost = dict[str, float]


def bench(smoke: bool) -> list[Row]:
    """Run both arms in shuffled turns and compare them."""
    updates, turns = (SMOKE_UPDATES, SMOKE_TURNS) if smoke else (FULL_UPDATES, FULL_TURNS)
    return compare(updates, turns)


def compare(updates: int, turns: int, seed: int = 1) -> list[Row]:
    """Measure every arm in every turn, and return the numbers."""
    peer, why = _python_with_kubernetes()
    arms = {_OURS: (sys.executable, "-m", "bench.watch_ours")}
    if peer:
        arms[_OFFICIAL] = (peer, "-m", "bench.watch_official")
    costs: dict[str, list[Cost]] = {name: [] for name in arms}
    rng = random.Random(seed)
    for _ in range(turns):
        for name in rng.sample(sorted(arms), len(arms)):
            costs[name].append(_one_run(arms[name], updates))
    rows = [row for name in arms for row in _numbers(name, costs[name], updates)]
    if not peer:
        return [*rows, Row("watch_client", _OFFICIAL, "skipped", note=why)]
    return [*rows, *_ratios(costs[_OURS], costs[_OFFICIAL])]


def _python_with_kubernetes() -> tuple[str, str]:
    python = os.environ.get("KNOCKON_BENCH_KUBERNETES") or sys.executable
    check = (python, "-c", "import kubernetes.informer")
    try:
        tried = subprocess.run(check, capture_output=True, text=True, check=False)
    except OSError as error:
        return "", str(error)
    if tried.returncode == 0:
        return python, ""
    return "", "kubernetes.informer is not installed: see KNOCKON_BENCH_KUBERNETES"


def _one_run(command: Sequence[str], updates: int) -> Cost:
    """One process that lists, then watches all updates go by."""
    with FakeApi() as api:
        for index in range(PODS):
            api.store.put("pods", pod(f"pod-{index}", ballast=_BALLAST))
        arm = subprocess.Popen(
            (*command, "--port", str(api.port)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the informer writes a traceback for each retry
            text=True,
        )
        try:
            _wait_for_watch(api, arm)
            for index in range(updates - 1):
                name = f"pod-{index % PODS}"
                api.store.put("pods", pod(name, restarts=index, ballast=_BALLAST))
            api.store.put("pods", pod("the-end", ballast=_BALLAST))
            said, _ = arm.communicate(timeout=600)
        finally:
            arm.kill()
            arm.wait()
    if arm.returncode:
        raise RuntimeError(f"{command[-1]} ended with {arm.returncode}")
    cost = {str(name): float(number) for name, number in json.loads(said).items()}
    if cost["changes"] < PODS + updates:
        raise RuntimeError(f"{command[-1]} saw {cost['changes']} of {PODS + updates} changes")
    return cost


def _wait_for_watch(api: FakeApi, arm: subprocess.Popen[str]) -> None:
    end_s = time.monotonic() + 60
    while not api.open_watches["pods"]:
        if arm.poll() is not None or time.monotonic() > end_s:
            raise RuntimeError("the arm never began to watch")
        time.sleep(0.01)


def _numbers(name: str, costs: Sequence[Cost], updates: int) -> list[Row]:
    rss_bytes = median(cost["peak_rss_bytes"] for cost in costs)
    each_s = median(cost["stream_cpu_s"] for cost in costs) / updates * 1000
    size_bytes = len(json.dumps(pod("pod-0", ballast=_BALLAST)))
    note = f"median of {len(costs)}; {updates:,} updates of {size_bytes / 1000:.1f} kB"
    return [
        Row("watch_client", f"{name}: peak RSS", f"{rss_bytes / 2**20:.1f} MiB", note=note),
        Row("watch_client", f"{name}: CPU per 1,000 updates", f"{each_s:.3f} s", note=note),
    ]


def _ratios(ours: Sequence[Cost], official: Sequence[Cost]) -> list[Row]:
    named = {
        "peak RSS": "peak_rss_bytes",
        "CPU of the stream": "stream_cpu_s",
        "CPU with start": "whole_cpu_s",
    }
    rows = []
    for what, key in named.items():
        ratios = sorted(a[key] / b[key] for a, b in zip(ours, official, strict=True))
        value = f"{median(ratios):.3f}x ({ratios[0]:.3f}-{ratios[-1]:.3f})"
        rows.append(
            Row("watch_client", f"{_OURS}: {what}", value, _OFFICIAL, "ratio; less is better")
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.watch_client", description=__doc__)
    parser.add_argument("--updates", type=int, default=FULL_UPDATES)
    parser.add_argument("--turns", type=int, default=FULL_TURNS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    rows = bench(smoke=True) if options.smoke else compare(options.updates, options.turns)
    print(f"{machine_line()}\n\n{rows_table(rows)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
