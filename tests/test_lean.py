"""What the agent's two processes load: every node pays for each module, so the lists are here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from agent.journal.live import reader_command
from tests.conftest import ROOT

READER = """
__future__ _struct agent agent.errors agent.journal agent.journal.handle agent.journal.plan
agent.journal.reader agent.journal.tail agent.journal.wire agent.sources
agent.sources.journal_names agent.sources.kernel_time errno itertools select struct
"""
WITH_SYSTEMD = "datetime _datetime math systemd systemd._reader"

NOT_IN_THE_AGENT = """
argparse asyncio bz2 concurrent.futures csv decimal email fractions gzip html http inspect_never
kubernetes logging lzma mimetypes prometheus_client psutil shutil socketserver statistics
systemd tarfile tempfile urllib.request uuid zipfile
"""


def loaded(*command: str) -> set[str]:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_reader_child_loads_a_handful_of_modules() -> None:
    command = reader_command([])
    at = command.index("-c")
    bare = loaded(*command[:at], "-c", "import os, sys; print(*sys.modules)")
    program = command[at + 1].replace("sys.exit(main(sys.argv[3:]))", "print(*sys.modules)")
    assert program != command[at + 1]
    assert loaded(*command[:at], "-c", program, *command[at + 2 :]) - bare == set(READER.split())


def test_what_systemd_python_adds_to_the_reader_child() -> None:
    pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
    command = reader_command([])
    at = command.index("-c")
    program = command[at + 1].replace(
        "sys.exit(main(sys.argv[3:]))", "import systemd._reader; print(*sys.modules)"
    )
    found = loaded(*command[:at], "-c", program, *command[at + 2 :])
    assert not found & {"re", "enum", "typing", "collections", "dataclasses", "functools"}
    assert found & set(WITH_SYSTEMD.split()) >= {"systemd._reader"}


def test_the_agent_leaves_out_what_it_does_not_need() -> None:
    found = loaded(sys.executable, "-c", "import sys, agent.daemon.__main__; print(*sys.modules)")
    assert "agent.daemon.loop" in found
    assert found & set(NOT_IN_THE_AGENT.split()) == set()
