"""The governing process's loop: signals in, ticks of the rudder, and the program's end out."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

from backup.foreign.keeper import FORWARDED_TO_ALL, FORWARDED_TO_ONE, take_terminal
from backup.foreign.link import Message, Word
from backup.foreign.steer import TICK_S, Steering
from backup.foreign.tree import Tree

CHORES_S = 1.0
ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
LOST = 128 + signal.SIGKILL
"""The status when the keeper was killed: the program was then killed with it."""


@dataclass(slots=True)
class Ended:
    """How the program ended."""

    status: int
    left: int = 0
    keeper_lost: bool = False


class Ears:
    """Signals for the program, kept until it can have them; SIGCHLD and they wake the loop."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waiting: list[int] = []

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While in this block, hear every signal that is to be passed on."""
        wanted = (*FORWARDED_TO_ALL, *FORWARDED_TO_ONE, signal.SIGCONT)
        # What was ignored when we were started (nohup) stays ignored, by the program as well.
        heard = [number for number in wanted if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._note) for number in heard}
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, _nothing)
        old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Close the pipe."""
        os.close(self.fd)
        os.close(self._write)

    def take(self) -> list[int]:
        """Return what was heard since the last call."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 4096)
        heard, self._waiting = self._waiting, []
        return heard

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._waiting.append(number)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    return


class Terminal:
    """The controlling terminal, if we stand in its foreground: lent to the program."""

    def __init__(self) -> None:
        self.fd: int | None = None
        with contextlib.suppress(OSError):
            fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
            if os.tcgetpgrp(fd) == os.getpgrp():
                self.fd = fd
            else:
                os.close(fd)

    def take_back(self) -> None:
        """Make our own group the foreground again."""
        if self.fd is not None:
            take_terminal(self.fd, os.getpgrp())

    def lend(self, group: int) -> None:
        """Make the program's group the foreground, unless we are in the background ourselves."""
        with contextlib.suppress(OSError):
            if self.fd is not None and os.tcgetpgrp(self.fd) == os.getpgrp():
                take_terminal(self.fd, group)

    def close(self) -> None:
        """Take the terminal back and let it go."""
        self.take_back()
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


def supervise(
    tree: Tree, ears: Ears, terminal: Terminal, steering: Steering, chores: Callable[[float], None]
) -> Ended:
    """Govern the program until it has ended; every signal for it is passed on at once."""
    tick_at_s = chores_at_s = time.monotonic()
    while True:
        wait_s = max(0.0, tick_at_s - time.monotonic())
        ready, _, _ = select.select([tree.fileno(), ears.fd], [], [], wait_s)
        for number in ears.take():
            _pass_on(number, tree, steering)
        tree_says = tree.next() if tree.fileno() in ready else Message(Word.GO)
        if tree_says is None:
            return Ended(LOST, keeper_lost=True)
        if tree_says.word is Word.EXITED:
            steering.meter.delta()  # what was moved since the last tick
            return Ended(exit_status(tree_says.number), tree_says.left)
        if tree_says.word is Word.STOPPED:
            _stop_as_well(tree, terminal)
        tree.reap()
        now_s = time.monotonic()
        if now_s >= chores_at_s:
            chores(now_s)
            chores_at_s = now_s + CHORES_S
        if now_s >= tick_at_s:
            slice_s = steering.tick(now_s)
            if slice_s > 0:
                tree.freeze(slice_s)
            tick_at_s = now_s + TICK_S


def _pass_on(number: int, tree: Tree, steering: Steering) -> None:
    if number in ENDING:
        steering.release()
    tree.signal(number)


def _stop_as_well(tree: Tree, terminal: Terminal) -> None:
    """Follow the program into a stop that came from the terminal, so that the shell sees it."""
    if terminal.fd is None:
        return
    terminal.take_back()
    os.kill(os.getpid(), signal.SIGSTOP)
    terminal.lend(tree.pid)
    tree.signal(signal.SIGCONT)


def exit_status(wait_status: int) -> int:
    """Return the status a shell would give: 128 and the number for a signal.

    >>> exit_status(3 << 8), exit_status(15)
    (3, 143)
    """
    if os.WIFSIGNALED(wait_status):
        return 128 + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)
