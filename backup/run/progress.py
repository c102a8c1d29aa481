"""How a run tells where it is: a bar on a terminal, else one line a minute."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from agent.printable import ascii_only, columns, safe

LINE_EVERY_S = 60.0
_BAR_COLUMNS = 20
_LEAST_RATE = 1.0


@dataclass(frozen=True, slots=True)
class Screen:
    """What the terminal can show."""

    width: int = 80
    unicode: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """One moment of a run, as people care about it."""

    now_s: float
    phase: str
    read_bytes: int
    expected_bytes: int
    achieved_bytes_per_s: float = 0.0
    allowed_bytes_per_s: float = 0.0
    reason: str = ""
    paused: bool = False
    pressure: float | None = None
    """Share of time in which tasks wait for the disk, of 1; None where the kernel counts none."""
    deadline_at_s: float | None = None

    @property
    def left_s(self) -> float | None:
        """How long it still takes at this rate; None before one can tell."""
        if not self.expected_bytes or self.achieved_bytes_per_s < _LEAST_RATE:
            return None
        return max(0, self.expected_bytes - self.read_bytes) / self.achieved_bytes_per_s

    @property
    def spare_s(self) -> float | None:
        """How long before the deadline it will be done; negative: how much too late."""
        if self.deadline_at_s is None or self.left_s is None:
            return None
        return self.deadline_at_s - self.now_s - self.left_s


def bar(sight: Sight, screen: Screen) -> str:
    """Return the one line of a terminal, never wider than it."""
    share = _share(sight)
    full, empty = ("█", "░") if screen.unicode else ("#", "-")
    drawn = round(share * _BAR_COLUMNS)
    words = [f"{full * drawn}{empty * (_BAR_COLUMNS - drawn)} {share:4.0%}"]
    words += [f"{size(sight.read_bytes)}", *_speed(sight), *_pressed(sight), *_end(sight)]
    if sight.phase != "reading":
        words.append(sight.phase)
    line = "  ".join(words)
    line = line if screen.unicode else ascii_only(line)
    while columns(line) > screen.width - 1 and len(words) > 1:
        words.pop()
        line = "  ".join(words)
    return line[: screen.width - 1]


def log_line(sight: Sight) -> str:
    """Return the line of one minute, as JSON: nobody watches, machines read."""
    said: dict[str, object] = {
        "at_s": round(sight.now_s, 3),
        "message": f"backup: {sight.phase}",
        "read_bytes": sight.read_bytes,
        "expected_bytes": sight.expected_bytes,
        "achieved_bytes_per_s": round(sight.achieved_bytes_per_s),
        "allowed_bytes_per_s": round(sight.allowed_bytes_per_s),
        "reason": sight.reason,
    }
    if sight.pressure is not None:
        said["pressure"] = round(sight.pressure, 4)
    if sight.left_s is not None:
        said["left_s"] = round(sight.left_s)
    if sight.spare_s is not None:
        said["before_deadline_s"] = round(sight.spare_s)
    return json.dumps(said)


class Progress:
    """Writes bar or lines; the caller ticks it about once a second."""

    def __init__(
        self, write: Callable[[str], None], screen: Screen, *, terminal: bool, now_s: float
    ) -> None:
        self._write = write
        self._screen = screen
        self._terminal = terminal
        self._told_s = now_s
        self._drawn = False

    def tick(self, sight: Sight) -> None:
        """Show this moment, when it is time to."""
        if self._terminal:
            self._write(f"\r{bar(sight, self._screen)}\x1b[K")
            self._drawn = True
        elif sight.now_s - self._told_s >= LINE_EVERY_S:
            self._told_s = sight.now_s
            self._write(log_line(sight) + "\n")

    def say(self, message: str, now_s: float) -> None:
        """Write a line of its own, above the bar."""
        if not self._terminal:
            self._write(json.dumps({"at_s": round(now_s, 3), "message": message}) + "\n")
            return
        shown = safe(message, 600)
        self.clear()
        self._write(f"{shown if self._screen.unicode else ascii_only(shown)}\n")

    def clear(self) -> None:
        """Take the bar away."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False


def size(count_bytes: float) -> str:
    """Return bytes as people read them, in decimal units as rates are given.

    >>> size(1_432_000_000)
    '1.4 GB'
    """
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count_bytes >= step:
            return f"{count_bytes / step:.1f} {unit}"
    return f"{count_bytes:.0f} B"


def duration(span_s: float) -> str:
    """Return a duration with its two largest units.

    >>> duration(3700)
    '1h 1m'
    """
    whole = int(abs(span_s))
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds}s" if minutes else f"{seconds}s"


def _share(sight: Sight) -> float:
    return min(1.0, sight.read_bytes / sight.expected_bytes) if sight.expected_bytes else 0.0


def _speed(sight: Sight) -> list[str]:
    if sight.paused:
        return [f"paused: {sight.reason}" if sight.reason else "paused"]
    achieved = f"{sight.achieved_bytes_per_s / 1e6:.0f}"
    allowed = f"{sight.allowed_bytes_per_s / 1e6:.0f}"
    return [f"{achieved} of {allowed} MB/s", *([sight.reason] if sight.reason else [])]


def _pressed(sight: Sight) -> list[str]:
    return [] if sight.pressure is None else [f"io {sight.pressure:.0%}"]


def _end(sight: Sight) -> list[str]:
    if sight.left_s is None:
        return []
    said = [f"{duration(sight.left_s)} left"]
    if sight.spare_s is not None:
        side = "before" if sight.spare_s >= 0 else "after"
        said.append(f"{duration(sight.spare_s)} {side} the deadline")
    return said
