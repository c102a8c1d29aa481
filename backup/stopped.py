"""Turns SIGTERM into an exception, so that a Job that is deleted still cleans up after itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from backup.exits import Exit, Failure


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """While in this block, SIGTERM unwinds the stack; only a main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _raise(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would end the cleaning up
    raise Failure("stopped by SIGTERM", "nothing was kept; run it again", Exit.ABORTED)
