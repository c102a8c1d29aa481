"""Puts law, pacer and foreground on the plant's disk and lets them run: seconds for an hour.

The reader takes a chunk when the pacer allows and one has come; the server reads the next as soon
as the socket's buffer has room, whatever the reader does: that is the lag of back-pressure.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from backup.law.calm import Calm
from backup.law.law import INTERVAL_S, Law, Reading, State, begin, queue_limit_s, step
from backup.law.pace import Pacer
from backup.law.volume import Moved
from backup.simulation.plant import (
    CHUNK_BYTES,
    DEVICE_BYTES_PER_S,
    PAGE_BYTES,
    READS_PER_TRANSACTION,
    UNIX_BUFFER_BYTES,
    Disk,
    Outcome,
    Phase,
    Setting,
    Trace,
    Waited,
    lognormal,
)

WARM_UP_S = 2.0
"""The server's checkpoint gives at least this long to probe a disk that the backup leaves alone."""

TRANSACTION_S = 0.0006
PROBE_S = 0.0002
IDLE_PSI = 0.04


class Arm(Protocol):
    """Who decides the rate."""

    @property
    def curious(self) -> bool:
        """Whether probes should come faster."""

    def rate(self, reading: Reading) -> float:
        """Return the bytes a second allowed from now on."""


class Fixed:
    """One number for the whole run, as every tool has it; infinity is no throttle, 0 no backup."""

    curious = False

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s

    def rate(self, reading: Reading) -> float:  # noqa: ARG002 - it looks at nothing: its fault
        """Return the same number whatever happens."""
        return self._bytes_per_s


class Governed:
    """The law, asked at each step."""

    def __init__(self, law: Law, now_s: float = 0.0) -> None:
        self.law = law
        self.state = begin(now_s, law)
        self.states: list[State] = []

    @property
    def curious(self) -> bool:
        """Whether the law wants probes faster."""
        return self.state.curious

    def rate(self, reading: Reading) -> float:
        """Ask the law."""
        self.state = step(self.state, reading, self.law)
        self.states.append(self.state)
        return self.state.allowed_bytes_per_s


@dataclass(slots=True)
class _Prober:
    """Asks the disk at exponential gaps, as the real canary does."""

    random: Random
    setting: Setting
    calm: Calm = field(default_factory=Calm)
    asked_s: float = math.inf
    done_s: float = -math.inf
    took_s: float = 0.0
    next_s: float = -WARM_UP_S

    def ask(self, now_s: float, disk: Disk) -> None:
        self.asked_s = now_s
        own_s = lognormal(self.random, PROBE_S, self.setting.noise)
        busy = self.setting.own
        if busy.late_share and self.random.random() < busy.late_share:
            own_s += self.random.expovariate(1 / busy.late_s)
        self.done_s = disk.serve(now_s, PAGE_BYTES // 2) + own_s + self.setting.probe_delay_s
        self.next_s = math.inf

    def age_s(self, now_s: float) -> float:
        return max(0.0, now_s - self.asked_s) if self.done_s > now_s else 0.0

    def look(self, now_s: float, *, quiet: bool, eager: bool) -> float:
        """Return the delay as known now; an answer that has come plans the next question."""
        if self.done_s > now_s:
            return max(0.0, now_s - self.asked_s)
        news_s = 0.0
        if self.asked_s < math.inf:
            news_s = self.took_s = self.done_s - self.asked_s
            self.calm.add(now_s, self.took_s, quiet=quiet)
            self.asked_s = math.inf
        if self.next_s == math.inf or eager:
            gap_s = max(0.02, 2 * self.took_s) if eager else max(0.1, 10 * self.took_s)
            self.next_s = min(self.next_s, now_s + self.random.expovariate(1 / gap_s))
        return news_s


class Rig:
    """One run of one arm over one trace."""

    def __init__(self, trace: Trace, arm: Arm, setting: Setting) -> None:
        self._trace, self._arm, self._setting = trace, arm, setting
        self._random = Random(setting.seed)
        self._disk = setting.disk(trace.phases[0])
        self._probe = _Prober(Random(setting.seed + 1), setting)
        self._pacer = Pacer(0.0, 0.0)
        self._room = max(1, round(setting.buffer_bytes / CHUNK_BYTES))
        self._ready: deque[float] = deque()  # when each chunk in the buffer came
        self._pending_s = math.inf  # when the server's read will be done
        self._take_s = math.inf
        self._busy_until_s = self._hungry_s = -math.inf
        self._waited_s = 0.0
        self._taken = self._read_bytes = 0
        self._waited: list[Waited] = []
        self._rates: list[tuple[float, float, float]] = []
        self._psi_s = 0.0
        self._served: deque[tuple[float, int]] = deque()  # when, and how much: first in, first out

    def run(self) -> Outcome:
        """Run the trace to its end."""
        now_s = -WARM_UP_S
        law_s, transaction_s, phases = now_s, now_s, deque(self._trace.phases)
        phase = phases[0]
        while True:
            now_s = min(law_s, transaction_s, self._pending_s, self._take_s, self._probe.next_s)
            if now_s >= self._trace.length_s:
                break
            while phases and phases[0].from_s <= now_s:
                phase = phases.popleft()
                self._disk.turn(phase)
            if now_s == self._take_s:
                self._take(now_s)
            elif now_s == self._pending_s:
                self._arrive(now_s)
            elif now_s == transaction_s:
                transaction_s = self._transact(now_s, phase)
            elif now_s == self._probe.next_s:
                self._probe.ask(now_s, self._disk)
            else:
                self._decide(now_s)
                law_s += INTERVAL_S
        return Outcome(self._trace, self._read_bytes, tuple(self._waited), tuple(self._rates))

    def _transact(self, now_s: float, phase: Phase) -> float:
        random = self._random
        end_s = now_s
        for _ in range(2 if random.random() < READS_PER_TRANSACTION - 1 else 1):
            end_s = max(end_s, self._serve(now_s, PAGE_BYTES))
        own_s = lognormal(random, TRANSACTION_S, self._setting.noise)
        if now_s >= 0:
            self._waited.append(Waited(now_s, end_s - now_s + own_s))
        return now_s + random.expovariate(phase.tps) if phase.tps else math.inf

    def _decide(self, now_s: float) -> None:
        begun = now_s >= 0
        quiet = not begun or (bool(self._rates) and self._pacer.rate_bytes_per_s < 1e6)
        delay_s = self._probe.look(now_s, quiet=quiet, eager=not begun or self._arm.curious)
        stalled_s = self._disk.stalled_s(now_s)
        share = (stalled_s - self._psi_s) / INTERVAL_S + abs(self._random.gauss(0, IDLE_PSI))
        if elsewhere := self._setting.own.pressed_share:
            share = min(1.0, share + 2 * elsewhere * self._random.random())
        self._psi_s = stalled_s
        moved = self._moved(now_s)
        if not begun:
            return
        achieved = self._taken / INTERVAL_S
        self._taken = 0
        wanting = self._wanting(now_s)
        calm = self._probe.calm
        usual_s = calm.usual_s(now_s, self._probe.age_s(now_s)) if delay_s else 0.0
        usual_s = max(0.0, usual_s - calm.base_s)
        queue_s = max(0.0, delay_s - calm.base_s)
        reading = Reading(
            now_s,
            queue_s,
            calm.base_s,
            share,
            achieved,
            delay_s > 2.0,
            calm.noise_s,
            usual_s,
            wanting,
            moved,
        )
        rate = self._arm.rate(reading)
        if not self._rates:
            self._pacer = Pacer(rate, now_s)
            self._issue(now_s)
        self._pacer.turn(rate, now_s)
        self._rates.append((now_s, rate, achieved))
        self._plan(now_s)

    def _serve(self, now_s: float, size_bytes: int) -> float:
        served_s = self._disk.serve(now_s, size_bytes)
        self._served.append((served_s, size_bytes))
        return served_s

    def _moved(self, now_s: float) -> Moved | None:
        """Return what the volume's counters would say since the last step."""
        size = count = 0
        while self._served and self._served[0][0] <= now_s:
            size += self._served.popleft()[1]
            count += 1
        if not self._setting.counted or self._setting.buffer_bytes > UNIX_BUFFER_BYTES:
            return None
        return Moved(size / INTERVAL_S, count / INTERVAL_S)

    def _issue(self, now_s: float) -> None:
        if self._pending_s == math.inf and len(self._ready) < self._room:
            begin_s = self._serve(now_s, CHUNK_BYTES)
            self._pending_s = begin_s + CHUNK_BYTES / DEVICE_BYTES_PER_S

    def _arrive(self, now_s: float) -> None:
        self._pending_s = math.inf
        self._ready.append(now_s)
        self._issue(now_s)
        self._plan(now_s)

    def _take(self, now_s: float) -> None:
        self._ready.popleft()
        self._taken += CHUNK_BYTES
        self._read_bytes += CHUNK_BYTES
        self._pacer.grant(CHUNK_BYTES, now_s)
        self._busy_until_s = now_s + self._own_s()
        self._issue(now_s)
        self._plan(now_s)

    def _own_s(self) -> float:
        """Return for how long the reader is busy with the chunk that it took."""
        own = self._setting.own
        stalls = self._read_bytes % own.stall_every_bytes < CHUNK_BYTES
        return CHUNK_BYTES / own.bytes_per_s + stalls * own.stall_s

    def _plan(self, now_s: float) -> None:
        """The next chunk is taken when the pacer allows, if one is there by then."""
        free_s = max(now_s + self._pacer.wait_s(now_s), self._busy_until_s)
        if self._ready:
            self._waited_s += max(0.0, now_s - self._hungry_s) if self._hungry_s > 0 else 0.0
            self._hungry_s = -math.inf
            self._take_s = free_s
        else:
            self._take_s = math.inf
            self._hungry_s = free_s if self._hungry_s == -math.inf else self._hungry_s

    def _wanting(self, now_s: float) -> float:
        """Return the share of the last interval in which the reader waited for a chunk."""
        if self._hungry_s > 0 and now_s > self._hungry_s:
            self._waited_s += now_s - self._hungry_s
            self._hungry_s = now_s
        waited_s, self._waited_s = self._waited_s, 0.0
        return min(1.0, waited_s / INTERVAL_S)


def harm_limit_s(reading: Reading) -> float:
    """Return the probe's delay beyond which the law holds others to be harmed."""
    return reading.base_s + queue_limit_s(reading)
