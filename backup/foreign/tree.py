"""The program's family of processes as the governing process sees it: a keeper and a link."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backup.foreign import kin
from backup.foreign.keeper import FORWARDED_TO_ONE, Start, keep
from backup.foreign.link import Message, Word, receive, send

_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Ready:
    """The program is about to start: what it could not enter, and which priorities it has."""

    pid: int
    not_entered: Mapping[Path, str]
    priority: Mapping[str, str]


class Tree:
    """A program that waits for ``go``, below a keeper."""

    def __init__(self, start: Start) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        kin.inherit_orphans()
        self._start = start
        self._link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.keeper_pid = os.fork()
        if self.keeper_pid == 0:
            self._link.close()
            keep(start, theirs)
        theirs.close()
        self.pid = 0
        self._held_until_s = 0.0

    @property
    def held(self) -> bool:
        """Say whether the family is being kept from running now."""
        return time.monotonic() < self._held_until_s

    def fileno(self) -> int:
        """Be something that select can wait for."""
        return self._link.fileno()

    def ready(self) -> Ready | None:
        """Wait until the program stands in its groups; None when it died on the way."""
        message = receive(self._link)
        if message is None or message.word is not Word.READY:
            return None
        self.pid = message.number
        folders = {str(folder): folder for folder in self._start.folders}
        failed = {folders[name]: why for name, why in message.notes.items() if name in folders}
        return Ready(
            pid=message.number,
            not_entered={folder: why for folder, why in failed.items() if why},
            priority={name: why for name, why in message.notes.items() if name not in folders},
        )

    def go(self) -> Message | None:
        """Start the program; return STARTED, or FAILED with an errno."""
        send(self._link, Message(Word.GO))
        return receive(self._link)

    def next(self) -> Message | None:
        """Return the next message; None when the keeper has died."""
        return receive(self._link)

    def signal(self, number: int) -> None:
        """Pass a signal on: to the whole group, or to the program alone where it may kill."""
        one = number in FORWARDED_TO_ONE
        send(self._link, Message(Word.SIGNAL if one else Word.SIGNAL_ALL, number))

    def freeze(self, seconds: float) -> None:
        """Stop the whole family for so long."""
        self._held_until_s = time.monotonic() + seconds
        send(self._link, Message(Word.FREEZE, seconds=seconds))

    def family(self) -> list[int]:
        """Return the keeper, whose accounts hold those of who has ended, and all below it."""
        return [self.keeper_pid, *kin.descendants(self.keeper_pid)]

    def reap(self) -> None:
        """Collect strangers' orphans, which fall to the first process of a container."""
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    return
            except ChildProcessError:
                return

    def close(self) -> None:
        """Collect the keeper; if it died before its time, end all that it left behind."""
        self._link.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.keeper_pid, 0)
        while rest := kin.descendants(os.getpid()):
            for pid in rest:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_LOOK_S)
            self.reap()
        self.reap()
