"""The drill as it runs: bars that move on a terminal, a line now and then elsewhere."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.verdict import who
from tests.lab.drill.watch import Second

_BARS = " ▁▂▃▄▅▆▇█"
_WIDTH = 40
_EVERY_S = 15.0
_UP = "\x1b[{}F\x1b[J"


@dataclass(slots=True)
class Live:
    """Shows one arm; call it with every second."""

    ending: Ending
    setting: Setting
    write: Callable[[str], None]
    moving: bool
    kills: int = 0
    _drawn: int = 0
    _told_s: float = 0.0
    _check_s: float = 0.0
    _past: deque[tuple[Second, float]] = field(default_factory=lambda: deque(maxlen=_WIDTH))

    def __call__(self, second: Second) -> None:
        """Take one more second in."""
        self.kills += second.killed
        if second.check_s is not None:
            self._check_s = second.check_s
        self._past.append((second, self._check_s))
        if self.moving:
            self._draw(second)
        elif second.killed or second.at_s - self._told_s >= _EVERY_S:
            self._told_s = second.at_s
            self.write(f"{who(self.ending, self.setting)}: {self._sentence(second)}\n")

    def _sentence(self, second: Second) -> str:
        p99 = "-" if second.app_p99_ms is None else f"{second.app_p99_ms:,.0f} ms"
        killed = ", DOCKER KILLED" if second.killed else ""
        return (
            f"{second.at_s:.0f} s: I/O stalled {second.io_pct:.0f} %, "
            f"docker ps {self._check_s:.1f} s, read {second.disk_mb_s:.1f} MB/s, "
            f"app p99 {p99}{killed}"
        )

    def _draw(self, second: Second) -> None:
        past = [one for one, _ in self._past]
        p99 = [one.app_p99_ms or 0.0 for one in past]
        rate_most = self.setting.disk_mb_s or 1.0
        checks = [check_s for _, check_s in self._past]
        lines = [
            f"Knock-on drill: {who(self.ending, self.setting)}, {second.at_s:.0f} s",
            _row("I/O stalled", [one.io_pct for one in past], 100.0, f"{second.io_pct:.0f} %"),
            _row("docker ps", checks, self.setting.check_s, f"{checks[-1]:.1f} s"),
            _row("disk read", [one.disk_mb_s for one in past], rate_most,
                 f"{second.disk_mb_s:.1f} MB/s"),
            _row("app p99", p99, 1000.0, f"{p99[-1]:,.0f} ms"),
            f"  kills        {self.kills}",
        ]  # fmt: skip
        up = _UP.format(self._drawn) if self._drawn else ""
        self.write(up + "\n".join(lines) + "\n")
        self._drawn = len(lines)


def _row(name: str, values: list[float], most: float, now: str) -> str:
    bars = "".join(_BARS[min(8, max(0, round(value / most * 8)))] for value in values)
    return f"  {name:<12} {bars.rjust(_WIDTH)} {now}"
