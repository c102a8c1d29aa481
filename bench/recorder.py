"""``python -m bench.recorder``: what a second of the flight recorder costs on a full node.

A node of plain files on a tmpfs: 110 pods of two containers each make 330 control groups, of which
three in ten do something every second. Real cgroup files cost the kernel more than a tmpfs does, so
the price of reading one that exists here stands beside it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile
from agent.recorder.loop import Recorder
from agent.recorder.ring import RingWriter
from agent.recorder.ring_read import load_ring
from agent.recorder.sampler import Sampler
from bench.rows import Row, machine_line, rows_table
from tests.node_tree import NodeTree, Use, container, uid

ROOT = Path(__file__).resolve().parent.parent
PODS, PARTS = 110, 2
FULL_S, SMOKE_S = 300, 20
ACTIVE = 0.3
_REAL = ("memory/memory.stat", "memory.stat", "cpuacct/cpuacct.usage", "cpu.stat")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of so many seconds took."""

    cpu_s: tuple[float, ...]  # per sample
    ring_bytes: int
    seconds: int
    groups: int
    rss_grown_kib: int


class Load:
    """Pods that come to life in turn, three in ten at a time, like the pods of a real node."""

    def __init__(self, tree: NodeTree, active: float, seed: int = 1) -> None:
        self._tree = tree
        self._rng = random.Random(seed)
        self._active = active
        self._use: dict[str, Use] = {}
        for pod in range(PODS):
            path = tree.pod_path(uid(pod))
            paths = [tree.container_path(path, container(pod * 10 + n)) for n in range(PARTS)]
            for one in (path, *paths):
                self._use[one] = Use(cpu_us=self._rng.randrange(10**9), memory_bytes=64 << 20)
                tree.write(one, self._use[one])
        self._paths = list(self._use)
        self._second = 0

    def second(self) -> None:
        """Let a second pass."""
        self._second += 1
        grown = self._rng.sample(self._paths, int(len(self._paths) * self._active))
        for path in grown:
            self._use[path] = self._use[path].more(
                cpu_us=self._rng.randrange(1000, 400_000),
                read_bytes=4096 * self._rng.randrange(200),
                write_bytes=4096 * self._rng.randrange(50),
                reads=self._rng.randrange(50),
                writes=self._rng.randrange(20),
                memory_bytes=4096 * self._rng.randrange(-100, 101),
                refaults=self._rng.randrange(3),
                stalled_us=self._rng.randrange(30_000),
            )
            self._tree.write(path, self._use[path])
        self._tree.pressure(self._second * 90_000, self._second * 50_000, self._second * 700)
        self._tree.memory(4_000_000 + self._rng.randrange(9999), self._second * 13)
        self._tree.disks({"vda": (self._second * 9000, self._second * 4000), "vdb": (800, 800)})


def bench(smoke: bool) -> list[Row]:
    """Measure v2 and v1, quiet and busy, and how much memory a recorder of its own takes."""
    seconds = SMOKE_S if smoke else FULL_S
    rows: list[Row] = []
    for version in ("v2", "v1"):
        cost = measure(version, ACTIVE, seconds)
        rows += _rows(version, cost)
    whole = measure("v2", 1.0, SMOKE_S if smoke else 60)
    note = "every group busy every second"
    rows.append(_row("v2, CPU a sample, all active", _ms(median(whole.cpu_s)), "", note))
    rows.append(
        _row("v2, ring holds, all active", f"{60 * 8 / _an_hour_mib(whole):.0f} min", "", note)
    )
    rows.append(_row("RSS of a recorder alone", _rss(), "", "a process with nothing else in it"))
    return [*rows, *_real_files()]


def measure(version: str, active: float, seconds: int) -> Cost:
    """Record so many made-up seconds; only the recorder's own work is timed."""
    with _folder() as folder:
        tree = NodeTree(folder, version)
        load = Load(tree, active)
        host = Host(folder)
        writer = RingWriter(host.ring)
        sampler = Sampler(host)
        recorder = Recorder(sampler, writer)
        recorder.step(1e9)
        before, rss_kib = writer.written_bytes, _rss_kib()
        cpu_s: list[float] = []
        for second in range(1, seconds + 1):
            load.second()
            begun_s = time.thread_time()
            recorder.step(1e9 + second)
            cpu_s.append(time.thread_time() - begun_s)
        cost = Cost(
            tuple(cpu_s),
            writer.written_bytes - before,
            seconds,
            sampler.groups,
            _rss_kib() - rss_kib,
        )
        recorder.close()
        kept = load_ring(host.ring, parts=False)
        if len(kept.samples) < min(seconds, 100) or kept.blind:
            raise RuntimeError(f"the ring holds {len(kept.samples)} samples, {kept.blind[:1]}")
    return cost


def _rows(version: str, cost: Cost) -> list[Row]:
    a_second = mean(cost.cpu_s)
    slowest = sorted(cost.cpu_s)[int(len(cost.cpu_s) * 0.99) - 1]
    an_hour = _an_hour_mib(cost)
    groups = f"{cost.groups} groups, {ACTIVE:.0%} active"
    return [
        _row(f"{version}, CPU a sample", _ms(a_second), "target 10 ms", groups),
        _row(f"{version}, CPU a sample, p99", _ms(slowest), "", "with looking around"),
        _row(f"{version}, share of a core", f"{100 * a_second:.2f} %", "target 1 %"),
        _row(f"{version}, ring an hour", f"{an_hour:.2f} MiB", "target 8 MiB"),
        _row(
            f"{version}, RSS grown", f"{cost.rss_grown_kib} KiB", "", f"in {cost.seconds} samples"
        ),
    ]


def _an_hour_mib(cost: Cost) -> float:
    return cost.ring_bytes / cost.seconds * 3600 / 2**20


def _real_files() -> list[Row]:
    """Time reading cgroup files that exist on this machine, where there are any."""
    rows: list[Row] = []
    for name in _REAL:
        path = Path("/sys/fs/cgroup") / name
        if not path.is_file():
            continue
        file = KeptFile(path)
        file.read()
        begun_s = time.thread_time()
        for _ in range(2000):
            file.read()
        took_us = (time.thread_time() - begun_s) / 2000 * 1e6
        file.close()
        rows.append(_row(f"one real {path.name}", f"{took_us:.1f} us", "", "pread of a root group"))
    return rows


def _rss() -> str:
    """Start a recorder as a process of its own and ask how much memory it holds."""
    with _folder() as folder:
        Load(NodeTree(folder), ACTIVE)
        command = [sys.executable, "-c", _ALONE, str(folder)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip()[-200:])
    return f"{int(ended.stdout) / 1024:.1f} MiB"


_ALONE = """
import sys
from pathlib import Path
from agent.recorder.host import Host
from agent.recorder.loop import Recorder
from agent.recorder.ring import RingWriter
from agent.recorder.sampler import Sampler
host = Host(Path(sys.argv[1]))
recorder = Recorder(Sampler(host), RingWriter(host.ring))
for second in range(600):
    recorder.step(1e9 + second)
print(int(Path("/proc/self/statm").read_text().split()[1]) * 4)
"""


@contextmanager
def _folder() -> Iterator[Path]:
    """Lend a folder on a tmpfs where there is one."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="knockon-bench-", dir=place) as folder:
        yield Path(folder)


def _rss_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _row(what: str, value: str, against: str = "", note: str = "") -> Row:
    return Row("recorder", what, value, against, note)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def main(argv: Sequence[str] | None = None) -> int:
    """Run this bench alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.recorder", description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{machine_line()}\n\n{rows_table(bench(options.smoke))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
