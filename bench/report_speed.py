"""``python -m bench.report_speed``: what the page of a full node and an hour costs, and to open it.

The ring is written by the recorder's own writer, the command runs as a process of its own: CPU and
peak RSS are what the kernel accounted to it, reading the bundle included. The same for the process
that makes an agent's page of it.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from agent.commands.why import Question, diagnosed
from agent.daemon.reports import render_command
from agent.recorder.frame import DISK, GROUP, MEMORY, PART, PSI, Frame, Key
from agent.recorder.frame import Row as Counters
from agent.recorder.ring import RingWriter
from agent.report.html import as_html
from agent.sources.kept import kept, packed
from bench.rows import Row, machine_line, rows_table
from tests.browser import chromium
from tests.command import KILL_US, killed_bundle
from tests.full_node import an_hour, whole_report

ROOT = Path(__file__).resolve().parent.parent
PODS, PARTS, ACTIVE = 110, 2, 0.3
HOUR_S, SMOKE_S = 3600, 120
OPENED = 7
_KNOCKON = "import sys; from agent.__main__ import main; sys.exit(main())"
_TELLS_ITS_PEAK = """
import atexit, sys
atexit.register(lambda: sys.stderr.write(open("/proc/self/status").read()))
"""


def bench(smoke: bool) -> list[Row]:
    """Measure the command, the page alone, and a browser opening it."""
    seconds = SMOKE_S if smoke else HOUR_S
    with tempfile.TemporaryDirectory(prefix="knockon-bench-") as place:
        folder = Path(place)
        rows = _command(folder, seconds)
        rows += _page_alone(folder / "full.html", seconds)
        rows += _opened(folder / "full.html")
    return rows


def _command(folder: Path, seconds: int) -> list[Row]:
    bundle = killed_bundle(folder / "bundle")
    _write_ring(bundle / "recorder.ring", seconds)
    page, cache = folder / "page.html", folder / "modules"
    words = [sys.executable, "-c", _KNOCKON, "why", "--bundle", str(bundle), "--html", str(page)]
    _child(words, cache)  # once before, so that all modules are compiled, as pip leaves them
    cpu_s, peak_mib = _child(words, cache)
    bare_s, bare_mib = _child(words[:-2], cache)
    agents = _agents(bundle, folder)
    note = f"{PODS} pods of {PARTS} containers, {seconds} s, from the bundle on"
    return [
        _row("command, CPU", f"{cpu_s:.2f} s", "target 1 s", note),
        _row("command, peak RSS", f"{peak_mib:.0f} MiB", "target 100 MiB", note),
        _row("same without --html, CPU", f"{bare_s:.2f} s", "", "reading and explaining alone"),
        _row("same without --html, peak RSS", f"{bare_mib:.0f} MiB"),
        *agents,
        _row("command, page", f"{page.stat().st_size / 1000:.0f} kB", "target 300 kB"),
    ]


def _agents(bundle: Path, folder: Path) -> list[Row]:
    """Measure the process behind ``/incidents/ID/report``, which gets a Diagnosis and the ring."""
    found = diagnosed(Question(bundle=bundle))
    raw = packed(kept(found.diagnoses[0], found.origin.pods, found.origin.probes))
    command = render_command([str(bundle / "recorder.ring"), str(folder / "agent.html")])
    cpu_s, peak_mib = _child(command, folder / "modules", raw)
    return [
        _row("agent's report, CPU", f"{cpu_s:.2f} s", "", "reads the ring twice, for less memory"),
        _row("agent's report, peak RSS", f"{peak_mib:.0f} MiB", "", "a process of its own"),
    ]


def _child(command: Sequence[str], cache: Path, said: bytes = b"") -> tuple[float, float]:
    """Run a program of ours and return its CPU seconds, as wait4(2) tells them, and peak MiB.

    The peak is what it says itself at its end: to wait4(2) a child is as large as we are.
    """
    at = list(command).index("-c") + 1
    words = [*command[:at], _TELLS_ITS_PEAK + command[at], *command[at + 1 :]]
    known = {**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": ""}
    started = subprocess.Popen(
        words,
        cwd=ROOT,
        env=known,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert started.stdin is not None
    assert started.stderr is not None
    with started.stdin as pipe:
        pipe.write(said)
    with started.stderr as pipe:
        peak_kib = int(pipe.read().rpartition(b"VmHWM:")[2].split()[0])
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode not in (0, 3):
        raise RuntimeError(f"{command[at + 1 :]} ended with {started.returncode}")
    return used.ru_utime + used.ru_stime, peak_kib / 1024


def _write_ring(path: Path, seconds: int) -> None:
    """Three in ten pods do something every second, as on the recorder's bench."""
    rng = random.Random(3)
    writer = RingWriter(path)
    groups: dict[Key, list[int]] = {}
    for n in range(PODS):
        pod = ("pod", f"shop-{n}", "web", f"uid-{n}")
        groups[GROUP, *pod] = [0] * 12
        groups |= {(PART, *pod, f"{n:060x}{part:04x}"): [0] * 12 for part in range(PARTS)}
    keys = list(groups)
    first_ms = KILL_US // 1000 - seconds * 750
    for second in range(seconds):
        for key in rng.sample(keys, int(len(keys) * ACTIVE)):
            counters = groups[key] = list(groups[key])
            counters[0] += rng.randrange(5000)
            counters[2] += rng.randrange(3000)
            counters[3] += rng.randrange(900)
        rows: dict[Key, Counters] = {key: tuple(one) for key, one in groups.items()}
        for number, name in enumerate(("cpu", "io", "memory")):
            stalled_us = second * (number + 1) * 90_000 + rng.randrange(50_000)
            rows[PSI, name] = (1200, stalled_us, 300, stalled_us // 3)
        rows[(MEMORY,)] = (8_000_000 + rng.randrange(99_999), 20, 30, second * 3, second * 5)
        rows[DISK, "vda"] = (second * 90_000, second * 40_000, second, second, second * 500, 0)
        writer.add(Frame(first_ms + second * 1000, rows))
    writer.close()


def _page_alone(page: Path, seconds: int) -> list[Row]:
    """Time the page alone, on samples in which everything moves and nothing compresses."""
    answered = whole_report(an_hour(seconds))
    begun_s = time.process_time()
    text = as_html(answered)
    took_s = time.process_time() - begun_s
    page.write_text(text, "utf-8")
    size = f"{len(text.encode()) / 1000:.0f} kB"
    return [
        _row("page alone, CPU", f"{took_s:.2f} s", "", "every value another every second"),
        _row("page alone, size", size, "target 300 kB"),
    ]


def _opened(page: Path) -> list[Row]:
    """Open the page in a browser and ask when its script was done, and how long a zoom takes."""
    try:
        with chromium() as browser:
            browser.size(1440, 900)
            ready: list[float] = []
            for _ in range(OPENED):
                browser.open(page)
                ready.append(float(browser.run("return document.documentElement.dataset.ready")))
            zoom = float(
                browser.run(
                    "const a = performance.now(); document.querySelector('[data-do=in]').click();"
                    "return performance.now() - a"
                )
            )
    except pytest.skip.Exception as why:
        return [_row("opened in chromium", "not measured", note=str(why))]
    return [
        _row("interactive in chromium", f"{median(ready):.0f} ms", "target 500 ms"),
        _row("answer to a zoom", f"{zoom:.1f} ms", "", "script, without drawing"),
    ]


def _row(what: str, value: str, against: str = "", note: str = "") -> Row:
    return Row("report_speed", what, value, against, note)


def main(argv: Sequence[str] | None = None) -> int:
    """Run this bench alone."""
    parser = argparse.ArgumentParser(prog="python -m bench.report_speed", description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    sys.stdout.write(f"{machine_line()}\n\n{rows_table(bench(options.smoke))}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
