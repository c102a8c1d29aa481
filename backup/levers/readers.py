"""Who reads the disk for a backup tool: the tool itself, or the Postgres server on its behalf.

It decides nearly everything: a limit on a client that streams does not slow the walsender at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum

from backup.levers.lever import Bites, Lever


class Reader(Enum):
    """Whose process asks the disk."""

    SERVER = "server"
    PROGRAM = "program"
    UNKNOWN = "unknown"


_STREAMING = frozenset(
    {"pg_basebackup", "pg_dump", "pg_dumpall", "pg_receivewal", "pgmoneta", "barman"}
)
_LOCAL = frozenset(
    {
        *("pgbackrest", "wal-g", "wal-e", "wal-g-pg", "pghoard", "tar", "rsync", "restic"),
        *("borg", "cp", "dd", "cat", "rclone", "pg_verifybackup", "pg_checksums", "kopia"),
    }
)
_WORDS = re.compile(r"[^\s;|&()<>'\"`$]+")
_SERVER_LEVERS = frozenset({"cgroup I/O limit", "cgroup I/O weight", "memory.high", "ionice idle"})


def reader_of(argv: Sequence[str]) -> Reader:
    """Guess from the program's name; below a shell or a wrapper, from the words it was given.

    >>> reader_of(["sh", "-c", "/usr/bin/pg_basebackup -D- | zstd"])
    <Reader.SERVER: 'server'>
    >>> reader_of(["restic", "backup", "/var/lib/barman"])
    <Reader.PROGRAM: 'program'>
    """
    first, *rest = argv
    names = {first.rpartition("/")[2]}
    if not names & (_STREAMING | _LOCAL):
        names = {name for part in rest for name in _commands_in(part)}
    if names & _STREAMING:
        return Reader.SERVER
    return Reader.PROGRAM if names & _LOCAL else Reader.UNKNOWN


def _commands_in(text: str) -> Iterator[str]:
    """Give what may be the name of a program: bare words, and files in a folder of programs."""
    for word in _WORDS.findall(text):
        folder, _, name = word.rpartition("/")
        if not folder or folder.endswith("bin"):
            yield name


def reader_lever(reader: Reader) -> Lever:
    """Say whose reads the levers move."""
    name = "who reads the disk"
    if reader is Reader.SERVER:
        why = "the server's walsender or backend, not this program: only back-pressure reaches it"
        return Lever(name, Bites.NO, why)
    if reader is Reader.PROGRAM:
        return Lever(name, Bites.YES, "the program itself, so limits on it move the disk")
    why = "not known for this program; limits move what it reads itself, not what a server reads"
    return Lever(name, Bites.UNKNOWN, why)


def seen_from(reader: Reader, levers: Sequence[Lever]) -> tuple[Lever, ...]:
    """Correct the levers for who reads: on a streaming client the disk's levers hold nothing."""
    if reader is not Reader.SERVER:
        return tuple(levers)
    why = "it works on the client, but the server reads: compression and spooling only"
    return tuple(
        Lever(lever.name, Bites.NO, why)
        if lever.name in _SERVER_LEVERS and lever.bites is not Bites.NO
        else lever
        for lever in levers
    )
