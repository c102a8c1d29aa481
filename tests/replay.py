"""Plays a recorded journal again, now: entries re-timed, and written to a real journal file live.

``systemd-journal-remote`` keeps every field as it was recorded, the trusted ones too, which a
journald of our own would fill with who we are.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import IO

_REMOTE = "systemd-journal-remote"
_FOLDERS = ("/lib/systemd", "/usr/lib/systemd")  # on PATH in no distribution
_REALTIME = b"__REALTIME_TIMESTAMP"
_CLOCKS = (_REALTIME, b"__MONOTONIC_TIMESTAMP", b"_SOURCE_MONOTONIC_TIMESTAMP")
_SOURCE_REALTIME = b"_SOURCE_REALTIME_TIMESTAMP"
_NAME = re.compile(rb"[A-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry as name and value pairs, in the order of the export."""

    fields: tuple[tuple[bytes, bytes], ...]

    def get(self, name: str) -> str:
        wanted = name.encode()
        return next((v.decode("utf-8", "replace") for n, v in self.fields if n == wanted), "")

    @property
    def at_us(self) -> int:
        return int(self.get("__REALTIME_TIMESTAMP"))

    def moved(self, by_us: int) -> Entry:
        """The same entry at another time; every clock moves by as much."""
        return replace(self, fields=tuple((n, _moved(n, v, by_us)) for n, v in self.fields))

    def export(self) -> bytes:
        return b"".join(_exported(n, v) for n, v in self.fields) + b"\n"


def _moved(name: bytes, value: bytes, by_us: int) -> bytes:
    if name not in (*_CLOCKS, _SOURCE_REALTIME) or not value.isdigit():
        return value
    return b"%d" % max(1, int(value) + by_us)


def _exported(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name + b"=" + value + b"\n"


def entry(at_us: int, message: str | bytes, **fields: str) -> Entry:
    """An entry made by hand, as a service's line on standard output unless told otherwise."""
    usual = {
        "__REALTIME_TIMESTAMP": str(at_us),
        "__MONOTONIC_TIMESTAMP": str(at_us % 10**12),
        "_BOOT_ID": "6f2d8e0b4c5a4e1f9a7b3c2d1e0f9a8b",
        "_MACHINE_ID": "1a2b3c4d5e6f4a7b8c9d0e1f2a3b4c5d",
        "_HOSTNAME": "node-1",
        "_TRANSPORT": "stdout",
        "_UID": "0",
        "PRIORITY": "6",
    }
    named = tuple((n.encode(), v.encode()) for n, v in {**usual, **fields}.items() if v)
    said = message.encode() if isinstance(message, str) else message
    return Entry((*named, (b"MESSAGE", said)))


def read_entries(path: Path) -> list[Entry]:
    """Every entry of an export file, packed or not, but those without a time."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    with io.BytesIO(data) as stream:
        return [one for one in _parsed(stream) if one.get("__REALTIME_TIMESTAMP")]


def _parsed(stream: IO[bytes]) -> Iterator[Entry]:
    fields: list[tuple[bytes, bytes]] = []
    while line := stream.readline():
        line = line.rstrip(b"\n")
        name, equals, value = line.partition(b"=")
        if not line:
            if fields:
                yield Entry(tuple(fields))
            fields = []
        elif equals:
            fields.append((name, value))
        elif _NAME.fullmatch(line):
            length = int.from_bytes(stream.read(8), "little")
            fields.append((line, stream.read(length)))
            stream.read(1)


def paced(entries: Sequence[Entry], begin_us: int, lasts_s: float) -> list[Entry]:
    """The same story beginning at another time and lasting as long as asked.

    Bursts keep their own pace; it is the quiet stretches that get shorter.
    """
    gaps = [max(0, b.at_us - a.at_us) for a, b in pairwise(entries)]
    cap = _cap(gaps, int(lasts_s * 1e6))
    at_us, played = begin_us, []
    for one, gap in zip(entries, [0, *gaps], strict=True):
        at_us += min(gap, cap)
        played.append(one.moved(at_us - one.at_us))
    return played


def _cap(gaps: Sequence[int], total_us: int) -> int:
    low, high = 0, max(gaps, default=0)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(gap, middle) for gap in gaps) <= total_us:
            low = middle
        else:
            high = middle - 1
    return low


def remote_tool() -> str | None:
    """Where the program is that writes real journal files; none where it is not installed."""
    for folder in (None, *_FOLDERS):
        if found := shutil.which(_REMOTE, path=folder):
            return found
    return None


class JournalWriter:
    """A real journal file being written, entry by entry."""

    def __init__(self, tool: str, path: Path) -> None:
        self._process = subprocess.Popen(
            [tool, "--output", str(path), "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def write(self, entries: Iterable[Entry]) -> None:
        """Hand entries over; they are in the file a moment later."""
        assert self._process.stdin is not None
        for one in entries:
            self._process.stdin.write(one.export())
        self._process.stdin.flush()

    def close(self) -> None:
        """Let it finish what it has."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it gave up before: its disk may be full
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def journal_writer(tool: str, path: Path) -> Iterator[JournalWriter]:
    """A writer that is closed whatever happens."""
    writer = JournalWriter(tool, path)
    try:
        yield writer
    finally:
        writer.close()


def write_journal(tool: str, path: Path, entries: Iterable[Entry]) -> None:
    """A journal file with these entries."""
    with journal_writer(tool, path) as writer:
        writer.write(entries)


def play(writer: JournalWriter, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Write each entry at its time; yields it when it has been written."""
    for one in entries:
        time.sleep(max(0.0, one.at_us / 1e6 - time.time()))
        writer.write([one])
        yield one
