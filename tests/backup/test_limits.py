"""Limits: on fake trees of every kind, and a real writer throttled in a group of its own."""

from __future__ import annotations

import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.recorder.host import Host
from backup.foreign.steer import Actuators, Meter, Steering
from backup.levers import cgroup_group, cgroup_v1, cgroup_v2, limits
from backup.levers.lever import Bites, Lever
from backup.levers.own_groups import own_places
from backup.sensors.devices import all_disks, disks_under, number_of
from tests.backup.governed import at_rate, groups_of, started, until
from tests.backup.nodes import FakeNode

MIB = 1 << 20


def bites(levers: tuple[Lever, ...]) -> dict[str, Bites]:
    return {lever.name: lever.bites for lever in levers}


def test_a_containers_own_group_is_found_where_its_mount_shows_it(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1(own="/kubepods/pod1/c1", root="/kubepods/pod1/c1")
    places = own_places(node.host)
    assert places["blkio"].folder == node.host.cgroup / "blkio"
    assert places["blkio"].writable


def test_on_the_host_it_is_found_below_the_root(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1(own="/user.slice", root="/")
    assert own_places(node.host)["cpu"].folder == node.host.cgroup / "cpu" / "user.slice"


def test_a_group_outside_of_the_mount_is_no_place(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1(own="/elsewhere", root="/kubepods/pod1")
    assert "blkio" not in own_places(node.host)


@pytest.mark.parametrize("text", ["", "x", "0", "::", "0::", ":\n\0\n9:blkio", "1:cpu:/../a"])
def test_torn_files_give_no_place(text: str, tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1()
    (node.host.proc / "self" / "cgroup").write_text(text)
    (node.host.proc / "self" / "mountinfo").write_text(text * 3)
    assert own_places(node.host) == {}
    assert limits.build(node.host, ()).folders == ()


def test_read_only_groups_are_said_to_be_read_only(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v2(read_only=True).disk("sda", "mq-deadline")
    cage = limits.build(node.host, all_disks(node.host))
    assert cage.folders == ()
    assert cage.throttle is None
    assert "read-only" in cage.levers[0].why
    assert set(bites(cage.levers).values()) == {Bites.NO}


def test_v1_on_a_fake_tree_has_limits_but_no_memory_high(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v1().disk("sda", "mq-deadline")
    found = bites(limits.expected(node.host, all_disks(node.host)))
    assert found["cgroup I/O limit"] is Bites.YES
    assert found["cgroup I/O weight"] is Bites.NO
    assert found["memory.high"] is Bites.NO


def test_v2_weights_need_bfq_or_iocost(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v2(controllers="io cpu memory").disk("sda", "mq-deadline")
    assert bites(limits.expected(node.host, all_disks(node.host)))["cgroup I/O weight"] is Bites.NO
    (node.host.cgroup / "io.cost.qos").write_text("8:0 enable=1 ctrl=auto\n")
    assert bites(limits.expected(node.host, all_disks(node.host)))["cgroup I/O weight"] is Bites.YES
    bfq = FakeNode(tmp_path / "other").v2(controllers="io").disk("sda", "bfq")
    assert bites(limits.expected(bfq.host, all_disks(bfq.host)))["cgroup I/O weight"] is Bites.YES


def test_v2_without_the_io_controller_says_so(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v2(controllers="cpu memory pids").disk("sda", "none")
    levers = limits.expected(node.host, all_disks(node.host))
    assert bites(levers)["cgroup I/O limit"] is Bites.NO
    assert "not handed down" in levers[0].why
    assert bites(levers)["cgroup CPU weight"] is Bites.YES


def test_io_max_is_written_for_each_disk_and_lifted(tmp_path: Path) -> None:
    (tmp_path / "io.max").write_text("")
    throttle = cgroup_v2.IoMax(tmp_path, ["8:0", "259:1"])
    assert throttle.set_rate(20e6) == ""
    assert (tmp_path / "io.max").read_text() == "259:1 rbps=20000000 wbps=20000000"
    assert throttle.set_rate(math.inf) == ""
    assert (tmp_path / "io.max").read_text().startswith("259:1 rbps=max wbps=max")


def test_a_limit_that_cannot_be_written_says_which(tmp_path: Path) -> None:
    assert "io.max" in cgroup_v2.IoMax(tmp_path, ["8:0"]).set_rate(1e6)
    assert "read_bps" in cgroup_v1.BlkioThrottle(tmp_path, ["8:0"]).set_rate(1e6)


def test_v2_hands_down_what_is_offered(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu io memory pids")
    (tmp_path / "cgroup.subtree_control").write_text("cpu")
    handed = cgroup_v2.hand_down(tmp_path, tmp_path / "aside", os.getpid())
    assert handed.why_not == ""
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"  # a file keeps the last


def test_v2_weights_and_memory_are_written(tmp_path: Path) -> None:
    for name in ("io.weight", "cpu.weight", "memory.high"):
        (tmp_path / name).write_text("")
    assert cgroup_v2.set_weights(tmp_path, ("io", "cpu", "memory"), 64 * MIB) == {}
    assert (tmp_path / "memory.high").read_text() == str(64 * MIB)
    assert (tmp_path / "cpu.weight").read_text() == "10"


@pytest.mark.parametrize(
    "text", ["", "254:0", "254:0 Read", "254:0 Read x", "Total 5", "\0\0", "254:0 Read -1"]
)
def test_odd_counters_are_passed_over(text: str) -> None:
    assert cgroup_v1.parse_service_bytes(text) == {}
    assert cgroup_v2.parse_io_stat(text) == {}


def test_stale_groups_are_swept_and_living_ones_are_not(tmp_path: Path) -> None:
    proc = Path("/proc")
    mine = tmp_path / cgroup_group.name_for(proc, os.getpid())
    space = cgroup_group.pid_space(proc)
    dead = tmp_path / f"knockon-exec-{space}-999999999-1"
    reused = tmp_path / f"knockon-exec-{space}-{os.getpid()}-1"
    other = tmp_path / "kubepods"
    for folder in (mine, dead, reused, other):
        folder.mkdir()
    assert cgroup_group.sweep([tmp_path, tmp_path / "none"], proc) == 2
    assert mine.exists()
    assert other.exists()
    assert not dead.exists()
    assert not reused.exists()


def test_groups_of_another_pid_namespace_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "knockon-exec-1-1-1"
    other.mkdir()
    assert cgroup_group.sweep([tmp_path], Path("/proc")) == 0
    assert other.exists()


def test_a_process_that_cannot_be_seen_from_here_is_never_killed(tmp_path: Path) -> None:
    """The kernel shows it as 0, and kill(0) would end our own process group."""
    (tmp_path / "cgroup.procs").write_text("0\n0\n")
    assert cgroup_group.pids_in(tmp_path) == []
    cgroup_group.kill_all(tmp_path)


class Pilot:
    """A governor whose rate the test sets."""

    def __init__(self) -> None:
        self.rate = math.inf

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def allowed_bytes_per_s(self) -> float:
        return self.rate

    def take_notices(self) -> list[str]:
        return []

    def summary(self) -> str:
        return ""


class Writes:
    """A throttle that keeps what it was told."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def set_rate(self, bytes_per_s: float) -> str:
        self.rates.append(bytes_per_s)
        return ""

    def moved(self) -> dict[str, int]:
        return {}


def test_the_cap_follows_the_rate_but_not_its_noise() -> None:
    pilot, writes = Pilot(), Writes()
    steering = Steering(pilot, Actuators(writes), Meter(dict))
    for rate in (math.inf, 50e6, 51e6, 49e6, 40e6, 0.0, 0.0, math.inf):
        pilot.rate = rate
        assert steering.tick(0.0) == 0.0
    assert writes.rates == [50e6, 40e6, limits.LEAST_BYTES_PER_S, math.inf]


def test_the_meter_counts_the_busiest_way_and_never_backwards() -> None:
    counters = iter([{"a": 10}, {"a": 15, "b": 3}, {"a": 2, "b": 3}, {"a": 16, "b": 9}, {}])
    meter = Meter(lambda: next(counters))
    assert [meter.delta() for _ in range(4)] == [5, 0, 6, 0]
    assert meter.total_bytes == 11


@pytest.fixture
def throttled(tmp_path: Path) -> Iterator[limits.Cage]:
    """A real cage around nothing yet, on the disk of the temporary folder."""
    host = Host()
    if not disks_under(host, number_of(tmp_path)):
        pytest.skip("the temporary folder lies on no disk")
    cage = limits.build(host, all_disks(host))
    if cage.throttle is None:
        cage.remove()
        pytest.skip(f"no I/O limit can be set here: {cage.levers[0].why}")
    try:
        yield cage
    finally:
        cage.remove()
        assert not any(folder.exists() for folder in cage.folders)


def test_a_real_writer_is_counted_and_throttled(throttled: limits.Cage, tmp_path: Path) -> None:
    assert throttled.throttle is not None
    assert throttled.throttle.set_rate(8 * MIB) == ""
    entering = "".join(f"echo $$ > {folder}/cgroup.procs; " for folder in throttled.folders)
    out = tmp_path / "out"
    dd = f"dd if=/dev/zero of={out} bs=256k count=48 oflag=direct 2>&1 | tail -n 1"
    said = subprocess.run(
        ["sh", "-c", f"{entering} {dd}"], capture_output=True, text=True, check=True
    ).stdout
    if out.stat().st_size != 12 * MIB:
        pytest.skip(f"no direct I/O here: {said}")
    moved = throttled.throttle.moved()
    assert 12 * MIB <= max(moved.values()) <= 13 * MIB
    took_s = float(said.split(", ")[-2].split()[0])
    assert took_s > 1.0  # the kernel's own clock of 12 MiB at 8 MiB/s; unthrottled it is 0.1 s


def test_a_governed_program_is_in_the_limited_group_and_the_group_goes() -> None:
    line = at_rate(4 * MIB, "sh", "-c", "cat /proc/self/cgroup; echo; sleep 2", freeze=False)
    with started(line) as process:
        assert process.stdout is not None
        inside = b"".join(iter(process.stdout.readline, b"\n")).decode()  # it runs on
        groups = groups_of(process.pid)
        if not groups:
            pytest.skip("no control group can be made here")
        blkio = [group for group in groups if "blkio" in group.parts]
        for group in blkio:
            limit = (group / "blkio.throttle.read_bps_device").read_text()
            assert str(4 * MIB) in limit
        assert all(group.name in inside for group in groups)
        assert process.wait(20) == 0
        assert until(lambda: not any(group.exists() for group in groups))
