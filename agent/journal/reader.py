"""The journal's reader child: reads, filters and writes frames; ``live.py`` starts it.

It is a process of its own because libsystemd maps journal files into memory: one that is cut under
the reader ends the process with SIGBUS. It ends as soon as its standard input does.

Every node pays for it a second time, so it is kept lean: started with ``-I -S``, it loads systemd's
C class and a handful of modules of the standard library, without ``re``, ``enum`` or ``typing``.
``tests/test_lean.py`` holds the list; think twice before it grows.
"""

from __future__ import annotations

import os
import select
import sys
import time

from agent.errors import UserError
from agent.journal.handle import JournalHandle
from agent.journal.plan import Plan
from agent.journal.tail import FILE_IS_GONE, Place, Tail
from agent.journal.wire import VALUE_BYTES, Say, frame, texts

TYPE_CHECKING = False  # for the type checker alone: `typing` would cost the child 0.6 MiB
if TYPE_CHECKING:
    from collections.abc import Sequence

REOPEN_PAUSE_S = 0.2
NAP_S = 0.5  # journald tells of new entries within 250 ms; this is for writers who do not tell
TRIES = 5  # to open the journal again at one place; then the parent decides
MOST_MAPPED_BYTES = 2 << 20  # of journal files, beyond what opening them took
MAPPED_FOR_S = 30.0  # at least, before the journal is opened again to let go of it
_MISTAKE, _STUCK = 2, 75
_NO_MODULE = "the live journal needs systemd-python, which is not installed"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Options:
    """What the parent asks for: ``--name value`` pairs as ``live.py`` writes them."""

    def __init__(self, words: Sequence[str]) -> None:
        self.root = self.directory = self.cursor = ""
        self.matches: list[str] = []
        self.since_us: int | None = None
        self.from_start = "--from-start" in words
        rest = [word for word in words if word != "--from-start"]
        for name, value in zip(rest[::2], rest[1::2], strict=True):
            self._take(name, value)

    def _take(self, name: str, value: str) -> None:
        if name == "--match":
            self.matches.append(value)
        elif name == "--since-us":
            self.since_us = int(value)
        elif name in ("--root", "--directory", "--cursor"):
            setattr(self, name[2:], value)
        else:
            raise ValueError(f"the reader child does not know {name}")


def main(words: Sequence[str]) -> int:
    """Read until the parent goes away; 2 the user's mistake, 75 stuck at one place."""
    options = Options(words)
    pipe = Pipe(sys.stdin.fileno(), sys.stdout.fileno())
    try:
        return _read(options, pipe)
    except UserError as error:
        pipe.write(frame(Say.MISTAKE, texts(error.message, error.hint)))
        return _MISTAKE
    except BrokenPipeError:
        return 0


class Pipe:
    """Both ends towards the parent."""

    def __init__(self, from_parent: int, to_parent: int) -> None:
        self._from_parent = from_parent
        self._to_parent = to_parent
        self._journal = -1
        self._poll = select.poll()
        self._poll.register(from_parent, select.POLLIN | select.POLLHUP)

    def watch(self, journal_fd: int) -> None:
        """Also wake up for the journal (-1: it cannot be watched)."""
        if self._journal >= 0:
            self._poll.unregister(self._journal)
        self._journal = journal_fd
        if journal_fd >= 0:
            self._poll.register(journal_fd, select.POLLIN)

    def write(self, data: bytes) -> None:
        """All of it, however slowly the parent reads."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._to_parent, view) :]

    def sleep(self, longest_s: float) -> bool:
        """Until the journal moves or time is up; false when the parent is gone."""
        events = self._poll.poll(longest_s * 1000)
        gone = any(fd == self._from_parent for fd, _ in events)
        return not (gone and not os.read(self._from_parent, 4096))


def open_journal(options: Options) -> JournalHandle:
    """Open the journal the options name."""
    try:
        from systemd._reader import LOCAL_ONLY, OS_ROOT, _Reader
    except ImportError as error:
        raise UserError(_NO_MODULE, "pip install 'knockon[agent]'") from error
    place = options.directory or options.root
    try:
        if place:
            reader = _Reader(OS_ROOT if options.root else 0, str(place))
        else:
            reader = _Reader(LOCAL_ONLY)
    except OSError as error:
        what = f"{place or 'the journal'}: {error.strerror or error}"
        raise UserError(what, "a folder of journal files is needed") from error
    reader.data_threshold = VALUE_BYTES
    return JournalHandle(reader)


def _read(options: Options, pipe: Pipe) -> int:
    plan = Plan.of(options.matches)
    place = Place(options.cursor, options.since_us, from_start=options.from_start)
    tries = 0
    while tries <= TRIES:
        reader = open_journal(options)
        tail = Tail(reader, plan, pipe.write, place)
        try:
            if not _stay(tail, reader, pipe):
                return 0
        except OSError as error:
            if isinstance(error, BrokenPipeError) or error.errno not in FILE_IS_GONE:
                raise
            tries = tries + 1 if tail.place == place else 0
        finally:
            pipe.watch(-1)
            reader.close()
        place = tail.place
        if not pipe.sleep(REOPEN_PAUSE_S):
            return 0
    return _STUCK


def _stay(tail: Tail, reader: JournalHandle, pipe: Pipe) -> bool:
    """Read and sleep in turn while this open journal serves; false when the parent is gone."""
    descriptor = reader.descriptor()  # at once: from now on files that come and go are noticed
    pipe.watch(descriptor)
    pipe.write(frame(Say.HELLO, texts(libsystemd())))
    tail.seek()
    opened_s, opened_bytes = time.monotonic(), mapped_bytes()
    while True:
        tail.drain()
        if not pipe.sleep(NAP_S):
            return False
        if not tail.refresh(watched=descriptor >= 0):
            return True
        # Pages of journal files that were read count as ours until they are unmapped.
        heavy = mapped_bytes() - opened_bytes > MOST_MAPPED_BYTES
        if heavy and time.monotonic() - opened_s > MAPPED_FOR_S:
            return True


def mapped_bytes() -> int:
    """How much of the files it has mapped is in this process's memory."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - pathlib costs 700 KiB here
        return int(file.read().split()[2]) * _PAGE_BYTES


def libsystemd() -> str:
    """The file name of the libsystemd in this process; it tells which formats can be read."""
    try:
        with open("/proc/self/maps", "rb") as file:  # noqa: PTH123 - pathlib costs 700 KiB here
            maps = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    paths = (line.rpartition("/")[2] for line in maps.splitlines() if "libsystemd.so" in line)
    return next(paths, "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
