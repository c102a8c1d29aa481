"""``python -m bench.journal_follow``: the reader child on a backlog, beside journalctl.

Both read the same journal files with the same matches, through a pipe, from the start of the
process to the last entry. ``-o cat`` prints the message alone; the child sends every field that
rules need, so ``-o export`` is shown as well. Turns are shuffled; a ratio compares one turn's arms.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from agent.journal.heard import frames
from agent.journal.live import Begin, JournalPlace, LiveJournal, reader_command
from agent.journal.matches import matches_for
from agent.journal.plan import Plan
from agent.journal.wire import COLUMNS, Say
from agent.rules.catalogue import Catalogue
from bench.journal_mix import write_export
from bench.rows import Row, machine_line, rows_table
from tests.replay import remote_tool

ROOT = Path(__file__).resolve().parent.parent
FULL_ENTRIES, SMOKE_ENTRIES = 200_000, 5_000
FULL_TURNS, SMOKE_TURNS = 7, 1
CHUNK_BYTES = 1 << 20
NAME = "journal_follow"
SOME = ("_SYSTEMD_UNIT=docker.service", "_TRANSPORT=kernel", "_PID=1")  # a quarter of the journal


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to read the journal; ``read`` returns how many entries it has seen."""

    name: str
    read: Callable[[], int]
    ours: bool = False


def bench(smoke: bool) -> list[Row]:
    """Run all arms on a generated journal and return the numbers."""
    tool = remote_tool()
    if tool is None or shutil.which("journalctl") is None:
        return [Row(NAME, "", "skipped", note="systemd-journal-remote or journalctl is missing")]
    entries, turns = (SMOKE_ENTRIES, SMOKE_TURNS) if smoke else (FULL_ENTRIES, FULL_TURNS)
    with tempfile.TemporaryDirectory(prefix="knockon-bench-") as folder:
        journal = _journal(tool, Path(folder), entries)
        rows = _compare("the rulebook's matches", journal, _rulebook(), turns)
        return rows + _compare("3 matches", journal, SOME, turns)


def _journal(tool: str, folder: Path, entries: int) -> Path:
    export, journal = folder / "node.export", folder / "journal"
    write_export(export, entries)
    journal.mkdir()
    command = [tool, "-o", str(journal / "node.journal"), str(export)]
    subprocess.run(command, check=True, capture_output=True)
    export.unlink()
    return journal


def _rulebook() -> tuple[str, ...]:
    """Exact matches only: journalctl knows no globs."""
    matches = matches_for(Catalogue.load().rules)
    return tuple(match for match in matches if not set(match) & set("*?"))


def _compare(what: str, journal: Path, matches: Sequence[str], turns: int) -> list[Row]:
    arms = _arms(journal, matches)
    entries = {arm.read() for arm in arms}  # also warms the page cache, for everybody
    if len(entries) != 1:
        raise RuntimeError(f"the arms do not agree on the number of entries: {entries}")
    took_s: dict[str, list[float]] = {arm.name: [] for arm in arms}
    rng = random.Random(1)
    for _ in range(turns):
        for arm in rng.sample(arms, len(arms)):
            begun_s = time.perf_counter()
            arm.read()
            took_s[arm.name].append(time.perf_counter() - begun_s)
    count = entries.pop()
    return [*_speeds(what, arms, took_s, count), *_ratios(what, arms, took_s)]


def _arms(journal: Path, matches: Sequence[str]) -> list[Arm]:
    return [
        Arm("reader child", lambda: _child(journal, matches), ours=True),
        Arm("child and parent, to Records", lambda: _records(journal, matches), ours=True),
        Arm("journalctl -o cat", lambda: _journalctl(journal, matches, "cat")),
        Arm("journalctl -o export", lambda: _journalctl(journal, matches, "export")),
    ]


def _child(journal: Path, matches: Sequence[str]) -> int:
    words = ["--directory", str(journal), "--from-start"]
    words += [part for match in matches for part in ("--match", match)]
    buffer, rows = bytearray(), 0
    with subprocess.Popen(
        reader_command(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        _widen(process.stdout.fileno())
        caught_up = False
        while not caught_up:
            buffer += os.read(process.stdout.fileno(), CHUNK_BYTES)
            for one in frames(buffer):
                caught_up = one.say == Say.CAUGHT_UP
                if one.say == Say.RECORDS:
                    rows += (one.body.count(0) + 1) // len(COLUMNS)
        process.kill()
    return rows


def _records(journal: Path, matches: Sequence[str]) -> int:
    place, begin, count = JournalPlace(directory=journal), Begin(from_start=True), 0
    with LiveJournal(place, begin, matches, time.monotonic) as live:
        while not live.caught_up:
            count += len(live.read(5.0))
    return count


def _journalctl(journal: Path, matches: Sequence[str], form: str) -> int:
    command = ["journalctl", "-q", "--no-pager", "-o", form, "-D", str(journal)]
    plan = Plan.of(matches)
    for number, field in enumerate(plan.fields):
        command += ["+"] * bool(number)
        command += [f"{field}={value}" for value in sorted(plan.exact[field])]
    ends, last = 0, b""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        _widen(process.stdout.fileno())
        while chunk := os.read(process.stdout.fileno(), CHUNK_BYTES):
            if form == "cat":
                ends += chunk.count(b"\n")
            else:
                ends += (last + chunk).count(b"\n\n")
                last = chunk[-1:]
    return ends


def _widen(pipe: int) -> None:
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, CHUNK_BYTES)


def _speeds(
    what: str, arms: Sequence[Arm], took_s: Mapping[str, Sequence[float]], entries: int
) -> list[Row]:
    return [
        Row(
            NAME,
            f"{what}: {arm.name}",
            f"{entries / median(took_s[arm.name]):,.0f} entries/s",
            note=f"median of {len(took_s[arm.name])}: {median(took_s[arm.name]):.2f} s",
        )
        for arm in arms
    ]


def _ratios(what: str, arms: Sequence[Arm], took_s: Mapping[str, Sequence[float]]) -> list[Row]:
    rows = []
    for ours in (arm for arm in arms if arm.ours):
        for peer in (arm for arm in arms if not arm.ours):
            pairs = zip(took_s[ours.name], took_s[peer.name], strict=True)
            ratios = sorted(peer_s / ours_s for ours_s, peer_s in pairs)
            value = f"{median(ratios):.2f}x ({ratios[0]:.2f}-{ratios[-1]:.2f})"
            note = "ratio of speeds; 1 = equal"
            rows.append(Row(NAME, f"{what}: {ours.name}", value, peer.name, note))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.journal_follow", description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args(argv)
    print(f"{machine_line()}\n\n{rows_table(bench(options.smoke))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
