"""The live journal as the agent sees it: records and blind spots, from a child that may die.

The child is started again behind the last record that was handed out. Nothing here blocks longer
than its caller asked: a stalled disk stalls the child alone.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import subprocess  # noqa: TID251 - the one reader child
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import IO, Self

from agent.errors import UserError
from agent.journal.heard import Frame, Unframed, frames, unbatch
from agent.journal.wire import Say, cursor_time_us
from agent.model import BlindSpot, Record
from agent.sources.journal_fields import record_of

READ_BYTES = 1 << 20
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0
STUCK_AFTER = 4  # deaths in a row without a single record: something there kills the reader
HEALTHY_AFTER_S = 10.0  # a child that lived this long has earned a short pause again
_ENDS_IN_S = 2.0
_LEAN_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "LC_ALL": "C"}
_BOOT = """
import sys
sys.path += filter(None, sys.argv[1:3])
from agent.journal.reader import main
sys.exit(main(sys.argv[3:]))
"""


@dataclass(frozen=True, slots=True)
class JournalPlace:
    """Which journal: a host's root, one folder, or (neither) this machine's own."""

    root: Path | None = None
    directory: Path | None = None

    def __str__(self) -> str:
        return str(self.directory or self.root or "this machine's journal")

    def arguments(self) -> list[str]:
        """The place as the reader child takes it; /proc/1/root stays what it is, a way."""
        if self.directory:
            return ["--directory", str(self.directory.absolute())]
        return ["--root", str(self.root.absolute())] if self.root else []


@dataclass(frozen=True, slots=True)
class Begin:
    """Where to begin: behind a cursor, else at a time, else at the start, else at the end."""

    cursor: str = ""
    since_s: float | None = None
    from_start: bool = False

    def arguments(self) -> list[str]:
        """The beginning as the reader child takes it."""
        if self.cursor:
            return ["--cursor", self.cursor]
        if self.since_s is not None:
            return ["--since-us", str(int(self.since_s * 1e6))]
        return ["--from-start"] if self.from_start else []


def reader_command(words: Sequence[str]) -> list[str]:
    """How the reader child is started: isolated, without ``site``, on two folders of modules."""
    folders = [str(Path(__file__).parent.parent.parent), _systemd_folder()]
    return [*isolated_python(), "-c", _BOOT, *folders, *words]


def isolated_python() -> list[str]:
    """How Python is started for a child of ours: without others' settings, and without ``site``."""
    quiet = ["-B"] if sys.dont_write_bytecode else []
    if sys.pycache_prefix:
        quiet += ["-X", f"pycache_prefix={sys.pycache_prefix}"]
    return [sys.executable, "-I", "-S", *quiet]


def _systemd_folder() -> str:
    found = PathFinder.find_spec("systemd")
    places = found.submodule_search_locations if found else None
    return str(Path(places[0]).parent) if places else ""  # the child says what is missing


class LiveJournal:
    """Starts and supervises the reader child; ``read`` gives what it has said."""

    def __init__(
        self,
        place: JournalPlace,
        begin: Begin,
        matches: Sequence[str],
        clock: Callable[[], float],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._place = place
        self._begin = begin
        self._matches = tuple(matches)
        self._clock = clock  # monotonic seconds
        self._jitter = jitter
        self._child: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._next_start_s = 0.0
        self._started_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._barren = 0  # deaths since the last record
        self._worked = False
        self.cursor = begin.cursor
        self.starts = 0
        self.caught_up = False
        self.newest_s: float | None = None
        self.libsystemd = ""
        self._heard_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def restarts(self) -> int:
        """How often the child had to be started again."""
        return max(0, self.starts - 1)

    @property
    def silent_s(self) -> float:
        """For how long a living child has said nothing; it says something every half second."""
        return self._clock() - self._heard_s if self._child else 0.0

    @property
    def pid(self) -> int | None:
        """The child, while it lives."""
        return self._child.pid if self._child else None

    def lag_s(self, now_s: float) -> float:
        """How far reading is behind the clock: 0 once everything there is has been read."""
        if self.caught_up or self.newest_s is None:
            return 0.0
        return max(0.0, now_s - self.newest_s)

    def read(self, longest_s: float) -> list[Record | BlindSpot]:
        """What is new, after at most ``longest_s``; after it ``cursor`` stands behind all of it."""
        if self._child is None:
            wait_s = self._next_start_s - self._clock()
            if wait_s > 0:
                select.select([], [], [], min(wait_s, longest_s))
                return []
            self._start()
        assert self._child is not None
        assert self._child.stdout is not None
        pipe = self._child.stdout.fileno()
        ready, _, _ = select.select([pipe], [], [], max(0.0, longest_s))
        if not ready:
            return []
        data = os.read(pipe, READ_BYTES)
        if not data:
            return list(self._bury())
        self._heard_s = self._clock()
        self._buffer += data
        return list(self._heard())

    def close(self) -> None:
        """End the child: closing its standard input is enough, unless its disk is stalled."""
        child, self._child = self._child, None
        if child is None:
            return
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()
        try:
            child.wait(_ENDS_IN_S)
        except subprocess.TimeoutExpired:
            child.kill()

    def _heard(self) -> Iterator[Record | BlindSpot]:
        try:
            for one in frames(self._buffer):
                yield from self._understand(one)
        except Unframed as error:
            yield BlindSpot("journal", f"the reader of the journal said something odd: {error}")
            yield from self._bury()

    def _understand(self, one: Frame) -> Iterator[Record | BlindSpot]:
        if one.say == Say.RECORDS:
            self.cursor, rows = unbatch(one.body)
            self.caught_up = False
            self._barren = 0
            for fields in rows:
                where = f"journal@{fields.get('__REALTIME_TIMESTAMP', '')}"
                yield self._dated(record_of(fields, where))
        elif one.say == Say.CAUGHT_UP:
            self.caught_up = self._worked = True
            self._barren = 0
        elif one.say == Say.BLIND:
            why, from_us, to_us = one.body.decode().split("\0")
            yield BlindSpot("journal", why, _seconds(from_us), _seconds(to_us))
        elif one.say == Say.MISTAKE:
            self._mistake(*one.body.decode("utf-8", "replace").split("\0"))
        else:
            self.libsystemd = one.body.decode("utf-8", "replace")

    def _dated(self, record: Record) -> Record:
        if record.at_s is not None and record.at_s > (self.newest_s or 0.0):
            self.newest_s = record.at_s
        return record

    def _mistake(self, message: str, hint: str = "") -> None:
        """Only at the first start is it the user's; later the folder may be back in a moment."""
        if not self._worked:
            self.close()
            raise UserError(message, hint)

    def _start(self) -> None:
        begin = Begin(self.cursor) if self.cursor else self._begin
        words = [*self._place.arguments(), *begin.arguments()]
        words += [part for match in self._matches for part in ("--match", match)]
        self._buffer.clear()
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            reader_command(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **_LEAN_ENVIRONMENT},
            process_group=0,  # Ctrl-C ends us, and we end it
        )
        _widen(self._child.stdout)
        self.starts += 1
        self.caught_up = False
        self._started_s = self._heard_s = self._clock()

    def _bury(self) -> Iterator[BlindSpot]:
        """The child is gone: clear away, and decide when and where the next one begins."""
        now_s = self._clock()
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
        self.close()
        if now_s - self._started_s > HEALTHY_AFTER_S:
            self._pause_s = FIRST_PAUSE_S
        self._next_start_s = now_s + self._pause_s * (0.5 + self._jitter())
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        self._barren += 1
        if self._barren >= STUCK_AFTER:
            at_us = cursor_time_us(self.cursor)
            self.cursor, self._begin, self._barren = "", Begin(), 0
            why = "the journal cannot be read from here on; reading goes on at its end"
            yield BlindSpot("journal", why, at_us / 1e6 if at_us is not None else None)


def _widen(pipe: IO[bytes] | None) -> None:
    """Fewer turns between child and parent; the kernel may refuse."""
    with suppress(OSError):
        if pipe:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, READ_BYTES)


def _seconds(micros: str) -> float | None:
    return int(micros) / 1e6 if micros.isdigit() else None
