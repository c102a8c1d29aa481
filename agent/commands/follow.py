"""``knockon follow``: tail a live journal and report an incident while it happens."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from agent.diagnosis.correlate import CONTEXT_BEFORE_S
from agent.diagnosis.diagnose import diagnose
from agent.diagnosis.unfolding import Live, Stage, Told
from agent.errors import UserError
from agent.journal.health import check_journal, journal_folders, known_flags, machine_id_of
from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.journal.matches import matches_for
from agent.model import BlindSpot, Record
from agent.printable import ascii_only, safe
from agent.report.jsonform import SCHEMA, document
from agent.report.screen import Screen
from agent.report.terminal import as_text
from agent.report.view import Origin, Report, report
from agent.rules.catalogue import Catalogue
from agent.times import clock, rfc3339, span
from agent.words import counted

READ_S = 0.25
READER_STARTS_S = 5.0
TELL_EVERY_S = 0.2  # the lines of one blow come together; correlating each alone tells no more
TELL_SHARE = 5  # times as long as correlating took, so that a storm leaves time to read

Write = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--root", type=Path, metavar="DIR", help="a host's / as mounted here")
    where.add_argument("--journal-dir", type=Path, metavar="DIR", help="a folder of journal files")
    add("--from-start", action="store_true", help="begin with the oldest entry, not 10 min ago")
    add("--for", dest="for_s", type=float, metavar="SECONDS", help="end after this time")
    add("--settle", type=float, metavar="SECONDS", help="silence that ends it")
    add("--rules", type=Path, action="append", default=[], metavar="DIR", help="add your rules")
    add("--json", action="store_true", help="print one knockon/v1 JSON document a line")
    add("--no-color", action="store_true", help="no colour, as NO_COLOR in the environment")


def run(options: argparse.Namespace, screen: Screen, write: Write, rules: list[Path]) -> int:
    """Follow until time is up or somebody presses Ctrl-C."""
    if options.for_s is not None and not 0 < options.for_s < float("inf"):
        raise UserError("--for needs a number of seconds above 0")
    voice = JsonVoice(write) if options.json else TextVoice(write, screen)
    place = JournalPlace(options.root, options.journal_dir)
    now_s = time.time()  # noqa: TID251 - the edge
    begin = Begin(
        since_s=None if options.from_start else now_s - CONTEXT_BEFORE_S,
        from_start=options.from_start,
    )
    catalogue = Catalogue.load(rules)
    settle = {} if options.settle is None else {"settle_s": options.settle}
    matches = matches_for(catalogue.rules)
    with LiveJournal(place, begin, matches, time.monotonic) as journal:
        follower = Follower(journal, catalogue, Live(**settle), str(place))
        follower.wait_for_reader()
        voice.begins(place, sick(place, journal.libsystemd, now_s))
        with suppress(KeyboardInterrupt):
            for told, told_at_s in follower.events(options.for_s):
                voice.tells(told, follower.report(told), told_at_s)
        for told in follower.live.finish():
            voice.tells(told, follower.report(told), time.time())  # noqa: TID251 - the edge
        voice.ends(follower)
    return 0


def sick(place: JournalPlace, libsystemd: str, now_s: float) -> tuple[str, ...]:
    """What hides part of this journal, one sentence each."""
    root = place.root or Path("/")
    folders = [place.directory] if place.directory else journal_folders(root)
    machine_id = "" if place.directory else machine_id_of(root)
    return check_journal(
        folders, now_s=now_s, machine_id=machine_id, known_flags=known_flags(libsystemd)
    ).sentences


class Follower:
    """Records in, things to tell out; counts what it has read."""

    def __init__(self, journal: LiveJournal, catalogue: Catalogue, live: Live, name: str) -> None:
        self.journal = journal
        self.live = live
        self.records = 0
        self.spoofed = 0
        self.incidents = 0
        self.blind: list[BlindSpot] = []
        self._catalogue = catalogue
        self._name = name
        self._story_s = float("-inf")

    def wait_for_reader(self) -> None:
        """Let the child say who it is, or what the user has to mend."""
        until_s = time.monotonic() + READER_STARTS_S
        while not self.journal.libsystemd and time.monotonic() < until_s:
            for item in self.journal.read(READ_S):
                self._take(item)

    def events(self, for_s: float | None) -> Iterator[tuple[Told, float]]:
        """Everything to tell until time is up, with the time at which it is told."""
        begun_s = next_tell_s = time.monotonic()
        untold = False
        while (passed_s := time.monotonic() - begun_s) < (for_s or float("inf")):
            wait_s = next_tell_s - begun_s - passed_s if untold else READ_S
            items = self.journal.read(min(max(0.0, wait_s), READ_S))
            for item in items:
                self._take(item)
            untold = untold or bool(items)
            started_s = time.monotonic()
            if started_s < next_tell_s:
                continue
            yield from self._tell()
            untold = False
            took_s = time.monotonic() - started_s
            next_tell_s = started_s + max(TELL_EVERY_S, TELL_SHARE * took_s)
        if untold:  # read in the last moment
            yield from self._tell()

    def _tell(self) -> Iterator[tuple[Told, float]]:
        now_s = time.time()  # noqa: TID251 - the edge
        for story_s in self._story_times_s(now_s):
            self._story_s = story_s
            for told in self.live.tell(story_s):
                self.incidents += told.stage is Stage.OPENED
                yield told, now_s

    def _story_times_s(self, now_s: float) -> tuple[float, ...]:
        """The times of the story: the past's while it is read, and once all is read the clock's.

        What was read in one go with the word that this is all is told at its own time first: by the
        clock it may be days old, and over.
        """
        newest_s = self.journal.newest_s
        past_s = now_s if newest_s is None else min(newest_s, now_s)
        if not self.journal.caught_up:
            return (past_s,)
        return (past_s, now_s) if past_s > self._story_s else (now_s,)

    def _take(self, item: Record | BlindSpot) -> None:
        if isinstance(item, BlindSpot):
            self.live.add_blind(item)
            self.blind.append(item)
            return
        self.records += 1
        self.live.node = item.fields.get("_HOSTNAME", self.live.node)
        reading = self._catalogue.read(item)
        if reading.facts:
            self.live.add(reading.facts)
        self.spoofed += reading.spoofed is not None

    def report(self, told: Told) -> Report:
        """The same report that ``knockon why`` makes."""
        origin = Origin(name=self._name, node=self.live.node, spoofed=self.spoofed)
        return report([diagnose(told.incident)], origin)


class TextVoice:
    """Speaks to a person."""

    def __init__(self, write: Write, screen: Screen) -> None:
        self._write = write
        self._screen = screen

    def _line(self, text: str, style: str = "dim") -> None:
        shown = text if self._screen.unicode else ascii_only(text)
        self._write(f"{self._screen.styled(shown, style)}\n")

    def begins(self, place: JournalPlace, sick: tuple[str, ...]) -> None:
        """Say what is followed, and what of it cannot be read."""
        self._line(f"Following {safe(str(place), 300)}. Ctrl-C ends.")
        for sentence in sick:
            self._line(safe(sentence, 400), "yellow")

    def tells(self, told: Told, shown: Report, told_at_s: float) -> None:
        """Print the report under a line that says when, and how long after the blow."""
        delay_s = delay_of(shown, told_at_s)
        after = f", {span(delay_s)} after the blow" if delay_s is not None else ""
        what = "An incident" if told.stage is Stage.OPENED else "The incident has settled"
        stage = f"{what}{after if told.stage is Stage.OPENED else ''}:"
        self._line("")
        self._line(f"[{clock(told_at_s)}] {stage}", "bold")
        self._line("")
        self._write(as_text(shown, self._screen))

    def ends(self, follower: Follower) -> None:
        """Say how much was read."""
        self._line("")
        self._line(summary(follower))


class JsonVoice:
    """Speaks to a program: one document a line."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def begins(self, place: JournalPlace, sick: tuple[str, ...]) -> None:
        """Say nothing, unless the journal cannot be read well."""
        if sick:
            told = {"schema": SCHEMA, "stage": "journal", "journal": str(place), "faults": sick}
            self._write(json.dumps(told) + "\n")

    def tells(self, told: Told, shown: Report, told_at_s: float) -> None:
        """Print the contract's document, with the stage and the delay."""
        delay_s = delay_of(shown, told_at_s)
        told_now = {
            "stage": str(told.stage),
            "told_at": rfc3339(told_at_s),
            "delay_s": None if delay_s is None else round(delay_s, 3),
        }
        line = json.dumps({**document(shown), **told_now}, allow_nan=False)
        self._write(f"{line}\n")

    def ends(self, follower: Follower) -> None:
        """Say nothing: the stream ends."""


def delay_of(shown: Report, told_at_s: float) -> float | None:
    """Seconds from the blow (the kill, else the opening) to the moment it is told."""
    blow_s = shown.incidents[0].kill_at_s if shown.incidents else None
    return max(0.0, told_at_s - blow_s) if blow_s is not None else None


def summary(follower: Follower) -> str:
    """One sentence on what was read."""
    incidents = counted(follower.incidents, "incident") if follower.incidents else "no incident"
    parts = [f"Read {counted(follower.records, 'entry', 'entries')}: {incidents}"]
    if follower.spoofed:
        parts.append(f"{counted(follower.spoofed, 'line')} not believed")
    if follower.journal.restarts:
        parts.append(f"reader started again {counted(follower.journal.restarts, 'time')}")
    return ", ".join(parts) + "."
