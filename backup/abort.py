"""Stopping early: asked for once, from anywhere; everything that waits wakes up.

The backup runs on a thread while the main thread waits for signals, so that a brake is pulled at
once (the server is told to stop) even while the other thread sits in an upload.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable, Iterator

from backup.exits import Exit, Failure


class Abort:
    """One run's emergency stop: a flag, a descriptor to poll, and what must happen at once."""

    def __init__(self) -> None:
        self._reads_fd, self._writes_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._brakes: list[Callable[[], None]] = []
        self._failure: Failure | None = None

    def ask(self, failure: Failure) -> None:
        """Stop for this reason; the first one counts. May be called from a signal handler."""
        if self._failure is not None:
            return
        self._failure = failure
        os.write(self._writes_fd, b"!")
        for brake in reversed(tuple(self._brakes)):  # the last one set bites nearest the disk
            brake()

    @property
    def asked(self) -> Failure | None:
        """Why to stop, or None."""
        return self._failure

    def check(self) -> None:
        """Raise the failure that was asked for."""
        if self._failure is not None:
            raise self._failure

    def wait_ready(self, socket_fd: int, patience_s: float, *, writing: bool = False) -> bool:
        """Wait for a socket; raises when asked to stop meanwhile, False when patience ends."""
        poller = select.poll()
        poller.register(socket_fd, select.POLLOUT if writing else select.POLLIN)
        poller.register(self._reads_fd, select.POLLIN)
        ready = dict(poller.poll(patience_s * 1000))
        self.check()
        return socket_fd in ready

    def sleep(self, wait_s: float) -> None:
        """Sleep; raises when asked to stop meanwhile."""
        select.select([self._reads_fd], [], [], wait_s)
        self.check()

    @contextlib.contextmanager
    def brake(self, pull: Callable[[], None]) -> Iterator[None]:
        """While in this block, ``pull`` is called when somebody asks to stop."""
        self._brakes.append(pull)
        try:
            yield
        finally:
            self._brakes.remove(pull)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._reads_fd)
        os.close(self._writes_fd)


def by_signal(name: str) -> Failure:
    """Return the failure of a run that a signal stopped."""
    return Failure(f"stopped by {name}; nothing was published", "", Exit.ABORTED)
