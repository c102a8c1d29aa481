"""The brake as a run sees it: blocks the reader, says what it allows and why."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from agent import __version__
from agent.recorder.host import Host
from backup.abort import Abort
from backup.announce import RENEW_EVERY_S, announced, announcement, renew, sweep
from backup.governor import Governor
from backup.law.guards import Deadline, Guards
from backup.law.law import Law
from backup.law.pace import Pacer
from backup.run.preflight import Found
from backup.run.settings import Miss, Settings
from backup.sensors import eyes
from backup.sensors.node import PsiMeter

_MOST_TOLD = 50
_CALIBRATE_S = 1.5
"""Some fifty answers from a disk that nobody backs up: with them the noise of calm is known."""

_PAUSE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """What the brake does at one moment."""

    allowed_bytes_per_s: float = 0.0
    achieved_bytes_per_s: float = 0.0
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    harm_s: float = 0.0
    paused: bool = False
    reason: str = ""
    pressure: float | None = None


class Governed(Protocol):
    """A brake that is made ready, asked after every read, watched and stopped."""

    def ready(self, found: Found) -> None:
        """Look at the node before the backup changes anything there."""

    def begin(self, expected_bytes: int, waited_s: Callable[[], float]) -> None:
        """Reading begins now; so much is to come, and so long the server has let us wait."""

    def wal(self, kept_bytes: int, room_bytes: int | None) -> None:
        """So much WAL the server keeps back for us, of so much that it may."""

    def pace(self, n_bytes: int) -> None:
        """Account for bytes just read, and block until the next may be read."""

    def view(self) -> View:
        """Say what is allowed, and why."""

    def warnings(self) -> list[str]:
        """Return what must be announced since the last call: a deadline that will be missed."""

    def release(self) -> None:
        """Let a blocked reader go at once: the run stops."""

    def stop(self) -> None:
        """Stop listening."""


class Fixed:
    """A brake that knows one rate: for tests, and where a node tells nothing."""

    def __init__(self, rate_bytes_per_s: float, abort: Abort) -> None:
        self._rate = rate_bytes_per_s
        self._pacer = Pacer(rate_bytes_per_s, time.monotonic())
        self._abort = abort
        self._held_s = 0.0
        self._read_bytes = 0
        self._begun_s = time.monotonic()
        self._released = threading.Event()

    def ready(self, found: Found) -> None:
        """Nothing to look at."""

    def begin(self, expected_bytes: int, waited_s: Callable[[], float]) -> None:
        """The clock of the rate starts here."""
        del expected_bytes, waited_s
        self._begun_s = time.monotonic()

    def wal(self, kept_bytes: int, room_bytes: int | None) -> None:
        """One rate knows no room."""

    def pace(self, n_bytes: int) -> None:
        """Keep to the rate."""
        self._read_bytes += n_bytes
        wait_s = self._pacer.grant(n_bytes, time.monotonic())
        if wait_s > 0.001:
            self._held_s += wait_s
            self._released.wait(wait_s)
        self._abort.check()

    def view(self) -> View:
        """Return the one rate."""
        passed_s = max(time.monotonic() - self._begun_s, 1e-3)
        return View(self._rate, self._read_bytes / passed_s, {"ceiling": self._held_s})

    def warnings(self) -> list[str]:
        """Nothing is foreseen."""
        return []

    def release(self) -> None:
        """Let a blocked reader go."""
        self._released.set()

    def stop(self) -> None:
        """Nothing to stop."""


class Noded:
    """The governor of this node: probes, pressure and law, and the announcement beside it."""

    def __init__(self, settings: Settings, abort: Abort, host: Host) -> None:
        self._settings, self._abort, self._host = settings, abort, host
        self._scope = contextlib.ExitStack()
        self._governor: Governor | None = None
        self._announced: Path | None = None
        self._renewed_s = 0.0
        self._told: set[str] = set()
        self._notices: deque[str] = deque()
        self._pressure = PsiMeter(host)

    def ready(self, found: Found) -> None:
        """Announce the backup, and let the governor learn what is calm here."""
        folder = Path(found.data_directory) if found.data_directory else None
        device = eyes.device_of(folder)
        sweep(self._host, time.time())  # noqa: TID251 - files have the wall's time
        said = announcement(device, found.data_directory, f"knockon {__version__}", self._host)
        self._announced = self._scope.enter_context(announced(said, self._host))
        sensors = eyes.sensors(self._settings.probe, folder, self._host, counters=found.unix_socket)
        self._notices.extend(sensors.notes)
        governor = Governor(
            sensors.all,
            _law(self._settings, found),
            Guards(self._deadline()),
            say=lambda notice: self._notices.append(notice.says),
        )
        self._scope.callback(governor.stop)
        governor.start()
        self._governor = governor
        if sensors.asks:
            self._abort.sleep(_CALIBRATE_S)

    def begin(self, expected_bytes: int, waited_s: Callable[[], float]) -> None:
        """Say how much is to come, and whose fault it is when nothing comes."""
        self._must().expect(expected_bytes)
        self._must().listen(waited_s)

    def wal(self, kept_bytes: int, room_bytes: int | None) -> None:
        """Tell the guard of the room for WAL."""
        self._must().wal(kept_bytes, room_bytes)

    def pace(self, n_bytes: int) -> None:
        """Block as long as the law says."""
        self._must().pace(n_bytes)
        self._abort.check()

    def view(self) -> View:
        """Say what the law allows, and why."""
        now_s = time.monotonic()
        if self._announced is not None and now_s - self._renewed_s > RENEW_EVERY_S:
            self._renewed_s = now_s
            renew(self._announced)
        if self._governor is None:
            return View()
        seen = self._governor.snapshot()
        self._once(*seen.blind, *([f"governor: {seen.failed}"] if seen.failed else []))
        return View(
            seen.rate_bytes_per_s,
            seen.achieved_bytes_per_s,
            seen.throttled_s,
            seen.harm_s,
            seen.paused,
            seen.reason,
            self._pressure.share(now_s),
        )

    def warnings(self) -> list[str]:
        """Return what the guards and blind sensors had to say since the last call."""
        told = list(self._notices)
        self._notices.clear()
        return told

    def release(self) -> None:
        """Let a blocked reader go, from a thread: a signal handler may hold the governor's lock."""
        if self._governor is not None:
            threading.Thread(target=self._governor.stop, name="release", daemon=True).start()

    def stop(self) -> None:
        """Stop looking, and take the announcement away."""
        self._scope.close()
        self._pressure.close()

    def _deadline(self) -> Deadline | None:
        """Return the deadline on the governor's own clock, which no clock change moves."""
        if self._settings.deadline_s is None:
            return None
        at_s = time.monotonic() + self._settings.deadline_s
        return Deadline(at_s, keep=self._settings.on_miss is Miss.HARM)

    def _must(self) -> Governor:
        assert self._governor is not None, "made ready first"
        return self._governor

    def _once(self, *sentences: str) -> None:
        for sentence in sentences:
            if sentence not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(sentence)
                self._notices.append(sentence)


def _law(settings: Settings, found: Found) -> Law:
    """Bound the law by the server's brake and by what the server's timeouts leave of a pause."""
    limit_s = found.pause_limit_s
    return Law(
        settings.max_rate_bytes_per_s,
        longest_pause_s=math.inf if limit_s is None else _PAUSE_SHARE * limit_s,
        elsewhere=not found.same_node,
    )


def govern(settings: Settings, abort: Abort) -> Governed:
    """Build the brake for this node."""
    return Noded(settings, abort, Host())
