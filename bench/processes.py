"""``python -m bench.processes``: what looking at the node's processes costs, on and off.

The agent runs on this machine itself with 500 more processes that sleep and one that writes
20 MB/s, first with the profile off, then on. CPU and memory are of all its processes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from agent.recorder.ring_read import load_ring
from bench.agent import Cost, measured
from bench.rows import Row, machine_line, rows_table
from tests.agents import now_us, site
from tests.replay import entry, journal_writer, remote_tool

FULL_S, SMOKE_S = 60.0, 12.0
SLEEPERS = 500
_WRITE = """
import os, sys, time
with open(sys.argv[1], "wb") as file:
    while True:
        file.seek(0)
        file.write(bytes(20_000_000))
        file.flush()
        time.sleep(1.0)
"""


def bench(smoke: bool) -> list[Row]:
    """Measure one agent without and one with the profile."""
    tool = remote_tool()
    if tool is None:
        return [Row("processes", "RSS and CPU", "skipped", note="no systemd-journal-remote here")]
    span_s = SMOKE_S if smoke else FULL_S
    with tempfile.TemporaryDirectory(prefix="knockon-bench-") as name, _busy(Path(name)):
        (off, _), (on, seen) = (_one(Path(name), tool, asked, span_s) for asked in (False, True))
        return [
            *_rows("off", off),
            *_rows("on", on),
            Row("processes", "on: looks with the writer in them", seen),
        ]


def _one(folder: Path, tool: str, enabled: bool, span_s: float) -> tuple[Cost, str]:
    place = folder / ("on" if enabled else "off")
    place.mkdir()
    settings: dict[str, dict[str, object]] = {"processes": {"enabled": enabled}}
    with (
        site(place, None, **settings) as one,
        journal_writer(tool, one.journal / "a.journal") as writer,
    ):
        writer.write([entry(now_us(), "quiet", _SYSTEMD_UNIT="docker.service")])
        one.start()
        one.ready()
        cost = measured(one, span_s, lambda _: None)
        one.stop()
    looks = load_ring(one.ring, parts=False).processes
    found = sum(any(each.write_bytes > 10_000_000 for each in top.processes) for top in looks)
    return cost, f"{found} of {len(looks)}"


@contextmanager
def _busy(folder: Path) -> Iterator[None]:
    commands = [["sleep", "3600"]] * SLEEPERS
    commands.append([sys.executable, "-c", _WRITE, str(folder / "written")])
    with ExitStack() as stack:
        running = [stack.enter_context(subprocess.Popen(command)) for command in commands]
        try:
            yield
        finally:
            for one in running:
                one.kill()


def _rows(what: str, cost: Cost) -> list[Row]:
    note = f"{cost.processes} processes of ours, {SLEEPERS} more on the machine"
    return [
        Row("processes", f"{what}: CPU of a core", f"{cost.cpu_pct:.2f} %", "", note),
        Row("processes", f"{what}: RSS", f"{cost.rss_mib:.1f} MiB", "", note),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run this bench alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.processes", description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{machine_line()}\n\n{rows_table(bench(options.smoke))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
