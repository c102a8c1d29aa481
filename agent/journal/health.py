"""Can this journal be read at all? libsystemd answers with silence where it cannot.

A file with a format it does not know, a file without permission, an empty folder: all look like a
node on which nothing happens. So the files' own headers are looked at, at start and every hour.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.times import span

# systemd's journal-def.h: signature, flags, state, file and machine id, and so on; little-endian.
_HEADER = struct.Struct("<8sII8s16s16s16s16sQQQQQQQQQQQQQQ")
_SIGNATURE = b"LPKSHHRH"
_FLAGS_SINCE = {
    0x01: ("XZ compression", 0),
    0x02: ("LZ4 compression", 216),
    0x04: ("keyed hashes", 246),
    0x08: ("ZSTD compression", 246),
    0x10: ("the compact format", 252),
}
_SO_NAME = re.compile(r"libsystemd\.so\.0\.(\d+)\.")
_SO_TO_VERSION = 217  # libsystemd.so.0.28 is v245, 0.35 is v252, 0.40 is v257
_OLDEST_SURE = 245
_MACHINE_FOLDER = re.compile(r"[0-9a-f]{32}")
_FILE = re.compile(r".+\.journal~?")
STALE_AFTER_S = 3600.0
MOST_FILES = 1000


@dataclass(frozen=True, slots=True)
class FileHealth:
    """One journal file as its header describes it; ``fault`` is empty when it can be read."""

    path: Path
    machine_id: str = ""
    entries: int = 0
    newest_s: float | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class JournalHealth:
    """What there is to read, and one sentence for everything that hides something."""

    files: tuple[FileHealth, ...]
    sentences: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Nothing is hidden."""
        return not self.sentences

    @property
    def entries(self) -> int:
        """How many entries can be read."""
        return sum(file.entries for file in self.files if not file.fault)

    @property
    def newest_s(self) -> float | None:
        """When the last entry that can be read was written."""
        times = (file.newest_s for file in self.files if not file.fault)
        return max((at_s for at_s in times if at_s is not None), default=None)


def check_journal(
    folders: Sequence[Path], *, now_s: float, machine_id: str = "", known_flags: int = 0x1F
) -> JournalHealth:
    """Look at every file's header; ``known_flags`` are those that our libsystemd understands."""
    there = [folder for folder in folders if folder.is_dir()]
    files = tuple(file_health(path, known_flags) for path in _files(there))
    sentences = tuple(_sentences(folders, there, files, now_s, machine_id))
    return JournalHealth(files, sentences)


def journal_folders(root: Path) -> list[Path]:
    """Where journald keeps files of the machine whose ``/`` is at ``root``."""
    return [root / "var/log/journal", root / "run/log/journal"]


def machine_id_of(root: Path) -> str:
    """The machine's own id; empty when it cannot be read."""
    try:
        return (root / "etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def known_flags(libsystemd: str) -> int:
    """Format flags that a libsystemd of this file name understands; all, when it is not known."""
    found = _SO_NAME.search(libsystemd)
    version = int(found[1]) + _SO_TO_VERSION if found else None
    if version is None or version < _OLDEST_SURE:
        return 0x1F if version is None else 0x03
    return sum(flag for flag, (_, since) in _FLAGS_SINCE.items() if since <= version)


def file_health(path: Path, known_flags: int) -> FileHealth:
    """Read one header; whatever is wrong becomes a fault in words."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(_HEADER.size)
            size_bytes = os.fstat(stream.fileno()).st_size
    except OSError as error:
        return FileHealth(path, fault=f"cannot be opened: {error.strerror}")
    if len(raw) < _HEADER.size:
        return FileHealth(path, fault=f"is cut short, at {size_bytes} bytes")
    head = _HEADER.unpack(raw)
    signature, incompatible, machine, newest_us = head[0], head[2], head[5].hex(), head[21]
    header_bytes, arena_bytes, entries = head[8], head[9], head[16]
    fault = ""
    if signature != _SIGNATURE:
        fault = "is no journal file"
    elif unknown := incompatible & ~known_flags:
        fault = f"uses {_named(unknown)}, which this libsystemd does not know"
    elif header_bytes + arena_bytes > size_bytes:
        fault = f"is cut short, at {size_bytes} of {header_bytes + arena_bytes} bytes"
    newest_s = newest_us / 1e6 if newest_us and signature == _SIGNATURE else None
    return FileHealth(path, machine, entries, newest_s, fault)


def _named(flags: int) -> str:
    names = [name for flag, (name, _) in _FLAGS_SINCE.items() if flags & flag]
    other = flags & ~sum(_FLAGS_SINCE)
    return " and ".join([*names, *([f"format flag {other:#x}"] if other else [])])


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    """Journal files of folders and of their machine folders, the first thousand."""
    found = 0
    for folder in folders:
        inner = [one for one in _listed(folder) if _MACHINE_FOLDER.match(one.name)]
        for path in (*_listed(folder), *(file for one in inner for file in _listed(one))):
            if _FILE.fullmatch(path.name) and found < MOST_FILES:
                found += 1
                yield path


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _sentences(
    folders: Sequence[Path],
    there: Sequence[Path],
    files: Sequence[FileHealth],
    now_s: float,
    machine_id: str,
) -> Iterator[str]:
    places = " and ".join(map(str, folders))
    if not there:
        yield f"There is no journal folder at {places}."
        return
    yield from (
        f"The folder {folder} may not be listed by this user."
        for folder in there
        if not os.access(folder, os.R_OK | os.X_OK)
    )
    if not files:
        yield f"There is no journal file in {places}."
        return
    yield from _by_fault(files)
    readable = [file for file in files if not file.fault]
    if machine_id and readable and all(file.machine_id != machine_id for file in readable):
        yield f"No journal file is of this machine ({machine_id}); they were written on another."
    newest_s = max((f.newest_s for f in readable if f.newest_s is not None), default=None)
    if newest_s is None:
        yield "No journal file that can be read has an entry."
    elif now_s - newest_s > STALE_AFTER_S:
        yield f"The newest journal entry is {span(now_s - newest_s)} old: is journald running?"


def _by_fault(files: Sequence[FileHealth]) -> Iterator[str]:
    """One sentence a kind of fault, however many files have it."""
    by_fault: dict[str, list[FileHealth]] = {}
    for file in files:
        if file.fault:
            by_fault.setdefault(re.sub(r"\d{3,}", "n", file.fault), []).append(file)
    for same in by_fault.values():
        first, others = same[0], len(same) - 1
        more = f" (and {others} more like it)" if others else ""
        yield f"{first.path} {first.fault}{more}."
