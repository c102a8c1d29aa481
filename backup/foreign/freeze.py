"""The last lever: stop the whole program for moments, so that what it moves fits the rate.

A program that is stopped for too long is dropped by its server: `wal_sender_timeout` when all of it
is stopped, `tcp_user_timeout` when its socket stays full. So no slice is longer than a part of the
shorter one, and after each slice the program runs for a moment, whatever it owes.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backup.law.pace import Pacer
from backup.levers.cgroup_group import tried
from backup.levers.limits import FreezeFile

LONGEST_S = 1.0
LEAST_LONGEST_S, MOST_LONGEST_S = 0.05, 15.0
_TIMEOUT_SHARE = 0.25
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Slices:
    """How long to stop the program at a time, and how long it runs in between at least."""

    longest_s: float = LONGEST_S
    shortest_s: float = 0.02
    run_s: float = 0.05


def safe_longest_s(*timeouts_s: float) -> float:
    """Return the longest slice under these timeouts of the server; 0 means that one is off.

    >>> safe_longest_s(60.0, 0.0), safe_longest_s(1.0, 5.0)
    (1.0, 0.25)
    """
    set_s = [timeout_s for timeout_s in timeouts_s if timeout_s > 0]
    return min([LONGEST_S, *(timeout_s * _TIMEOUT_SHARE for timeout_s in set_s)])


class Duty:
    """Decides when to stop the program and for how long; time is an argument."""

    def __init__(self, rate_bytes_per_s: float, now_s: float, slices: Slices | None = None) -> None:
        self._slices = slices or Slices()
        self._pacer = Pacer(rate_bytes_per_s, now_s)
        self._thawed_at_s = -math.inf

    def moved(self, n_bytes: int, now_s: float) -> None:
        """Account for what the program has moved since the last call."""
        self._pacer.grant(n_bytes, now_s)

    def turn(self, rate_bytes_per_s: float, now_s: float) -> None:
        """Put another rate in force; zero stops all but the moments in between."""
        self._pacer.turn(rate_bytes_per_s, now_s)

    def due_s(self, now_s: float) -> float:
        """Return for how long to stop the program now; 0 lets it run."""
        if now_s < self._thawed_at_s + self._slices.run_s:
            return 0.0
        owed_s = self._pacer.wait_s(now_s)
        if owed_s < self._slices.shortest_s:
            return 0.0
        slice_s = min(owed_s, self._slices.longest_s)
        self._thawed_at_s = now_s + slice_s
        return slice_s


class Freezer(Protocol):
    """Stops and continues all processes of a program."""

    def freeze(self) -> None:
        """Stop them."""

    def thaw(self) -> None:
        """Let them run."""


class GroupFreezer:
    """Stops a control group: at once, forks included, and unseen by the processes."""

    def __init__(self, file: FreezeFile) -> None:
        self._file = file

    def freeze(self) -> None:
        """Stop the group."""
        tried(self._file.path, self._file.frozen)

    def thaw(self) -> None:
        """Let the group run."""
        tried(self._file.path, self._file.thawed)


class SignalFreezer:
    """Stops each process by SIGSTOP, for where no group can be made."""

    def __init__(self, pids: Callable[[], Iterable[int]], proc: Path = Path("/proc")) -> None:
        self._pids = pids
        self._proc = proc
        self._stopped: set[int] = set()

    def freeze(self) -> None:
        """Stop all of them; a fork between two looks is found by the next look."""
        for _ in range(_ROUNDS):
            new = [pid for pid in self._pids() if pid not in self._stopped]
            if not new:
                return
            for pid in new:
                self._stop(pid)

    def thaw(self) -> None:
        """Continue those that were stopped here, and no others."""
        for pid in self._stopped:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.clear()

    def _stop(self, pid: int) -> None:
        try:
            stat = (self._proc / str(pid) / "stat").read_bytes()
            if stat[stat.rfind(b")") + 2 :][:1] in (b"T", b"t"):  # by a shell or a debugger
                return
            os.kill(pid, signal.SIGSTOP)
        except OSError:
            return
        self._stopped.add(pid)
