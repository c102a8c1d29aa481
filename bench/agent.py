"""``python -m bench.agent``: what the whole agent costs on a full node, quiet and in a storm.

110 pods of two containers (330 control groups) as files on a tmpfs, a real journal file written
live, and the fake API server, over TLS with a client certificate as real ones are. In the storm
4,500 journal lines and 1,000 pod updates come a minute. CPU and memory are of all its processes;
memory is given as RSS, which counts shared pages in each, and as PSS, which counts them once.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench.journal_mix import write_export
from bench.recorder import ACTIVE, PODS, Load
from bench.rows import Row, machine_line, rows_table
from tests.agents import NODE, ROOT, Site, changed_now, kill_lines, now_us, site
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, make_certs
from tests.fake_pods import pod
from tests.node_tree import NodeTree, uid
from tests.replay import JournalWriter, entry, journal_writer, read_entries, remote_tool

FULL_S, SMOKE_S = 60.0, 5.0
LINES_A_S, UPDATES_A_S = 4500 / 60, 1000 / 60
_TICKS = os.sysconf("SC_CLK_TCK")
_BALLAST = 64  # variables that nobody reads, for objects of 4.8 KB


@dataclass(frozen=True, slots=True)
class Cost:
    """What the agent's processes took over a span."""

    cpu_pct: float
    rss_mib: float
    pss_mib: float
    peak_mib: float
    processes: int


def bench(smoke: bool) -> list[Row]:
    """Measure one agent, first left alone and then in a storm."""
    tool = remote_tool()
    if tool is None:
        return [Row("agent", "RSS and CPU", "skipped", note="no systemd-journal-remote here")]
    span_s = SMOKE_S if smoke else FULL_S
    with _running(tool) as (one, api, writer):
        quiet = measured(one, span_s, lambda _: None)
        storm = measured(one, span_s, _Storm(api, writer).second)
        dropped = _dropped(one)
        stopped_s = one.stop()
    return [
        *_rows("quiet", quiet, "1 %"),
        *_rows("storm", storm, "5 %"),
        Row("agent", "storm: facts dropped", f"{dropped:g}", "target 0"),
        Row("agent", "SIGTERM to the end", f"{stopped_s:.2f} s", "target 2 s"),
    ]


@contextmanager
def _running(tool: str) -> Iterator[tuple[Site, FakeApi, JournalWriter]]:
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="knockon-bench-", dir=place) as name,
        _api(Path(name)) as api,
    ):
        folder = Path(name)
        load = Load(NodeTree(folder / "node"), ACTIVE)
        for number in range(PODS):
            thing = pod(f"pod-{number}", node=NODE, uid=uid(number), ballast=_BALLAST)
            api.store.put("pods", thing)
        _compiled(folder / "pyc")
        settings: dict[str, dict[str, object]] = {
            "node": {"name": NODE, "root": str(folder / "node")},
            "recorder": {"ring": str(folder / "ring"), "ring_mib": 8, "lock_memory": False},
        }
        with (
            site(folder, api, **settings) as one,
            journal_writer(tool, one.journal / "a.journal") as writer,
        ):
            writer.write([entry(now_us(), "quiet", _SYSTEMD_UNIT="docker.service")])
            stop = threading.Event()
            living = threading.Thread(target=_live, args=(load, stop), daemon=True)
            living.start()
            one.start()
            one.ready()
            time.sleep(3.0)
            try:
                yield one, api, writer
            finally:
                stop.set()
                living.join()


def _api(folder: Path) -> FakeApi:
    return FakeApi(make_certs(folder) if HAS_OPENSSL else None)


def _compiled(folder: Path) -> None:
    """Let modules be compiled once, as an image has them: else each start pays for the compiler."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)
    both = "import agent.daemon.__main__, agent.journal.reader"
    subprocess.run([sys.executable, "-c", both], cwd=ROOT, check=True)


def _live(load: Load, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        load.second()


class _Storm:
    """Everybody speaks at once, and now and then somebody is killed."""

    def __init__(self, api: FakeApi, writer: JournalWriter) -> None:
        self._api, self._writer = api, writer
        with tempfile.TemporaryDirectory(prefix="knockon-bench-") as folder:
            path = Path(folder) / "journal.export"
            write_export(path, 6000)
            self._lines = cycle(read_entries(path))
        self._updates = 0

    def second(self, number: int) -> None:
        """Let a second of the storm pass: lines, updates, and every 20 s a kill."""
        at_us = now_us()
        said = [next(self._lines) for _ in range(round(LINES_A_S))]
        self._writer.write(one.moved(at_us + n - one.at_us) for n, one in enumerate(said))
        if number % 20 == 5:
            self._writer.write(kill_lines())
        for _ in range(round(UPDATES_A_S)):
            self._updates += 1
            name = self._updates % PODS
            thing = pod(
                f"pod-{name}",
                node=NODE,
                uid=uid(name),
                restarts=self._updates,
                ballast=_BALLAST,
            )
            self._api.store.put("pods", thing)
        if number % 20 == 7:
            for name in range(10):
                self._api.store.create("events", changed_now(f"pod-{name}"))


def measured(one: Site, span_s: float, second: Callable[[int], None]) -> Cost:
    """Say what an agent took over a span; ``second`` is called once in each second of it."""
    pids = _processes(one)
    begun_s, cpu_s = time.monotonic(), _cpu_s(pids)
    peak = 0.0
    number = 0
    while (passed_s := time.monotonic() - begun_s) < span_s:
        second(number)
        number += 1
        peak = max(peak, sum(_rss_mib(pid) for pid in pids))
        time.sleep(max(0.0, number - (time.monotonic() - begun_s)))
    cpu_pct = 100 * (_cpu_s(pids) - cpu_s) / passed_s
    rss, pss = sum(map(_rss_mib, pids)), sum(map(_pss_mib, pids))
    return Cost(cpu_pct, rss, pss, max(peak, rss), len(pids))


def _processes(one: Site) -> list[int]:
    """The agent and its children."""
    assert one.process is not None
    children = Path(f"/proc/{one.process.pid}/task").glob("*/children")
    return [one.process.pid, *(int(pid) for path in children for pid in path.read_text().split())]


def _cpu_s(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in pids:
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            fields = stat.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS


def _rss_mib(pid: int) -> float:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 / 1024
    return 0.0


def _pss_mib(pid: int) -> float:
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def _dropped(one: Site) -> float:
    lines = one.get("/metrics").splitlines()
    found = [line for line in lines if line.startswith("knockon_facts_dropped_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in found)


def _rows(what: str, cost: Cost, target: str) -> list[Row]:
    note = f"{cost.processes} processes, {PODS} pods, {PODS * 3} control groups"
    return [
        Row("agent", f"{what}: CPU of a core", f"{cost.cpu_pct:.1f} %", f"target {target}", note),
        Row("agent", f"{what}: RSS", f"{cost.rss_mib:.1f} MiB", "target 33, limit 64 MiB", note),
        Row("agent", f"{what}: PSS", f"{cost.pss_mib:.1f} MiB", "", "shared pages once"),
        Row("agent", f"{what}: highest RSS", f"{cost.peak_mib:.1f} MiB", "limit 64 MiB", "at 1 Hz"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run this bench alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.agent", description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{machine_line()}\n\n{rows_table(bench(options.smoke))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
