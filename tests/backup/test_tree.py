"""No orphan, ever: grandchildren, double forks, and every process of ours killed in every order."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.recorder.host import Host
from backup import announce
from backup.foreign import kin
from backup.foreign.supervise import LOST, exit_status
from backup.levers.cgroup_group import start_ticks
from tests.backup.governed import (
    PATIENCE_S,
    alive,
    at_rate,
    command,
    gone,
    groups_of,
    keeper_of,
    kill,
    pids_in,
    run,
    started,
    until,
)


@pytest.fixture(autouse=True)
def _no_stale_announcements() -> Iterator[None]:
    """What a killed run has announced stays until somebody sweeps."""
    yield
    announce.sweep(Host(), time.time())


def family(file: Path, count: int = 4) -> str:
    """A program with a child, a grandchild, and one that has forked twice into its own session."""
    note = f"echo $$ >> {file}"
    return (
        f"{note}; sh -c '{note}; sleep 61' &"
        f" sh -c '{note}; sh -c \"echo \\$\\$ >> {file}; sleep 61\"; :' &"
        f" (setsid sh -c '{note}; exec sleep 61' &);"
        f" while test $(wc -l < {file}) -lt {count + 1}; do sleep 0.02; done; sleep 61"
    )


def test_killing_the_governing_process_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with started(command("sh", "-c", family(file))) as process:
        pids = pids_in(file, 5)
        keeper = keeper_of(process.pid)
        groups = groups_of(process.pid)
        kill(process.pid)
        assert gone([*pids, keeper])
        assert until(lambda: not any(group.exists() for group in groups))


def groups_gone(pid: int) -> bool:
    return until(lambda: not groups_of(pid))


def test_killing_it_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    rng = random.Random(5)
    for number in range(15):
        file = tmp_path / f"pids{number}"
        with started(command("sh", "-c", family(file))) as process:
            time.sleep(rng.uniform(0.05, 0.5))
            started_pids = kin.descendants(process.pid)
            kill(process.pid)
            assert gone(started_pids)
            assert gone([int(word) for word in file.read_text().split()] if file.exists() else [])
            assert groups_gone(process.pid)


def test_killing_the_keeper_ends_the_program_and_all_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with started(command("sh", "-c", family(file), options=())) as process:
        pids = pids_in(file, 5)
        kill(keeper_of(process.pid))
        assert process.wait(PATIENCE_S) == LOST
        assert gone(pids)
        assert not groups_of(process.pid)
        assert process.stderr is not None
        assert b"the keeper was killed" in process.stderr.read()


def test_killing_both_ends_the_program_and_the_next_run_sweeps_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with started(command("sh", "-c", family(file))) as process:
        pids = pids_in(file, 5)
        keeper = keeper_of(process.pid)
        groups = groups_of(process.pid)
        os.kill(process.pid, signal.SIGSTOP)  # so that neither sees the other die
        kill(keeper)
        kill(process.pid)
        assert gone([keeper, pids[0]])
        if groups:
            assert run(command("true")).returncode == 0
            assert gone(pids)
            assert not any(group.exists() for group in groups)
        for pid in filter(alive, pids):
            kill(pid)
    if not groups:
        pytest.skip("no control group can be made here, so nothing names what was left")


def test_a_frozen_family_dies_with_us_as_well(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    reader = f"dd if=/dev/zero of={tmp_path}/out bs=1M count=4000 oflag=direct 2>/dev/null"
    line = at_rate(0, "sh", "-c", f"echo $$ > {file}; {reader}", slice_s=2.0)
    with started(line) as process:
        pids = pids_in(file, 1)
        assert until(lambda: _frozen(process.pid))
        kill(process.pid)
        assert gone(pids)
        assert groups_gone(process.pid)


def _frozen(pid: int) -> bool:
    events = [group / "cgroup.events" for group in groups_of(pid)]
    states = [group / "freezer.state" for group in groups_of(pid)]
    return any("frozen 1" in one.read_text() for one in events if one.exists()) or any(
        one.read_text().strip() in ("FROZEN", "FREEZING") for one in states if one.exists()
    )


def test_descendants_are_found_with_and_without_the_kernels_list(tmp_path: Path) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 61 & sleep 61 & wait"]) as shell:
        try:
            assert until(lambda: len(kin.descendants(shell.pid)) == 2)
            slow = kin._families(Path("/proc"))
            assert sorted(slow[shell.pid]) == sorted(kin.descendants(shell.pid))
            assert shell.pid in kin.descendants(os.getpid())
        finally:
            for pid in kin.descendants(shell.pid):
                kill(pid)
    assert kin.descendants(shell.pid, tmp_path) == []


def test_what_a_family_moved_is_added_up(tmp_path: Path) -> None:
    for pid, amount in ((10, 4096), (11, 100)):
        (tmp_path / str(pid)).mkdir()
        text = f"rchar: 1\nwchar: 2\nsyscr: 9\nread_bytes: {amount}\nwrite_bytes: x\n"
        (tmp_path / str(pid) / "io").write_text(text)
    found = kin.moved([10, 11, 12], tmp_path)
    assert found == {"rchar": 2, "wchar": 4, "read_bytes": 4196}


def test_a_process_name_with_brackets_does_not_mislead(tmp_path: Path) -> None:
    (tmp_path / "7").mkdir()
    rest = " ".join(["S", "1", *["0"] * 17, "4711", "0"])
    (tmp_path / "7" / "stat").write_text(f"7 (a) Z (b)) {rest}")
    assert start_ticks(tmp_path, 7) == 4711
    assert kin.state(7, tmp_path) == "S"
    assert start_ticks(tmp_path, 8) is None


def test_the_statuses_are_those_of_a_shell() -> None:
    assert [exit_status(raw) for raw in (0, 3 << 8, 9, 15 | 0x80)] == [0, 3, 137, 143]


def test_a_run_does_not_sweep_another_that_lives(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    with started(command("sh", "-c", f"echo $$ > {file}; sleep 61")) as process:
        (pid,) = pids_in(file, 1)
        assert run(command("true")).returncode == 0
        assert alive(pid)
        assert process.poll() is None
