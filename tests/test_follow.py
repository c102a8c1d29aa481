"""``knockon follow`` on a real journal file that is being written."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.__main__ import MISTAKE, main
from tests.conftest import ROOT
from tests.replay import Entry, entry, journal_writer, remote_tool, write_journal

TOOL = remote_tool() or ""

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed")


def kill_line(at_us: int) -> Entry:
    return entry(at_us, "Docker daemon failed!", _SYSTEMD_UNIT="docker-monitor.service")


def now_us() -> int:
    return time.time_ns() // 1000


def follow(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "agent", "follow", "--journal-dir", str(folder), *options]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_kill_is_told_when_it_opens_and_when_it_has_settled(tmp_path: Path) -> None:
    with journal_writer(TOOL, tmp_path / "a.journal") as writer:
        writer.write([entry(now_us(), "quiet", _SYSTEMD_UNIT="docker.service")])
        time.sleep(0.3)
        follower = follow(tmp_path, "--json", "--for", "5", "--settle", "1")
        time.sleep(1.0)
        writer.write([kill_line(now_us())])
        told, complaints = follower.communicate(timeout=60)
    assert complaints == ""
    opened, settled = map(json.loads, told.splitlines())
    assert (opened["stage"], settled["stage"]) == ("opened", "settled")
    assert opened["schema"] == "knockon/v1"
    assert opened["incidents"][0]["killer"]["kind"] == "health_monitor"
    assert opened["incidents"][0]["id"] == settled["incidents"][0]["id"]
    assert opened["incidents"][0]["node"] == "node-1"
    assert opened["delay_s"] >= 0


def test_an_old_journal_is_told_from_its_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_journal(TOOL, tmp_path / "a.journal", [kill_line(1_790_000_000_000_000)])
    options = ["--journal-dir", str(tmp_path), "--from-start", "--for", "1"]
    assert main(["follow", *options]) == 0
    said = capsys.readouterr().out
    assert "is journald running?" in said
    assert "] An incident" in said
    assert "has settled" in said
    assert said.endswith("Read 1 entry: 1 incident.\n")


def test_a_quiet_journal_says_only_that_it_was_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = [entry(now_us() - n, "all is well", _SYSTEMD_UNIT="docker.service") for n in (3, 2, 1)]
    write_journal(TOOL, tmp_path / "a.journal", quiet)
    assert main(["follow", "--journal-dir", str(tmp_path), "--for", "0.5"]) == 0
    assert capsys.readouterr().out.endswith("\nRead 3 entries: no incident.\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--journal-dir", "/nowhere/at/all"], "No such file"),
        (["--journal-dir", "/", "--for", "-1"], "above 0"),
        (["--journal-dir", "/", "--root", "/"], "not allowed with"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["follow", *options]) == MISTAKE
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
