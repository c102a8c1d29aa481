"""What people see while they wait: one line that fits, or one line a minute."""

from __future__ import annotations

import json

import pytest

from agent.printable import columns
from backup.run.progress import Progress, Screen, Sight, bar, log_line

SIGHT = Sight(
    now_s=1000.0,
    phase="reading",
    read_bytes=400_000_000,
    expected_bytes=1_000_000_000,
    achieved_bytes_per_s=40e6,
    allowed_bytes_per_s=54e6,
    reason="at the knee",
    pressure=0.04,
    deadline_at_s=1000.0 + 3600.0,
)


def test_the_bar_says_everything() -> None:
    assert bar(SIGHT, Screen(160)) == (
        "████████░░░░░░░░░░░░  40%  400.0 MB  40 of 54 MB/s  at the knee  io 4%"
        "  15s left  59m 45s before the deadline"
    )


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("unicode", [True, False])
def test_the_bar_fits(width: int, unicode: bool) -> None:
    line = bar(SIGHT, Screen(width, unicode=unicode))
    assert columns(line) < width
    assert unicode or line.isascii()


def test_a_pause_says_why() -> None:
    paused = Sight(0.0, "reading", 1, 2, paused=True, reason="the probe was close to a kill")
    assert "paused: the probe was close to a kill" in bar(paused, Screen(160))


def test_too_late_is_said() -> None:
    late = Sight(0.0, "reading", 0, 100_000_000, 1e6, 1e6, deadline_at_s=40.0)
    assert "1m 0s after the deadline" in bar(late, Screen(160))
    assert json.loads(log_line(late))["before_deadline_s"] == -60


def test_nothing_known_yet() -> None:
    nothing = Sight(0.0, "connecting", 0, 0)
    assert bar(nothing, Screen(80)).endswith("connecting")
    assert "left_s" not in json.loads(log_line(nothing))


def test_one_line_a_minute_without_a_terminal() -> None:
    written: list[str] = []
    progress = Progress(written.append, Screen(), terminal=False, now_s=0.0)
    for second in range(181):
        progress.tick(Sight(float(second), "reading", second, 1000))
    assert [json.loads(line)["read_bytes"] for line in written] == [60, 120, 180]


def test_words_stand_above_the_bar() -> None:
    written: list[str] = []
    progress = Progress(written.append, Screen(80), terminal=True, now_s=0.0)
    progress.tick(SIGHT)
    progress.say("a note with \x1b[31m in it", 1.0)
    progress.clear()
    assert written[0].startswith("\r")
    assert written[1] == "\r\x1b[K"
    assert "\x1b[31m" not in written[2]
