"""The journal's reader child: ``python -m agent.journal.reader`` reads, filters and writes frames.

It is a process of its own because libsystemd maps journal files into memory: one that is cut under
the reader ends the process with SIGBUS. It ends as soon as its standard input does.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Sequence
from contextlib import closing

from agent.errors import UserError
from agent.journal.handle import JournalHandle
from agent.journal.plan import Plan
from agent.journal.tail import FILE_IS_GONE, Place, Tail
from agent.journal.wire import VALUE_BYTES, Say, frame, texts

REOPEN_PAUSE_S = 0.2
NAP_S = 0.5  # journald tells of new entries within 250 ms; this is for writers who do not tell
TRIES = 5  # to open the journal again at one place; then the parent decides
_MISTAKE, _STUCK = 2, 75
_NO_MODULE = "the live journal needs systemd-python, which is not installed"


def main(argv: Sequence[str] | None = None) -> int:
    """Read until the parent goes away; 2 the user's mistake, 75 stuck at one place."""
    options = _parser().parse_args(argv)
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


def open_journal(options: argparse.Namespace) -> JournalHandle:
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


def _read(options: argparse.Namespace, pipe: Pipe) -> int:
    plan = Plan.of(options.match)
    place = Place(options.cursor, options.since_us, options.from_start)
    tries = 0
    while tries <= TRIES:
        with closing(open_journal(options)) as reader:
            tail = Tail(reader, plan, pipe.write, place)
            try:
                if not _stay(tail, reader, pipe):
                    return 0
            except OSError as error:
                if isinstance(error, BrokenPipeError) or error.errno not in FILE_IS_GONE:
                    raise
                tries = tries + 1 if tail.place == place else 0
            pipe.watch(-1)
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
    while True:
        tail.drain()
        if not pipe.sleep(NAP_S):
            return False
        if not tail.refresh(watched=descriptor >= 0):
            return True


def libsystemd() -> str:
    """The file name of the libsystemd in this process; it tells which formats can be read."""
    try:
        with open("/proc/self/maps", "rb") as file:  # noqa: PTH123 - pathlib costs 700 KiB here
            maps = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    paths = (line.rpartition("/")[2] for line in maps.splitlines() if "libsystemd.so" in line)
    return next(paths, "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m agent.journal.reader", description=__doc__)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--root", metavar="DIR", help="a host's / as mounted here")
    place.add_argument("--directory", metavar="DIR", help="one folder of journal files")
    parser.add_argument("--match", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--cursor", default="", help="go on behind this entry")
    parser.add_argument("--since-us", type=int, help="begin at this time")
    parser.add_argument("--from-start", action="store_true", help="begin with the oldest entry")
    return parser


if __name__ == "__main__":
    sys.exit(main())
