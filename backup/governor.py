"""The governor: one thread that reads the sensors, asks the law, and sets the pace.

``pace`` is called by whoever reads the server's socket, after each piece: it blocks exactly as long
as the law says, also if the law changes its mind meanwhile. Everything else happens in the
governor's own thread, so a sensor that hangs never blocks the reader, and the reader never the law.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from backup.law.guards import Guards, Notice, Outlook, Progress
from backup.law.law import INTERVAL_S, LEAST_BYTES_PER_S, Law, State, begin, step
from backup.law.pace import Pacer
from backup.sensors.node import Sensed

LONGEST_WAIT_S = 1.0
GUARD_EVERY_S = 1.0
QUIET_SHARE = 0.2
QUIET_AFTER_S = 0.2
"""What the socket's buffer still holds is read before the disk is left alone."""


class Sensors(Protocol):
    """What the governor needs of its eyes."""

    def start(self) -> None:
        """Begin to look."""

    def stop(self) -> None:
        """Stop looking."""

    def read(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        """Return what was seen since the last call."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time and waiting, so that tests need neither."""

    now_s: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Condition, float], object] = threading.Condition.wait


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the governor does now, for progress lines and metrics."""

    at_s: float
    rate_bytes_per_s: float
    achieved_bytes_per_s: float
    done_bytes: int
    paused: bool
    reason: str
    harm_s: float = 0.0
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    blind: tuple[str, ...] = ()
    outlook: Outlook = field(default_factory=Outlook)
    deadline_s: float | None = None
    failed: str = ""
    """Why the governor fell back to its least rate; empty while it governs."""


class Governor:
    """Lets a backup read as fast as the node can afford, and no faster."""

    def __init__(
        self,
        sensors: Sensors,
        law: Law,
        guards: Guards | None = None,
        clock: Clock | None = None,
        say: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        self._sensors, self._law, self._guards = sensors, law, guards or Guards()
        self._clock, self._say = clock or Clock(), say
        now_s = self._clock.now_s()
        self._changed = threading.Condition()
        self._state = begin(now_s, law)
        self._pacer = Pacer(self._state.allowed_bytes_per_s, now_s)
        self._done_bytes = self._counted_bytes = 0
        self._total_bytes: int | None = None
        self._wal: tuple[int, int | None] = (0, None)
        self._waited: Callable[[], float] | None = None
        self._counted_waited_s = 0.0
        self._flowing = self._stopped = False
        self._quiet_since_s: float | None = now_s
        self._throttled_s: defaultdict[str, float] = defaultdict(float)
        self._harm_s = 0.0
        self._guarded_s = now_s
        self._ticked_s = now_s
        self._outlook = Outlook()
        self._blind: tuple[str, ...] = ()
        self._failed = ""
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look; best before the backup asks for a checkpoint: that is the calm moment."""
        self._sensors.start()
        self._thread = threading.Thread(target=self._run, name="governor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let go of the reader, and of everything else; may be called twice."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)
        self._sensors.stop()

    def expect(self, total_bytes: int | None) -> None:
        """Say how much there is to read; the server's estimate may change on the way."""
        self._total_bytes = total_bytes

    def wal(self, kept_bytes: int, room_bytes: int | None) -> None:
        """Say how much WAL the backup keeps back, and how much room it has."""
        self._wal = (kept_bytes, room_bytes)

    def listen(self, waited_s: Callable[[], float]) -> None:
        """Say who tells for how long the reader has waited for the server so far."""
        with self._changed:
            self._waited, self._counted_waited_s = waited_s, waited_s()

    def pace(self, n_bytes: int) -> None:
        """Account for bytes just read, and block until the law allows more."""
        with self._changed:
            now_s = self._clock.now_s()
            if not self._flowing:
                self._begin_flow(now_s)
            self._done_bytes += n_bytes
            wait_s = self._pacer.grant(n_bytes, now_s)
            while wait_s > 0.0 and not self._stopped:
                reason = self._state.reason
                self._clock.wait(self._changed, min(wait_s, LONGEST_WAIT_S))
                after_s = self._clock.now_s()
                self._throttled_s[reason] += after_s - now_s
                now_s = after_s
                wait_s = self._pacer.wait_s(now_s)

    def moved(self, n_bytes: int, *, asking: bool = True) -> None:
        """Account for bytes that somebody else moved, and block nobody: a foreign tool's.

        While the tool asks the disk for nothing it owes nothing: the law's clock stands still.
        """
        with self._changed:
            now_s = self._clock.now_s()
            if not asking:
                self._flowing = False
            elif not self._flowing and self._done_bytes:
                self._flowing = True
                self._state = replace(self._state, at_s=now_s)
                self._ticked_s = now_s
            elif not self._flowing and n_bytes > 0:
                self._begin_flow(now_s)
            self._done_bytes += n_bytes

    def tick(self) -> State:
        """Take one reading and set the pace; the thread does this every ``INTERVAL_S``."""
        now_s = self._clock.now_s()
        quiet = self._quiet_since_s is not None and now_s - self._quiet_since_s >= QUIET_AFTER_S
        eager = not self._flowing or self._state.curious
        seen = self._sensors.read(now_s, quiet=quiet or not self._flowing, eager=eager)
        with self._changed:
            self._govern(now_s, seen)
            self._changed.notify_all()
        if now_s - self._guarded_s >= GUARD_EVERY_S and self._flowing:
            self._guard(now_s)
        return self._state

    def snapshot(self) -> Snapshot:
        """Return what the governor does now."""
        with self._changed:
            state, deadline = self._state, self._guards.deadline
            return Snapshot(
                at_s=state.at_s,
                rate_bytes_per_s=self._pacer.rate_bytes_per_s,
                achieved_bytes_per_s=state.achieved_bytes_per_s,
                done_bytes=self._done_bytes,
                paused=state.paused,
                reason=state.reason,
                harm_s=self._harm_s,
                throttled_s=dict(self._throttled_s),
                blind=self._blind,
                outlook=self._outlook,
                deadline_s=deadline.at_s if deadline else None,
                failed=self._failed,
            )

    def _begin_flow(self, now_s: float) -> None:
        """Start the law's clock with the first byte: what nobody asked for is not owed."""
        self._flowing = True
        self._quiet_since_s = None
        self._state = begin(now_s, self._law)
        self._pacer.turn(self._state.allowed_bytes_per_s, now_s)
        self._ticked_s = now_s

    def _govern(self, now_s: float, seen: Sensed) -> None:
        self._blind = seen.blind
        passed_s = now_s - self._ticked_s
        if not self._flowing or passed_s <= 0:
            return
        moved = self._done_bytes - self._counted_bytes
        self._counted_bytes, self._ticked_s = self._done_bytes, now_s
        law = replace(self._law, floor_bytes_per_s=self._outlook.floor_bytes_per_s)
        reading = replace(seen.reading(now_s, moved / passed_s), wanting=self._wanting(passed_s))
        self._state = step(self._state, reading, law)
        if self._state.harmed:
            self._harm_s += passed_s
        allowed = self._state.allowed_bytes_per_s
        self._pacer.turn(allowed, now_s)
        if allowed > QUIET_SHARE * self._state.rate_bytes_per_s:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s

    def _wanting(self, passed_s: float) -> float:
        """Return the share of the time in which the server kept the reader waiting."""
        if self._waited is None:
            return 1.0
        before_s, self._counted_waited_s = self._counted_waited_s, self._waited()
        return min(max((self._counted_waited_s - before_s) / passed_s, 0.0), 1.0)

    def _guard(self, now_s: float) -> None:
        self._guarded_s = now_s
        kept, room = self._wal
        progress = Progress(now_s, self._done_bytes, self._total_bytes, kept, room)
        self._outlook, notices = self._guards.check(progress)
        for notice in notices:
            self._say(notice)

    def _run(self) -> None:
        """Tick until stopped; a governor that fails leaves its least rate behind, not its last."""
        while not self._stopped:
            try:
                self.tick()
                self._failed = ""
            except Exception as error:  # noqa: BLE001 - the supervisor: any bug means least rate
                self._fall_back(error)
            with self._changed:
                if not self._stopped:
                    self._pause_between()

    def _pause_between(self) -> None:
        until_s = self._clock.now_s() + INTERVAL_S
        while not self._stopped and (left_s := until_s - self._clock.now_s()) > 0:
            self._clock.wait(self._changed, left_s)

    def _fall_back(self, error: Exception) -> None:
        with self._changed:
            self._failed = f"{type(error).__name__}: {error}"
            self._pacer.turn(LEAST_BYTES_PER_S, self._clock.now_s())
            self._changed.notify_all()
