"""``python -m tests.demo``: a recorded incident explained, then the same one live.

Writes nothing outside a temporary folder, needs no root, and leaves nothing running.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import IO

from agent.diagnosis.correlate import correlate
from agent.diagnosis.diagnose import diagnose
from agent.errors import UserError
from agent.journal.health import check_journal, journal_folders
from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.journal.matches import matches_for
from agent.model import Fact, Record
from agent.rules.catalogue import Catalogue
from tests.replay import Entry, journal_writer, paced, play, read_entries, remote_tool

ROOT = Path(__file__).resolve().parent.parent
STORIES = ROOT / "tests" / "stories"
FIRST_CHOICE = "founding-incident"
PLAYS_S, SETTLES_S, SPARE_S = 14.0, 6.0, 8.0
HEAD_START = 1  # entries in the journal before anybody follows it
OWN_JOURNAL_S = 8.0
LAST_DAY_S = 86_400.0
GOOD, BAD, MISSING = 0, 1, 2
KNOCKON = (sys.executable, "-m", "agent")


def main() -> int:
    """Show all parts; 1 when something did not work, 2 when a program is missing."""
    story = _story()
    if story is None:
        return _sorry(f"there is no recorded story in {STORIES.relative_to(ROOT)}", BAD)
    print("Knock-on: why were my pods re-created? Two answers, in about half a minute.")
    print("Nothing is written outside a temporary folder.")
    for part in (_afterwards, _live):
        status = part(story)
        if status != GOOD:
            return status
    _own_journal()
    return GOOD


def _story() -> Path | None:
    """The founding incident, else the first story there is."""
    found = sorted(path.parent for path in STORIES.glob("*/journal.export*"))
    return next((path for path in found if path.name == FIRST_CHOICE), found[0] if found else None)


# -- part 1


def _afterwards(story: Path) -> int:
    _heading("1. Afterwards: what a node's journal, its events and its pods tell")
    print(
        "A node with a real container runtime, systemd and pods was recorded. This is what such a"
    )
    print("node leaves behind; nobody has written the cause into it.")
    _command("why", "--bundle", str(story.relative_to(ROOT)))
    status = subprocess.run([*KNOCKON, "why", "--bundle", str(story)], cwd=ROOT, check=False)
    return GOOD if status.returncode in (0, 3) else BAD


# -- part 2


def _live(story: Path) -> int:
    _heading("2. Live: the same journal, written again as you watch")
    tool = remote_tool()
    if tool is None:
        hint = "apt-get install systemd-journal-remote, or `make demo`"
        return _sorry(f"the live part needs systemd-journal-remote, which is not here ({hint})")
    entries = _journal_of(story)
    kill_at_us = _kill_at_us(story)
    print(f"The {len(entries)} entries of the recording go into a real journal file, re-timed to")
    print(f"now; quiet stretches are shortened, so that it lasts {PLAYS_S:.0f} s. The follower")
    print("sees only that file: who struck, and why. Which pods it cost, events add (part 1).")
    with tempfile.TemporaryDirectory(prefix="knockon-demo-") as folder:
        return _play_and_follow(tool, Path(folder), entries, kill_at_us)


def _play_and_follow(tool: str, folder: Path, entries: Sequence[Entry], kill_at_us: int) -> int:
    played = paced(entries, time.time_ns() // 1000 + 1_000_000, PLAYS_S)
    killing = min(range(len(entries)), key=lambda n: abs(entries[n].at_us - kill_at_us))
    lasts_s = PLAYS_S + SETTLES_S + 2
    options = ("follow", "--journal-dir", str(folder), "--settle", f"{SETTLES_S:.0f}")
    _command(*options)
    with journal_writer(tool, folder / "node.journal") as writer:
        writer.write(played[:HEAD_START])
        time.sleep(0.3)
        with _follower([*KNOCKON, *options, "--for", str(lasts_s)]) as echo:
            killed_s = 0.0
            for number, _ in enumerate(play(writer, played[HEAD_START:]), HEAD_START):
                if number == killing:
                    killed_s = time.time()
            status = echo.wait(SETTLES_S + SPARE_S)
    if status == MISSING:
        return MISSING
    return _judge(echo.told_s, killed_s)


def _judge(told_s: float | None, killed_s: float) -> int:
    if told_s is None:
        return _sorry("the follower has not seen the incident", BAD)
    print()
    print(f"The kill line was in the journal at {_clock(killed_s)}, the report on the screen at")
    print(f"{_clock(told_s)}: {max(0.0, told_s - killed_s) * 1000:.0f} ms later.")
    return GOOD


class _Echo:
    """Passes on what the follower prints, and remembers when it told of the incident."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.told_s: float | None = None
        assert process.stdout is not None
        self._thread = Thread(target=self._pass_on, args=(process.stdout,), daemon=True)
        self._thread.start()

    def _pass_on(self, lines: IO[str]) -> None:
        for line in lines:
            if self.told_s is None and "] An incident" in line:
                self.told_s = time.time()
            print(line, end="", flush=True)

    def wait(self, longest_s: float) -> int:
        """Let it come to its end."""
        try:
            status = self._process.wait(longest_s)
        except subprocess.TimeoutExpired:
            return BAD
        self._thread.join(longest_s)
        return status


@contextmanager
def _follower(command: Sequence[str]) -> Iterator[_Echo]:
    """The follower; it is gone afterwards, whatever happens."""
    width = str(shutil.get_terminal_size((80, 24)).columns)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": width, "PYTHONIOENCODING": "utf-8"},
    )
    try:
        yield _Echo(process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(SPARE_S)


def _journal_of(story: Path) -> list[Entry]:
    return read_entries(next(path for path in story.glob("journal.export*")))


def _kill_at_us(story: Path) -> int:
    """When the killer struck in the recording, as part 1 found out."""
    command = [*KNOCKON, "why", "--bundle", str(story), "--json"]
    told = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout)
    incident = told["incidents"][0] if told["incidents"] else {}
    at = (incident.get("killer") or {}).get("at") or incident.get("opened_at")
    return int(datetime.fromisoformat(at).timestamp() * 1e6) if at else 0


# -- part 3


def _own_journal() -> None:
    """Say what this machine's own journal holds, where there is one that may be read."""
    health = check_journal(journal_folders(Path("/")), now_s=time.time())
    if not health.entries:
        return
    _heading("3. This machine's own journal")
    print(f"It holds {health.entries:,} entries. The last day of it:")
    try:
        verdicts = _verdicts(_own_facts())
    except UserError as error:
        print(f"  cannot be read: {error.message} ({error.hint})")
        return
    print("\n".join(f"  {verdict}" for verdict in verdicts) or "  nothing to report.")


def _own_facts() -> list[Fact]:
    catalogue = Catalogue.load()
    begin = Begin(since_s=time.time() - LAST_DAY_S)
    facts: list[Fact] = []
    until_s = time.monotonic() + OWN_JOURNAL_S
    matches = matches_for(catalogue.rules)
    with LiveJournal(JournalPlace(), begin, matches, time.monotonic) as journal:
        while not journal.caught_up and time.monotonic() < until_s:
            for item in journal.read(0.5):
                facts += catalogue.facts(item) if isinstance(item, Record) else ()
    return facts


def _verdicts(facts: Sequence[Fact]) -> list[str]:
    return [diagnose(incident).verdict for incident in correlate(facts).incidents[:3]]


# -- what a person sees


def _heading(text: str) -> None:
    print(f"\n\n{text}\n{'=' * len(text)}\n", flush=True)


def _command(*words: str) -> None:
    print(f"\n  $ knockon {' '.join(words)}\n", flush=True)


def _clock(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M:%S.%f}"[:-3]


def _sorry(what: str, status: int = MISSING) -> int:
    print(f"demo: {what}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
