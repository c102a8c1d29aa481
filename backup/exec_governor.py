"""The governor as `backup exec` sees it: it hears what a foreign tool moved, and says what it may.

The tool is not paced at its socket, so what it moved comes from the kernel's counters, in lumps of
a read-ahead. They are spread over a moment before the law sees them: a lump is no stall. And while
the tool asks the disk for nothing, because it computes or waits for a network, it owes nothing.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.host import Host
from backup import eyes
from backup.governor import Governor, Sensors, Snapshot
from backup.guards import Deadline, Guards, Notice
from backup.law import Law
from backup.sensors import Sensed
from backup.steer import Progress

SPREAD_S = 0.3
ASKING_S = 0.5
"""A tool that has moved nothing for so long, and waits for no disk, asks for nothing."""

_UNBOUNDED_BYTES_PER_S = 100e9  # faster than any disk: nobody gave a ceiling


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asks of the governor."""

    data: Path
    probe: str = ""
    ceiling_bytes_per_s: float | None = None
    deadline_s: float | None = None
    expected_bytes: int | None = None
    keep_deadline: bool = False


class Spread:
    """Gives lumps out evenly, a share of what is left each time."""

    def __init__(self) -> None:
        self._left_bytes = 0.0
        self._at_s: float | None = None

    def pour(self, n_bytes: int, now_s: float) -> int:
        """Take a lump in; return what is due now."""
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._left_bytes += n_bytes
        due = int(self._left_bytes * -math.expm1(-passed_s / SPREAD_S))
        self._left_bytes -= due
        return due


class CountingSensors:
    """The node's sensors, with the tool's progress told to the governor at each reading."""

    def __init__(self, sensors: Sensors, progress: Progress) -> None:
        self._sensors = sensors
        self._progress = progress
        self._spread = Spread()
        self._asked_at_s = -math.inf
        self.tell: Callable[[int, bool], None] = lambda _bytes, _asking: None

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
        asking = now_s - self._asked_at_s < ASKING_S
        self.tell(self._spread.pour(moved, now_s), asking)
        return self._sensors.read(now_s, quiet=quiet, eager=eager)


class Noded:
    """The governor of this node, for one foreign tool."""

    def __init__(self, wish: Wish, progress: Progress, host: Host) -> None:
        seen = eyes.sensors(wish.probe, wish.data, host)
        self.notices: list[str] = list(seen.notes)
        self._ceiling = wish.ceiling_bytes_per_s or _UNBOUNDED_BYTES_PER_S
        self._failed = ""
        counting = CountingSensors(seen.all, progress)
        guards = Guards(_deadline(wish))
        self._governor = Governor(counting, Law(self._ceiling), guards, say=self._hear)
        self._governor.expect(wish.expected_bytes)
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

    def _tell(self, n_bytes: int, asking: bool) -> None:
        self._governor.moved(n_bytes, asking=asking)

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


def _deadline(wish: Wish) -> Deadline | None:
    if wish.deadline_s is None:
        return None
    return Deadline(time.monotonic() + wish.deadline_s, keep=wish.keep_deadline)
