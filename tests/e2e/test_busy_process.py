"""The agent with its process profile on a node where something really writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.recorder.ring_read import load_ring
from tests.agents import ROOT, now_us, site, until
from tests.replay import entry, journal_writer, remote_tool
from tests.test_processes import MB, counted, writer

TOOL = remote_tool() or ""

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]

__all__ = ["counted"]


def shown(ring: Path) -> list[list[str]]:
    command = [sys.executable, "-m", "agent", "record", "show", "--ring", str(ring)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("enabled", [True, False])
def test_who_writes_is_recorded_and_shown_where_one_asks_for_it(
    tmp_path: Path, enabled: bool
) -> None:
    asked: dict[str, dict[str, object]] = {
        "processes": {"enabled": enabled, "every_s": 1.0, "top": 20}
    }
    with (
        site(tmp_path, None, **asked) as one,
        journal_writer(TOOL, one.journal / "a.journal") as journal,
        writer(tmp_path / "out") as busy,
    ):
        journal.write([entry(now_us(), "quiet", _SYSTEMD_UNIT="docker.service")])
        one.start()
        one.ready()
        until(lambda: len(load_ring(one.ring).samples) >= 3, one.said)
        pid = busy.running.pid
        busy.write(32 * MB)
        until(lambda: len(load_ring(one.ring).samples) >= 6, one.said)
        looks = load_ring(one.ring).processes
        ours = [each for top in looks for each in top.processes if each.pid == pid]
        assert (sum(each.write_bytes for each in ours) >= 32 * MB) is enabled, one.said()
        assert any(str(pid) in line[:2] for line in shown(one.ring)) is enabled
        assert one.process is not None
        loaded = Path(f"/proc/{one.process.pid}/maps").read_text()
        assert ("psutil" in loaded) is enabled, "nobody pays for it who did not ask"
