"""``make demo`` keeps its promises: it explains, it follows, it is quick, and it leaves nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.replay import remote_tool

COMMAND = [sys.executable, "-m", "tests.demo"]


def stories() -> bool:
    return any((ROOT / "tests" / "stories").glob("*/journal.export*"))


@pytest.mark.slow
@pytest.mark.skipif(remote_tool() is None, reason="systemd-journal-remote is not installed")
@pytest.mark.skipif(not stories(), reason="no story has been recorded")
def test_the_demo_explains_a_story_and_sees_it_happen(tmp_path: Path) -> None:
    shown = subprocess.run(
        COMMAND,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "1. Afterwards" in shown.stdout
    assert "] An incident" in shown.stdout
    assert re.search(r"\d+ ms later", shown.stdout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not stories(), reason="no story has been recorded")
@pytest.mark.skipif(
    Path("/lib/systemd/systemd-journal-remote").exists(), reason="the program is installed here"
)
def test_without_the_program_it_says_which_package_is_missing() -> None:
    shown = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, check=False)
    assert shown.returncode == 2
    assert "apt-get install systemd-journal-remote" in shown.stderr
    assert not list(Path(tempfile.gettempdir()).glob("knockon-demo-*"))
