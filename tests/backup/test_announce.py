"""The announcement: whole or not there, gone at the end, and not believed after a death."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.recorder.host import Host
from backup.announce import (
    FORGOTTEN_S,
    Announcement,
    announced,
    announcement,
    folder,
    renew,
    running,
    sweep,
)


@pytest.fixture
def node(tmp_path: Path) -> Host:
    """A node with a /run of its own and this machine's /proc."""
    (tmp_path / "proc").symlink_to("/proc")
    return Host(tmp_path)


def said(node: Host) -> Announcement:
    return announcement("8:0", "/var/lib/postgresql", "knockon backup run", node)


def test_it_is_there_while_the_backup_runs_and_not_after(node: Host) -> None:
    with announced(said(node), node) as path:
        assert path is not None
        found = running(node, time.time())
        assert [(one.pid, one.device) for one in found] == [(os.getpid(), "8:0")]
        keys = {"pid", "started_at", "device", "data_directory", "host", "tool"}
        assert keys <= json.loads(path.read_text()).keys()
    assert list(folder(node).iterdir()) == []


def test_it_is_removed_when_the_backup_fails(node: Host) -> None:
    with pytest.raises(ValueError, match="broken"), announced(said(node), node):
        raise ValueError("broken")
    assert running(node, time.time()) == []


def test_a_pid_used_again_is_not_the_backup(node: Host) -> None:
    old = replace(said(node), start_ticks=1)
    with announced(old, node):
        assert running(node, time.time()) == []
        assert sweep(node, time.time()) == 1


def test_a_pid_of_another_namespace_counts_while_it_is_renewed(node: Host) -> None:
    with announced(replace(said(node), pid_namespace="pid:[1]"), node) as path:
        assert path is not None
        now_s = time.time()
        assert len(running(node, now_s)) == 1
        os.utime(path, (now_s - FORGOTTEN_S - 1,) * 2)
        assert running(node, now_s) == []
        renew(path)
        assert len(running(node, now_s)) == 1


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"pid": "x"}', '{"pid": 1e999}', "[" * 50_000, '"' * 70_000]
)
def test_a_torn_or_hostile_file_is_passed_over_and_swept(node: Host, text: str) -> None:
    folder(node).mkdir(parents=True)
    (folder(node) / "backup-1-1.json").write_text(text)
    assert running(node, time.time()) == []
    assert sweep(node, time.time()) == 1


def test_a_backup_that_cannot_announce_itself_still_runs(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("not a folder")
    with announced(said(Host(tmp_path)), Host(tmp_path)) as path:
        assert path is None
