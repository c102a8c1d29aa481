"""``python -m bench.journal_scan``: reading a journal's export, and matching rules, beside peers.

Each arm is a process of its own, timed from its start to its end, so that interpreter and rulebook
are paid for. Arms take turns in shuffled order; a ratio compares arms of the same turn.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.model import Record
from agent.rules.catalogue import Catalogue
from agent.sources.export import ExportReader
from bench.journal_mix import write_export
from bench.rows import Row, machine_line, rows_table

ROOT = Path(__file__).resolve().parent.parent
FULL_ENTRIES, SMOKE_ENTRIES = 200_000, 5_000
FULL_TURNS, SMOKE_TURNS = 5, 1
_REMOTE = "systemd-journal-remote"
_REMOTE_FOLDERS = ("/lib/systemd", "/usr/lib/systemd")  # not on PATH in any distribution
# What an administrator greps for; a fair rival matches text on the same file.
_GREP = (
    "sandbox changed|PLEG is not healthy|daemon failed|oom-kill|Out of memory|panic:|"
    "Stopping |blocked for more than|No space left|I/O error"
)


@dataclass(frozen=True, slots=True)
class Arm:
    """One program to be timed on the same journal."""

    name: str
    command: tuple[str, ...]
    ours: bool = False
    tells_entries: bool = True  # whether what it says tells how many entries it read


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds of every turn of one arm, and what it said of itself."""

    took_s: tuple[float, ...]
    said: Mapping[str, int]


def bench(smoke: bool) -> list[Row]:
    """Run all arms on a generated journal and return the numbers."""
    entries = SMOKE_ENTRIES if smoke else FULL_ENTRIES
    return scan(entries, SMOKE_TURNS if smoke else FULL_TURNS)


def scan(entries: int, turns: int, seed: int = 1) -> list[Row]:
    """Generate, run in shuffled turns, compare."""
    with tempfile.TemporaryDirectory(prefix="knockon-bench-") as folder:
        export = Path(folder) / "node.export"
        write_export(export, entries, seed)
        arms, skipped = _arms(export)
        runs = _take_turns(arms, entries, turns, random.Random(seed))
        rows = [_speed(arm, runs[arm.name], entries, export.stat().st_size) for arm in arms]
    return [*rows, *_ratios(arms, runs), *_memory(arms, runs, entries), *skipped]


def _arms(export: Path) -> tuple[list[Arm], list[Row]]:
    ours = [
        Arm(name, (sys.executable, "-m", "bench.journal_scan", "--arm", name, str(export)), True)
        for name in _INSIDE
    ]
    peers, skipped = (
        [Arm("grep -E", ("grep", "-a", "-c", "-E", _GREP, str(export)), tells_entries=False)],
        [],
    )
    journals, why = _journals_of(export)
    if not journals:
        skipped.append(Row("journal_scan", "journalctl -o cat", "skipped", note=why))
    else:
        files = [argument for one in journals for argument in ("--file", str(one))]
        peers.append(Arm("journalctl -o cat", ("journalctl", *files, "-o", "cat", "--no-pager")))
    return [*ours, *peers], skipped


def _journals_of(export: Path) -> tuple[list[Path], str]:
    """Turn the export into journal files, or say why that is not possible here."""
    remote = shutil.which(_REMOTE) or next(
        (found for place in _REMOTE_FOLDERS if (found := shutil.which(_REMOTE, path=place))), None
    )
    if remote is None:
        return [], f"{_REMOTE} is not installed"
    if shutil.which("journalctl") is None:
        return [], "journalctl is not installed"
    journal = export.with_suffix(".journal")
    made = subprocess.run(
        [remote, "-o", str(journal), str(export)], capture_output=True, text=True, check=False
    )
    if made.returncode or not journal.exists():
        return [], f"{_REMOTE} ended with {made.returncode}: {made.stderr.strip()[-120:]}"
    # It rotates by size: the older part is called node@....journal.
    return sorted(export.parent.glob(f"{export.stem}*.journal")), ""


def _take_turns(
    arms: Sequence[Arm], entries: int, turns: int, rng: random.Random
) -> dict[str, Run]:
    took_s: dict[str, list[float]] = {arm.name: [] for arm in arms}
    said: dict[str, dict[str, int]] = {arm.name: {} for arm in arms}
    for _ in range(turns):
        for arm in rng.sample(arms, len(arms)):
            begun_s = time.perf_counter()
            words = _run(arm)
            took_s[arm.name].append(time.perf_counter() - begun_s)
            said[arm.name] = words
            if words.get("entries", entries) != entries:
                raise RuntimeError(f"{arm.name} read {words['entries']} of {entries} entries")
    return {arm.name: Run(tuple(took_s[arm.name]), said[arm.name]) for arm in arms}


def _run(arm: Arm) -> dict[str, int]:
    # Through a pipe for everybody: GNU grep stops at its first match when it writes to /dev/null.
    ended = subprocess.run(arm.command, stdout=subprocess.PIPE, check=False, cwd=ROOT)
    if ended.returncode > (0 if arm.ours else 1):  # 1: grep found nothing
        raise RuntimeError(f"{arm.name} ended with {ended.returncode}")
    if not arm.ours:
        return {"entries": ended.stdout.count(b"\n")} if arm.tells_entries else {}
    return {str(name): int(number) for name, number in json.loads(ended.stdout).items()}


def _speed(arm: Arm, run: Run, entries: int, size_bytes: int) -> Row:
    took_s = median(run.took_s)
    facts = f", {run.said['facts']} facts" if "facts" in run.said else ""
    note = f"median of {len(run.took_s)}: {took_s:.2f} s{facts}"
    speed = f"{entries / took_s:,.0f} entries/s, {size_bytes / took_s / 1e6:.0f} MB/s of export"
    return Row("journal_scan", arm.name, speed, note=note)


def _ratios(arms: Sequence[Arm], runs: Mapping[str, Run]) -> list[Row]:
    pairs = [(ours, peer) for ours in arms if ours.ours for peer in arms if not peer.ours]
    rows = []
    for ours, peer in pairs:
        both = zip(runs[ours.name].took_s, runs[peer.name].took_s, strict=True)
        ratios = sorted(peer_s / ours_s for ours_s, peer_s in both)
        value = f"{median(ratios):.3f}x ({ratios[0]:.3f}-{ratios[-1]:.3f})"
        rows.append(Row("journal_scan", ours.name, value, peer.name, "ratio of speeds; 1 = equal"))
    return rows


def _memory(arms: Sequence[Arm], runs: Mapping[str, Run], entries: int) -> list[Row]:
    return [
        Row(
            "journal_scan",
            f"{arm.name}: peak RSS",
            f"{runs[arm.name].said['peak_rss_bytes'] / 2**20:.1f} MiB",
            note=f"{entries:,} entries",
        )
        for arm in arms
        if arm.ours
    ]


# -- inside an arm of ours


def _read(path: Path) -> dict[str, int]:
    """Every entry decoded into a Record."""
    with path.open("rb") as stream:
        return {"entries": sum(isinstance(one, Record) for one in ExportReader(stream, path.name))}


def _read_and_match(path: Path) -> dict[str, int]:
    """Every entry decoded and shown to the rulebook."""
    catalogue = Catalogue.load()
    entries = facts = 0
    with path.open("rb") as stream:
        for one in ExportReader(stream, path.name):
            if isinstance(one, Record):
                entries += 1
                facts += len(catalogue.read(one).facts)
    return {"entries": entries, "facts": facts}


def _read_what_grep_finds(path: Path) -> dict[str, int]:
    """Only entries that hold what ``grep -E`` looks for are decoded: its job, as Records."""
    wanted = re.compile(_GREP.encode())
    with path.open("rb") as stream:
        found = ExportReader(stream, path.name, lambda raw: wanted.search(raw) is not None)
        return {"found": sum(isinstance(one, Record) for one in found)}


_INSIDE = {
    "read": _read,
    "read and match": _read_and_match,
    "read what grep finds": _read_what_grep_finds,
}


def _peak_rss_bytes() -> int:
    """High-water mark of this program alone: ru_maxrss would remember the parent's."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; with ``--arm`` be one of the arms."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal_scan", description=__doc__)
    parser.add_argument("--entries", type=int, default=FULL_ENTRIES)
    parser.add_argument("--turns", type=int, default=FULL_TURNS)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--arm", choices=_INSIDE, help=argparse.SUPPRESS)
    parser.add_argument("export", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.arm:
        said = _INSIDE[options.arm](options.export)
        print(json.dumps(said | {"peak_rss_bytes": _peak_rss_bytes()}))
        return 0
    rows = bench(smoke=True) if options.smoke else scan(options.entries, options.turns)
    print(f"{machine_line()}\n\n{rows_table(rows)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
