"""What the agent must not forget: a log of changes that a killed agent leaves whole.

One line is one change and is taken in as a whole or, when it is torn, not at all. Now and then,
and after every failure to write, a snapshot takes the place of the log under a name of its own and
is renamed. All of it happens on the writer's thread, so a stalled or full disk stops nobody.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.daemon.rows import identity, told_of
from agent.daemon.writer import Writer
from agent.diagnosis.unfolding import Remembered
from agent.model import Fact
from agent.sources.fact_rows import fact_of, fact_row

FILE_NAME = "state.jsonl"
SCHEMA = "knockon.state/v1"
SNAPSHOT_AFTER_BYTES = 4 << 20
LARGEST_BYTES = 64 << 20
MOST_FACTS = 4000
MOST_TOLD = 500
_RETRY_S = 5.0

Change = dict[str, Any]
Offer = Mapping[str, Any]


@dataclass(slots=True)
class Past:
    """What an agent before us left behind."""

    cursor: str = ""
    boot: str = ""
    alive_s: float | None = None  # when it last wrote
    facts: dict[Any, Fact] = field(default_factory=dict)
    told_rows: dict[str, list[Any]] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)  # Events not known to have arrived
    said: dict[str, set[str]] = field(default_factory=dict)  # names of Events by open incident
    pods: dict[str, list[str]] = field(default_factory=dict)  # by uid: namespace, name, owner
    after: dict[str, list[Any]] = field(default_factory=dict)  # incidents whose pods are not back
    torn: int = 0

    @property
    def told(self) -> tuple[Remembered, ...]:
        """The incidents that were told."""
        return told_of(self.told_rows.values(), tuple(self.facts.values()))

    def take(self, change: Mapping[str, Any]) -> None:
        """Take one change in."""
        self.cursor = str(change.get("cursor", self.cursor))
        self.boot = str(change.get("boot", self.boot))
        self.alive_s = float(change.get("at", self.alive_s or 0.0))
        for fact in filter(None, map(fact_of, change.get("facts", ()))):
            self.facts[identity(fact)] = fact
        for row in change.get("told", ()):
            self.told_rows[str(row[0])] = row
        for name, offer in dict(change.get("offers", {})).items():
            self.offers[name] = offer
            self.said.setdefault(str(offer["incident"]), set()).add(name)
        for name in change.get("done", ()):
            self.offers.pop(name, None)
        for uid, row in dict(change.get("pods", {})).items():
            self.pods[str(uid)] = [str(part) for part in row]
        for incident, row in dict(change.get("after", {})).items():
            self.after[incident] = row
            if row is None:
                del self.after[incident]
        for incident, names in dict(change.get("said", {})).items():
            self.said.setdefault(incident, set()).update(names)


def load_past(directory: Path) -> Past:
    """Read what is there; a torn line ends with itself, and no file is no past."""
    past = Past()
    for line in _lines(directory / FILE_NAME):
        try:
            change = json.loads(line)
            past.take(change)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            past.torn += 1
    for old in list(past.facts)[: -2 * MOST_FACTS]:
        del past.facts[old]
    for name in list(past.told_rows)[:-MOST_TOLD]:
        del past.told_rows[name]
    return past


def _lines(path: Path) -> Iterator[bytes]:
    with suppress(OSError), path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= LARGEST_BYTES:
            yield from file


class Memory:
    """Writes changes down in order; says up to which one they are safe."""

    def __init__(self, directory: Path, writer: Writer, *, fsync: bool = False) -> None:
        self._directory = directory
        self._path = directory / FILE_NAME
        self._writer = writer
        self._fsync = fsync
        self._file = -1
        self._size_bytes = 0
        self._retry_at_s = float("-inf")
        self._whole = False  # the file on the disk holds everything up to now
        self._asked = 0
        self.safe = 0  # number of the last change that is written
        self.trouble = ""

    def wants_snapshot(self, now_s: float) -> bool:
        """Say whether the next change must be a snapshot of everything."""
        if self._whole:
            return self._size_bytes > SNAPSHOT_AFTER_BYTES
        return not self._writer.busy and not 0 <= now_s - self._retry_at_s < _RETRY_S

    def append(self, change: Change) -> int:
        """Write one change down some time soon; return its number."""
        self._asked += 1
        number = self._asked
        if self._whole:
            line = _line(change)
            self._size_bytes += len(line)
            if not self._writer.put(lambda: self._append(line, number)):
                self._whole = False
        return number

    def snapshot(self, changes: Sequence[Change], now_s: float) -> int:
        """Replace the log by these changes, which say everything; return their number."""
        self._asked += 1
        number = self._asked
        lines = b"".join(map(_line, changes))
        self._retry_at_s = now_s
        self._size_bytes = 0
        self._whole = True  # before the writer can say otherwise
        if not self._writer.put(lambda: self._replace(lines, number)):
            self._whole = False
        return number

    def close(self) -> None:
        """Let go of the file; on the writer's thread, or after it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, line: bytes, number: int) -> None:
        if self._file < 0:
            return  # an earlier change was not written: this one must not stand without it
        self._guarded(lambda: _write(self._file, line, fsync=self._fsync), number)

    def _replace(self, lines: bytes, number: int) -> None:
        self._guarded(lambda: self._put_in_place(lines), number)

    def _put_in_place(self, lines: bytes) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = self._path.with_suffix(".half")
        fd = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            _write(fd, lines, fsync=self._fsync)
            half.rename(self._path)
        except OSError:
            os.close(fd)
            half.unlink(missing_ok=True)
            raise
        self.close()
        self._file = fd

    def _guarded(self, write: Callable[[], None], number: int) -> None:
        try:
            write()
        except OSError as error:
            self.close()
            self._whole = False
            self.trouble = f"state is not kept: {self._path}: {error.strerror or error}"
        else:
            self.safe = number
            self.trouble = ""


def change_of(
    at_s: float,
    *,
    facts: Sequence[Fact] = (),
    told: Sequence[list[Any]] = (),
    offers: Mapping[str, Offer] | None = None,
    done: Sequence[str] = (),
) -> Change:
    """Give a change with those parts that are not empty."""
    parts: Change = {
        "facts": [fact_row(fact) for fact in facts],
        "told": list(told),
        "offers": dict(offers or {}),
        "done": list(done),
    }
    return {"at": round(at_s, 3), **{name: part for name, part in parts.items() if part}}


def _line(change: Change) -> bytes:
    return json.dumps(change, separators=(",", ":")).encode() + b"\n"


def _write(fd: int, data: bytes, *, fsync: bool) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    if fsync:
        os.fdatasync(fd)
