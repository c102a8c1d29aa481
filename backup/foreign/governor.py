"""The governor as `backup exec` sees it: it hears what a foreign tool moved, and says what it may.

Three things differ from a backup of our own. What a tool moved comes from the kernel's counters in
lumps, so it is judged over several of them: a lump is no stall. A tool that moves less than it may
is mostly held back by our own cap or by its own work, so only a large shortfall counts as the
disk's. And a tool that our cap holds back counts as stalled in the node's pressure, so its
group's own pressure is taken off; where that cannot be read, pressure is not used at all.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agent.recorder.host import Host
from agent.recorder.psi import some_total_us
from backup.foreign.steer import Progress
from backup.governor import Governor, Sensors, Snapshot
from backup.law.guards import Deadline, Guards, Notice
from backup.law.law import Law
from backup.sensors import eyes
from backup.sensors.node import PSI_EVERY_S, Sensed

SHORTEST_S, LONGEST_S = 1.0, 5.0
LUMPS_BYTES = 16 << 20
"""Two of the largest read-aheads met: progress is judged over no less, within LONGEST_S."""

LENIENCY = 1.25
ASKING_S = 0.5
"""A tool that has moved nothing for so long, and waits for no disk, asks for nothing."""

_LARGE_BYTES = 8 << 20
_MOST_LOOKED_AT = 2000
_UNBOUNDED_BYTES_PER_S = 100e9  # faster than any disk: nobody gave a ceiling


@dataclass(frozen=True, slots=True)
class _Span:
    """One step between two readings."""

    from_s: float
    moved_bytes: int
    allowed_bytes: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asks of the governor."""

    data: Path
    probe: str = ""
    ceiling_bytes_per_s: float | None = None
    deadline_s: float | None = None
    expected_bytes: int | None = None
    keep_deadline: bool = False


class OwnStalls:
    """The share of time in which the tool's own group waited for a disk, or for our cap."""

    def __init__(self, pressure: Path | None, *, capped: bool) -> None:
        self._pressure = pressure
        self._capped = capped
        self._last: tuple[float, int] | None = None
        self._share: float | None = None

    def share(self, now_s: float) -> float | None:
        """Return the share of the last 100 ms; None where the kernel does not say.

        Without a cap of ours the tool's waits are the disk's own, and nothing is to be taken off.
        """
        if self._pressure is None:
            return None if self._capped else 0.0
        if self._last is not None and now_s - self._last[0] < PSI_EVERY_S:
            return self._share
        try:
            total_us = some_total_us(self._pressure.read_bytes())
        except OSError:
            self._last = self._share = None
            return None
        if self._last is not None:
            self._share = (total_us - self._last[1]) / 1e6 / (now_s - self._last[0])
        self._last = (now_s, total_us)
        return self._share


class Account:
    """What the governor is told of the tool's progress, and how far that is from what it was."""

    def __init__(self) -> None:
        self._window: deque[_Span] = deque()
        self._moved_bytes = self._allowed_bytes = 0.0
        self._at_s: float | None = None
        self.forgiven_bytes = 0

    def tell(self, moved_bytes: int, allowed_bytes_per_s: float, now_s: float) -> int:
        """Return what to tell: all that was allowed, less a large shortfall of the last moments.

        The ratio of moved to allowed is taken over the same span, or a climb would look like one.
        """
        began_s = now_s if self._at_s is None else self._at_s
        self._at_s = now_s
        allowed_bytes = allowed_bytes_per_s * max(0.0, now_s - began_s)
        self._add(_Span(began_s, moved_bytes, allowed_bytes))
        share = 1.0
        if self._judgeable(now_s) and self._allowed_bytes > 0:
            share = min(1.0, LENIENCY * self._moved_bytes / self._allowed_bytes)
        told = int(allowed_bytes * share)
        self.forgiven_bytes += told - moved_bytes
        return told

    def _add(self, span: _Span) -> None:
        self._window.append(span)
        self._moved_bytes += span.moved_bytes
        self._allowed_bytes += span.allowed_bytes
        while len(self._window) > 1 and self._covers(self._window[1].from_s, span.from_s):
            old = self._window.popleft()
            self._moved_bytes -= old.moved_bytes
            self._allowed_bytes -= old.allowed_bytes

    def _covers(self, from_s: float, now_s: float) -> bool:
        enough = self._allowed_bytes - self._window[0].allowed_bytes >= LUMPS_BYTES
        return (enough and now_s - from_s >= SHORTEST_S) or now_s - from_s >= LONGEST_S

    def _judgeable(self, now_s: float) -> bool:
        passed_s = now_s - self._window[0].from_s
        enough = self._allowed_bytes >= LUMPS_BYTES and passed_s >= SHORTEST_S
        return enough or passed_s >= LONGEST_S


class CountingSensors:
    """The node's sensors, with the tool's progress told to the governor at each reading."""

    def __init__(self, sensors: Sensors, progress: Progress, stalls: OwnStalls) -> None:
        self._sensors = sensors
        self._progress = progress
        self._stalls = stalls
        self._asked_at_s = -math.inf
        self.tell: Callable[[int, float, bool], None] = lambda _bytes, _now_s, _asking: None

    def start(self) -> None:
        """Begin to look."""
        self._sensors.start()

    def stop(self) -> None:
        """Stop looking."""
        self._sensors.stop()

    def read(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        """Tell what was moved, then look at the node."""
        moved = self._progress.delta()
        if moved or self._progress.waiting():
            self._asked_at_s = now_s
        self.tell(moved, now_s, now_s - self._asked_at_s < ASKING_S)
        seen = self._sensors.read(now_s, quiet=quiet, eager=eager)
        return replace(seen, psi_stalled_share=self._others_share(seen.psi_stalled_share, now_s))

    def _others_share(self, node_share: float | None, now_s: float) -> float | None:
        """Return the least share in which somebody else must have waited."""
        own_share = self._stalls.share(now_s)
        if node_share is None or own_share is None:
            return None
        return max(0.0, node_share - own_share)


class Noded:
    """The governor of this node, for one foreign tool."""

    def __init__(self, wish: Wish, progress: Progress, host: Host, stalls: OwnStalls) -> None:
        seen = eyes.sensors(_probe_for(wish), wish.data, host)
        self.notices: list[str] = list(seen.notes)
        self._ceiling = wish.ceiling_bytes_per_s or _UNBOUNDED_BYTES_PER_S
        self._failed = ""
        counting = CountingSensors(seen.all, progress, stalls)
        guards = Guards(_deadline(wish))
        self._governor = Governor(counting, Law(self._ceiling), guards, say=self._hear)
        self._expected_bytes = wish.expected_bytes
        self._governor.expect(wish.expected_bytes)
        self._account = Account()
        counting.tell = self._tell

    def start(self) -> None:
        """Begin to look at the node."""
        self._governor.start()

    def stop(self) -> None:
        """Look no more."""
        self._governor.stop()

    def allowed_bytes_per_s(self) -> float:
        """Return the rate allowed now."""
        return self._governor.snapshot().rate_bytes_per_s

    def take_notices(self) -> list[str]:
        """Return what must be said since the last call."""
        seen = self._governor.snapshot()
        if seen.failed and seen.failed != self._failed:
            self.notices.append(f"the governor failed and holds its least rate: {seen.failed}")
        self._failed = seen.failed
        told, self.notices = self.notices, []
        return told

    def summary(self) -> str:
        """Say what was held back, and whether anybody was harmed."""
        return summary_of(self._governor.snapshot())

    def _tell(self, moved_bytes: int, now_s: float, asking: bool) -> None:
        told = self._account.tell(moved_bytes, self.allowed_bytes_per_s(), now_s)
        if self._expected_bytes is not None:  # what is left stays true
            self._governor.expect(self._expected_bytes + self._account.forgiven_bytes)
        self._governor.moved(told, asking=asking)

    def _hear(self, notice: Notice) -> None:
        self.notices.append(notice.says)


def summary_of(seen: Snapshot) -> str:
    """Put the last snapshot into words."""
    rate = seen.rate_bytes_per_s
    allowed = "no limit" if rate >= _UNBOUNDED_BYTES_PER_S else f"{rate / 1e6:.0f} MB/s"
    return f"last allowed {allowed} ({seen.reason}), others waited for {seen.harm_s:.1f} s"


def used_bytes(data: Path) -> int:
    """Return the bytes used on the volume of the data: the most that a backup may have to read."""
    volume = os.statvfs(data)
    return (volume.f_blocks - volume.f_bfree) * volume.f_frsize


def _probe_for(wish: Wish) -> str:
    """Return what was named, else any large file of the data: it lies on the disk to defend."""
    if wish.probe or eyes.big_file(wish.data):
        return wish.probe
    found = _large_file(wish.data)
    return f"file:{found.absolute()}" if found else ""


def _large_file(data: Path) -> Path | None:
    seen = 0
    for folder, _, names in os.walk(data):
        for name in names:
            seen += 1
            path = Path(folder, name)
            try:
                large = path.is_file() and path.stat().st_size >= _LARGE_BYTES
            except OSError:
                continue
            if large and os.access(path, os.R_OK):
                return path
        if seen > _MOST_LOOKED_AT:
            return None
    return None


def _deadline(wish: Wish) -> Deadline | None:
    if wish.deadline_s is None:
        return None
    return Deadline(time.monotonic() + wish.deadline_s, keep=wish.keep_deadline)
