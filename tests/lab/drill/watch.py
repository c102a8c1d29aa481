"""What is seen of a drill, once a second: pressure, checks, the backup's rate, the application."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from backup.simulation.plant import quantile
from tests.lab.cgroups import Memory
from tests.lab.disk import Counted
from tests.lab.drill.foreground import Foreground
from tests.lab.drill.node import Check, Node

_LATELY = 5
_TIMED_OUT = 124


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a drill; times are seconds since the drill began."""

    at_s: float
    io_pct: float
    memory_pct: float
    disk_mb_s: float
    written_mb_s: float
    backlog_s: float
    app_p99_ms: float | None
    """Of what ended in the last five seconds."""
    app_done: int
    major_faults: int
    refaults: int
    check_s: float | None
    """How long the latest check took that ended in this second."""
    killed: bool
    """Whether the monitor gave up in this second."""

    def as_json(self) -> dict[str, Any]:
        """Return it for the page and for the raw data."""
        return asdict(self)


class Watch:
    """Looks once a second in a thread of its own; `tell` is called with each second."""

    def __init__(
        self, node: Node, foreground: Foreground, tell: Callable[[Second], None], began_s: float
    ) -> None:
        self._node, self._foreground, self._tell = node, foreground, tell
        self._began_s = began_s
        self._checks_seen = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="watch", daemon=True)
        self._last = self._look()
        self._lately: deque[list[float]] = deque(maxlen=_LATELY)
        self.seconds: list[Second] = []
        self.checks: list[Check] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(15.0)

    @property
    def kills(self) -> list[Check]:
        """The checks after which the monitor killed docker."""
        return [check for check in self.checks if check.status == _TIMED_OUT]

    def _loop(self) -> None:
        due_s = time.monotonic()
        while True:
            due_s = max(due_s + 1.0, time.monotonic())
            if self._stop.wait(max(0.0, due_s - time.monotonic())):
                return
            self._second()

    def _look(self) -> tuple[float, int, int, Memory, Counted]:
        box = self._node.box
        stalled = (box.stalled_us("io") or 0, box.stalled_us("memory") or 0)
        return (time.time(), *stalled, box.memory(), box.disk.counted())

    def _second(self) -> None:
        before, now = self._last, self._look()
        self._last = now
        took_s = max(0.001, now[0] - before[0])
        self._lately.append(self._foreground.waits_s())
        waits = [one for some in self._lately for one in some]
        if not self._foreground.connected:
            self._foreground.start()
        self.checks = self._node.checks()
        new, self._checks_seen = self.checks[self._checks_seen :], len(self.checks)
        second = Second(
            at_s=round(now[0] - self._began_s, 2),
            io_pct=_share_pct(now[1] - before[1], took_s),
            memory_pct=_share_pct(now[2] - before[2], took_s),
            disk_mb_s=round((now[4].read_bytes - before[4].read_bytes) / took_s / 1e6, 2),
            written_mb_s=round((now[4].written_bytes - before[4].written_bytes) / took_s / 1e6, 2),
            backlog_s=round(now[4].backlog_s, 3),
            app_p99_ms=round(quantile(waits, 0.99) * 1e3, 2) if waits else None,
            app_done=len(self._lately[-1]),
            major_faults=now[3].major_faults - before[3].major_faults,
            refaults=now[3].refaults - before[3].refaults,
            check_s=max((round(one.took_s, 3) for one in new), default=None),
            killed=any(one.status == _TIMED_OUT for one in new),
        )
        self.seconds.append(second)
        self._tell(second)


def _share_pct(stalled_us: int, took_s: float) -> float:
    return min(100.0, round(stalled_us / took_s / 1e4, 1))
