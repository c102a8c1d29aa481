"""`knockon drill` says in one line what it lacks, before anything is started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.commands import drill
from agent.errors import UserError
from tests.command import is_one_line, knockon


def test_an_installed_package_has_no_stage(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs the source checkout"):
        drill.run([], checkout=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_nobody_but_root_boots_a_node() -> None:
    done = knockon("drill")
    assert done.returncode == 2
    assert is_one_line(done.stderr)


def test_help_needs_neither_root_nor_a_node() -> None:
    done = knockon("drill", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "--endings A,B" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gets so far")
@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("cores=2", "cores: none of room_mb"),
        ("--endings=none,both", "no such ending: both"),
        ("room_mb=much", "room_mb=much: much is no number"),
    ],
)
def test_a_mistake_is_one_line(word: str, said: str) -> None:
    done = knockon("drill", word)
    assert done.returncode == 2
    assert said in done.stderr
    assert is_one_line(done.stderr)
