"""The reader child's life: killed, stuck, stopped, without its library, left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import UserError
from agent.journal.live import Begin, reader_command
from agent.journal.matches import matches_for
from agent.model import BlindSpot
from agent.rules.catalogue import Catalogue
from agent.rules.rulefile import Values
from tests.conftest import ROOT
from tests.journals import (
    PATIENCE_S,
    TOOL,
    Start,
    blind,
    has,
    lines,
    read_until,
    said,
    starting,
)
from tests.replay import journal_writer, write_journal

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed")


@pytest.fixture
def start() -> Iterator[Start]:
    yield from starting()


def test_after_a_kill_the_child_goes_on_behind_the_last_record(
    tmp_path: Path, start: Start
) -> None:
    with journal_writer(TOOL, tmp_path / "a.journal") as writer:
        writer.write(lines(0, 700))
        journal = start(tmp_path)
        items = read_until(journal, has(700))
        for turn in range(1, 4):
            assert journal.pid
            os.kill(journal.pid, signal.SIGKILL)
            writer.write(lines(700 * turn, 700 * (turn + 1)))
            items += read_until(journal, has(700))
    assert said(items) == [f"line {n}" for n in range(2800)]
    assert blind(items) == []
    assert journal.restarts == 3


def test_a_cursor_of_an_earlier_life_is_enough(tmp_path: Path, start: Start) -> None:
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 10))
    journal = start(tmp_path)
    read_until(journal)
    journal.close()
    write_journal(TOOL, tmp_path / "a.journal", lines(10, 12))
    assert said(read_until(start(tmp_path, Begin(journal.cursor)))) == ["line 10", "line 11"]


def test_a_file_cut_under_the_reader_kills_the_child_and_not_us(
    tmp_path: Path, start: Start
) -> None:
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 3000))
    journal = start(tmp_path)
    read_until(journal)
    os.truncate(tmp_path / "a.journal", 4096)
    write_journal(TOOL, tmp_path / "b.journal", lines(9000, 9003))
    items = read_until(journal, has(3))
    assert said(items)[-3:] == ["line 9000", "line 9001", "line 9002"]


def test_a_folder_that_is_not_there_is_the_users_mistake(tmp_path: Path, start: Start) -> None:
    with pytest.raises(UserError, match="No such file"):
        read_until(start(tmp_path / "nowhere"))


def test_without_systemd_python_one_is_told_what_to_install(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="systemd-python") as caught:
        read_until(start(tmp_path))
    assert "knockon[agent]" in caught.value.hint


def test_a_place_that_kills_every_reader_is_left_behind(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "__init__.py").touch()
    (tmp_path / "systemd" / "_reader.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(tmp_path)
    journal = start(tmp_path, Begin("s=0;i=1;b=0;m=1;t=5f5e100;x=0"))
    (spot,) = read_until(journal, bool)
    assert isinstance(spot, BlindSpot)
    assert spot.from_s == 100.0
    assert journal.restarts == 3
    assert journal.cursor == ""


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    write_journal(TOOL, tmp_path / "a.journal", lines(0, 3))
    command = reader_command(["--directory", str(tmp_path)])
    child = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.read(1)
    _, complaints = child.communicate(timeout=PATIENCE_S)
    assert (child.returncode, complaints) == (0, b"")


def test_read_never_takes_longer_than_asked(tmp_path: Path, start: Start) -> None:
    journal = start(tmp_path)
    read_until(journal)
    assert journal.pid
    os.kill(journal.pid, signal.SIGSTOP)
    begun_s = time.monotonic()
    journal.read(0.05)
    journal.read(0.0)
    took_s = time.monotonic() - begun_s
    os.kill(journal.pid, signal.SIGKILL)
    assert took_s < 5.0  # seconds of leeway on a busy machine; a stalled child would take forever


def test_every_rule_that_may_hear_the_journal_is_among_the_matches() -> None:
    catalogue = Catalogue.load()
    fields: dict[str, list[str]] = {}
    for match in matches_for(catalogue.rules):
        name, _, value = match.partition("=")
        fields.setdefault(name, []).append(value)
    wanted = {name: Values.of(values) for name, values in fields.items()}
    for rule in catalogue.rules:
        if rule.quoted == "only" or "EVENT_REASON" in rule.match:
            continue
        speaker = {name: values.example() for name, values in rule.match.items()}
        assert any(name in wanted and wanted[name].fit(v) for name, v in speaker.items()), rule.id
