"""The duty cycle: as arithmetic, and on real processes by their own counters."""

from __future__ import annotations

import math
import mmap
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.foreign.freeze import Duty, SignalFreezer, Slices, safe_longest_s
from backup.foreign.keeper import Start
from backup.foreign.tree import Tree
from tests.backup.cluster import Cluster
from tests.backup.governed import PATIENCE_S, alive, at_rate, keeper_of, run, started, until

COUNTING = (
    "import mmap,sys\n"
    "file = open(sys.argv[1], 'r+b')\npage = mmap.mmap(file.fileno(), 4096)\n"
    "n = 0\n"
    "while True:\n n += 1\n page[0:8] = n.to_bytes(8, 'little')"
)


@given(
    rate=st.floats(1e5, 2e8),
    disk=st.floats(1e6, 2e9),
    longest_s=st.floats(0.05, 15.0),
)
def test_it_keeps_to_the_rate_and_never_stops_for_too_long(
    rate: float, disk: float, longest_s: float
) -> None:
    slices = Slices(longest_s=longest_s)
    duty = Duty(rate, 0.0, slices)
    now_s, moved, ran_s = 0.0, 0, 0.0
    while now_s < 60.0:
        due_s = duty.due_s(now_s)
        assert due_s <= longest_s
        if due_s:
            assert ran_s >= slices.run_s or moved == int(disk * ran_s) >= 0
            now_s, ran_s = now_s + due_s, 0.0
            continue
        now_s, ran_s = now_s + 0.05, ran_s + 0.05
        duty.moved(int(disk * 0.05), now_s)
        moved += int(disk * 0.05)
    # The moments in between are a floor that no rate can go below.
    floor = disk * slices.run_s / (slices.run_s + longest_s)
    assert moved <= 1.1 * max(min(rate, disk), floor) * now_s + disk * 0.15


def test_at_rate_zero_it_only_runs_in_between() -> None:
    duty = Duty(0.0, 0.0, Slices(longest_s=1.0, run_s=0.05))
    duty.moved(1, 0.0)
    assert duty.due_s(0.0) == 1.0
    assert duty.due_s(1.02) == 0.0
    assert duty.due_s(1.06) == 1.0


def test_without_a_limit_it_never_stops() -> None:
    duty = Duty(math.inf, 0.0)
    duty.moved(10**12, 0.0)
    assert duty.due_s(0.1) == 0.0


def test_slices_stay_far_below_the_servers_timeouts() -> None:
    assert safe_longest_s(60.0, 0.0) == 1.0
    assert safe_longest_s(0.0, 0.0) == 1.0
    assert safe_longest_s(1.0, 0.5) == 0.125


@pytest.fixture
def page(tmp_path: Path) -> Iterator[mmap.mmap]:
    """A page that a process counts in, seen from here."""
    file = tmp_path / "page"
    file.write_bytes(bytes(4096))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 4096) as mapped:
        yield mapped


def count(page: mmap.mmap) -> int:
    return int.from_bytes(page[0:8], "little")


def stands_still(page: mmap.mmap) -> bool:
    before = count(page)
    until(lambda: False, 0.1)
    return count(page) == before


def moves(page: mmap.mmap) -> bool:
    before = count(page)
    return until(lambda: count(page) > before)


def test_stopped_processes_count_no_further_and_go_on(page: mmap.mmap, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path / "page")]) as process:
        try:
            freezer = SignalFreezer(lambda: [process.pid])
            assert moves(page)
            freezer.freeze()
            assert stands_still(page)
            freezer.thaw()
            assert moves(page)
        finally:
            process.kill()


def test_who_was_stopped_by_somebody_else_stays_stopped(page: mmap.mmap, tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", COUNTING, str(tmp_path / "page")]) as process:
        try:
            assert moves(page)
            process.send_signal(signal.SIGSTOP)
            assert until(lambda: stands_still(page))
            freezer = SignalFreezer(lambda: [process.pid])
            freezer.freeze()
            freezer.thaw()
            assert stands_still(page)
        finally:
            process.kill()


def test_the_keeper_ends_a_freeze_by_itself_although_nobody_tells_it(tmp_path: Path) -> None:
    """The governing process stands still meanwhile: its clock must not matter."""
    file = tmp_path / "page"
    file.write_bytes(bytes(4096))
    script = (
        "import os,signal,sys,time\n"
        "from backup.foreign.keeper import Start\nfrom backup.foreign.tree import Tree\n"
        "tree = Tree(Start((sys.executable, '-c', sys.argv[1], sys.argv[2])))\n"
        "tree.ready(); tree.go(); time.sleep(0.3); tree.freeze(0.5); print('up', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGSTOP)"
    )
    with (
        file.open("r+b") as opened,
        mmap.mmap(opened.fileno(), 4096) as page,
        subprocess.Popen(
            [sys.executable, "-c", script, COUNTING, str(file)], stdout=subprocess.PIPE
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            assert until(lambda: stands_still(page))
            assert moves(page)
        finally:
            process.kill()
        assert until(lambda: stands_still(page))


def test_a_signal_thaws_at_once(tmp_path: Path) -> None:
    """SIGTERM must not wait behind a slice."""
    file = tmp_path / "page"
    file.write_bytes(bytes(4096))
    line = at_rate(0, sys.executable, "-c", COUNTING, str(file), slice_s=900.0)
    with started(line) as process:
        until(lambda: keeper_of(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM


def test_a_governed_writer_is_stopped_in_slices_and_still_ends_well(tmp_path: Path) -> None:
    out = tmp_path / "out"
    dd = f"dd if=/dev/zero of={out} bs=256k count=64 oflag=direct 2>/dev/null"
    done = run(at_rate(16e6, "sh", "-c", dd))
    if out.stat().st_size != 16 << 20:
        pytest.skip("no direct I/O here")
    assert done.returncode == 0, done.stderr
    said = done.stderr.decode().splitlines()[-1]
    assert "moved 17 MB" in said


def test_freezing_needs_no_control_group(page: mmap.mmap, tmp_path: Path) -> None:
    tree = Tree(Start((sys.executable, "-c", COUNTING, str(tmp_path / "page"))))
    try:
        assert tree.ready() is not None
        assert tree.go() is not None
        assert moves(page)
        tree.freeze(1.0)
        assert until(lambda: stands_still(page))
        assert moves(page)
    finally:
        tree.signal(signal.SIGTERM)
        while (message := tree.next()) is not None and message.word != "exited":
            continue
        tree.close()
    assert not alive(tree.pid)


def test_a_streaming_client_is_braked_and_lives(small: Cluster, tmp_path: Path) -> None:
    """All of it is stopped, the WAL receiver too, in slices far below wal_sender_timeout = 5 s."""
    target = tmp_path / "copy"
    client = [str(small.programs / "pg_basebackup"), "-d", small.tcp_dsn, "-D", str(target)]
    line = at_rate(25e6, *client, "-X", "stream", "-c", "fast", slice_s=1.0)
    done = run(line)
    assert done.returncode == 0, done.stderr
    assert (target / "backup_manifest").exists()
    said = done.stderr.decode().splitlines()[-1]
    stopped_s = float(said.partition("stopped for ")[2].split()[0])
    assert stopped_s > 0.5, said
    assert small.quiet()
