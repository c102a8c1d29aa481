"""The keeper: a process between us and the program, which ends the whole family if we die.

It inherits every orphan of the program, so nothing escapes by forking twice or by a session of its
own. It ends each freeze by its own clock. When the link to the governing process breaks, even by
SIGKILL, it asks the family to end and then kills what remains. If the keeper itself is killed, the
program dies with it and the governing process, which inherits orphans as well, ends the rest.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from backup.foreign import kin
from backup.foreign.freeze import Freezer, GroupFreezer, SignalFreezer
from backup.foreign.link import Message, Word, receive, send
from backup.levers import cgroup_group, priority
from backup.levers.limits import FreezeFile

GRACE_S = 2.0
CANNOT_RUN, NOT_FOUND = 126, 127
FORWARDED_TO_ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH)
FORWARDED_TO_ONE = (signal.SIGUSR1, signal.SIGUSR2)
"""Their default is death: only the program itself is known to have asked for them."""

_FROM_TERMINAL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_LOOK_S = 0.02
_GIVE_UP_S = 30.0


@dataclass(frozen=True, slots=True)
class Start:
    """What to run, and in what."""

    argv: tuple[str, ...]
    folders: tuple[Path, ...] = ()
    freeze_file: FreezeFile | None = None
    terminal: int | None = None
    """The terminal to hand over, when we are in its foreground."""
    grace_s: float = GRACE_S


def keep(start: Start, link: socket.socket) -> NoReturn:
    """Run the program to its end in this process, which was forked for it; never returns."""
    status = 1
    try:
        _Keeper(start, link).run()
        status = 0
    finally:
        error = sys.exc_info()
        if error[0] is not None and error[1] is not None:
            sys.excepthook(error[0], error[1], error[2])
        os._exit(status)


class _Keeper:
    def __init__(self, start: Start, link: socket.socket) -> None:
        self._start = start
        self._link = link
        self._alone = False
        self._pid = 0
        self._status: int | None = None
        self._thaw_at_s: float | None = None
        self._freezer: Freezer = SignalFreezer(self._family)
        self._wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)

    def run(self) -> None:
        kin.inherit_orphans()
        _hear_only_children()
        error = self._launch()
        if error:
            send(self._link, Message(Word.FAILED, error))
        else:
            send(self._link, Message(Word.STARTED, self._pid))
        while self._status is None and not self._alone:
            self._wait(None)
        self._thaw()
        left = self._end(self._family())
        if self._alone:
            self._clear_up()
        else:
            send(self._link, Message(Word.EXITED, self._status or 0, left=left))

    def _launch(self) -> int:
        """Fork the program and wait until it runs or cannot; return the errno of exec, or 0."""
        gate, gate_write = os.pipe2(os.O_CLOEXEC)
        self._pid = os.fork()
        if self._pid == 0:
            _become(self._start, self._link, gate_write)
        os.close(gate_write)
        let_go_of_streams()
        report = os.read(gate, 16)
        os.close(gate)
        return int(report or b"0")

    def _wait(self, longest_s: float | None) -> None:
        """Wait for whatever comes next, and deal with it."""
        if self._thaw_at_s is not None:
            longest_s = max(0.0, self._thaw_at_s - time.monotonic())
        sources = [self._wake] if self._alone else [self._wake, self._link.fileno()]
        ready, _, _ = select.select(sources, [], [], longest_s)
        if self._wake in ready:
            os.read(self._wake, 4096)
        if self._thaw_at_s is not None and time.monotonic() >= self._thaw_at_s:
            self._thaw()
        self._reap()
        if self._link.fileno() in ready:
            message = receive(self._link)
            if message is None:
                self._alone = True
            else:
                self._obey(message)

    def _obey(self, message: Message) -> None:
        if self._status is not None:
            return
        if message.word is Word.FREEZE:
            self._freeze(message.seconds)
        elif message.word in (Word.SIGNAL, Word.SIGNAL_ALL):
            self._thaw()
            with contextlib.suppress(OSError):
                whom = self._pid if message.word is Word.SIGNAL else -self._pid
                os.kill(whom, message.number)

    def _freeze(self, seconds: float) -> None:
        if self._start.freeze_file is not None:
            self._freezer = GroupFreezer(self._start.freeze_file)
        self._freezer.freeze()
        self._thaw_at_s = time.monotonic() + seconds

    def _thaw(self) -> None:
        if self._thaw_at_s is not None:
            self._freezer.thaw()
            self._thaw_at_s = None

    def _reap(self) -> None:
        """Collect whoever has ended: the program, and orphans that became ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid and os.WIFSTOPPED(status):
                if os.WSTOPSIG(status) in _FROM_TERMINAL:
                    send(self._link, Message(Word.STOPPED, os.WSTOPSIG(status)))
            elif pid == self._pid:
                self._status = status

    def _family(self) -> list[int]:
        inside = {pid for folder in self._start.folders for pid in cgroup_group.pids_in(folder)}
        return [*dict.fromkeys([*kin.descendants(os.getpid()), *sorted(inside)])]

    def _end(self, asked: Sequence[int]) -> int:
        """Ask what is left to end, then kill it; return how many there were."""
        for pid in asked:
            _kill(pid, signal.SIGTERM)
            _kill(pid, signal.SIGCONT)
        begun_s = time.monotonic()
        while (rest := self._family()) and time.monotonic() - begun_s < _GIVE_UP_S:
            if time.monotonic() - begun_s > self._start.grace_s:
                for pid in rest:
                    _kill(pid, signal.SIGKILL)
            self._wait(_LOOK_S)
        return len(asked)

    def _clear_up(self) -> None:
        """Do what the governing process can no longer do."""
        for folder in self._start.folders:
            cgroup_group.kill_all(folder)
            cgroup_group.remove(folder)


def _become(start: Start, link: socket.socket, gate: int) -> NoReturn:
    """Turn this fork into the program: its group, its limits, its priority, then exec."""
    keeper = os.getppid()
    os.setpgid(0, 0)
    notes = {
        str(folder): cgroup_group.tried(folder / "cgroup.procs", "0") for folder in start.folders
    }
    notes |= priority.lower()
    send(link, Message(Word.READY, os.getpid(), notes=notes))
    message = receive(link)
    if message is None or message.word is not Word.GO:
        os._exit(CANNOT_RUN)
    kin.die_with_parent()
    if os.getppid() != keeper:
        os._exit(CANNOT_RUN)
    if start.terminal is not None:
        take_terminal(start.terminal, os.getpid())
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, programs must not
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(start.argv[0], start.argv)  # noqa: S606 - the program is what was asked for
    except OSError as error:
        os.write(gate, str(error.errno).encode())
    os._exit(NOT_FOUND)


def take_terminal(terminal: int, group: int) -> None:
    """Make a process group the terminal's foreground, from inside or outside of it."""
    old = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    with contextlib.suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.pthread_sigmask(signal.SIG_SETMASK, old)


def _hear_only_children() -> None:
    """Leave signals for a whole group to the governing process, which decides who gets them."""
    signal.signal(signal.SIGCHLD, _nothing)
    for number in (*FORWARDED_TO_ALL, *FORWARDED_TO_ONE, signal.SIGTSTP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's choice is the program's too
            signal.signal(number, _nothing)


def _nothing(_number: int, _frame: object) -> None:
    return


def let_go_of_streams() -> None:
    """Hold neither end of the program's pipes: readers and writers must see when it closes them."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.kill(pid, number)
