"""cgroup v2 for real: a virtual machine with Debian's kernel, systemd, docker and Postgres."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.drill.node import PODS, Scene, until
from tests.lab.image import LabUnavailable
from tests.lab.vm.machine import Machine
from tests.lab.vm.units import latest, of_unit, recording
from tests.lab.vm.witness import inhabited, watching

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))
MIB = 1 << 20
CHECK_S = 10.0
SLICE = "/sys/fs/cgroup/system.slice"
_PID = "systemctl show -p MainPID --value docker.service"

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.vm]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    try:
        made = Machine(CACHE)
    except LabUnavailable as missing:
        pytest.skip(str(missing))
    with made:
        made.check("mount | grep -q 'cgroup2 on /sys/fs/cgroup '")
        made.check("dd if=/dev/zero of=/var/tmp/big bs=1M count=64 oflag=direct conv=fsync")
        yield made


@pytest.fixture(scope="module")
def scene(machine: Machine) -> Scene:
    return inhabited(machine)


def start(machine: Machine, unit: str, script: str, *properties: str) -> None:
    """Start a shell script as a unit."""
    given = " ".join(f"-p {one}" for one in properties)
    machine.check(f"systemd-run -q --collect --unit={unit} {given} /bin/sh -c '{script}'")


def done(machine: Machine, unit: str, patience_s: float = 120.0) -> None:
    """Wait until a script has said that it is through and only sleeps on."""
    said = f"journalctl -u {unit} -o cat | grep -qx through"
    until(lambda: machine.sh(said).returncode == 0, f"{unit} is through", patience_s)


def used(machine: Machine, group: str, key: str = "usage_usec") -> int:
    return int(machine.check(f"grep '^{key} ' {group}/cpu.stat").split()[1])


# ------------------------------------------------------------------------------------ the recorder


def test_a_units_bytes_are_those_that_it_wrote_and_read(machine: Machine) -> None:
    write = "dd if=/dev/zero of=/var/tmp/written bs=1M count=32 oflag=direct"
    lazily = "dd if=/dev/zero of=/var/tmp/lazily bs=1M count=16; sync /var/tmp/lazily"
    read = "dd if=/var/tmp/big of=/dev/null bs=1M count=24 iflag=direct"
    with recording(machine):
        start(machine, "lab-dd", f"{write}; {lazily}; {read}; echo through; sleep 600")
        start(machine, "lab-idle", "echo through; sleep 600")
        done(machine, "lab-dd")
        sample = latest(machine)
    machine.check("systemctl stop lab-dd lab-idle")
    moved = of_unit(sample, "lab-dd.service")
    assert moved.write_bytes == 48 * MIB  # the buffered part too: v2 charges it to its writer
    assert 24 * MIB <= moved.read_bytes < 26 * MIB  # and the programs themselves
    idle = of_unit(sample, "lab-idle.service")
    assert idle.write_bytes == 0
    assert idle.io_stalled_s < 0.5


def test_each_group_has_its_own_pressure(machine: Machine) -> None:
    read = "dd if=/var/tmp/big of=/dev/null bs=1M count=20 iflag=direct; echo through; sleep 600"
    spin = "for i in 1 2 3 4; do (while :; do :; done) & done; sleep 8; echo through; wait"
    squeeze = "head -c 60000000 /dev/zero | tail -c 50000000 | wc -c; sleep 600"
    with recording(machine):
        start(machine, "lab-spin", spin, "AllowedCPUs=0", "CPUWeight=20")
        done(machine, "lab-spin")
        spinning = of_unit(latest(machine), "lab-spin.service")
        machine.check("systemctl stop lab-spin")
        start(machine, "lab-squeeze", squeeze, "MemoryHigh=16M", "MemoryMax=400M")
        machine.disk.cap(2 * MIB, 0)
        start(machine, "lab-wait", read)
        done(machine, "lab-wait")
        machine.disk.cap(0, 0)
        sample = latest(machine)
    machine.check("systemctl stop lab-wait lab-squeeze")
    waited = of_unit(sample, "lab-wait.service")
    assert 5.0 < waited.io_stalled_s < 30.0  # 20 MiB at 2 MiB/s, less what the disk lets burst
    assert spinning.cpu_stalled_s > 5.0
    assert spinning.io_stalled_s < 1.0
    assert of_unit(sample, "lab-squeeze.service").memory_stalled_s > 1.0
    assert waited.memory_stalled_s < 1.0


def test_pods_of_the_systemd_driver_are_seen_with_their_containers(
    machine: Machine, scene: Scene
) -> None:
    scan = 'psql -XAtq -h /srv/pg -U postgres -c "select count(filler) from pgbench_accounts"'
    with recording(machine):
        before = of_pod(machine, scene, "pg-0")
        machine.disk.cap(40e6, 0)
        machine.sh(f"timeout 15 {scan}", 60)
        machine.disk.cap(0, 0)
        sample = latest(machine)
    uids = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in scene.pods()}
    seen = {one.owner.uid for one in sample.cgroups if one.owner.uid}
    assert seen == set(uids)
    assert all(sum(part.owner.uid == uid for part in sample.containers) == 2 for uid in uids)
    read = {uids[one.owner.uid]: one.read_bytes for one in sample.cgroups if one.owner.uid}
    assert read["pg-0"] - before > 20 * MIB
    assert max(read, key=lambda name: read[name]) == "pg-0"


def of_pod(machine: Machine, scene: Scene, name: str) -> int:
    uid = next(one["metadata"]["uid"] for one in scene.pods() if one["metadata"]["name"] == name)
    (found,) = [one for one in latest(machine).cgroups if one.owner.uid == uid]
    return found.read_bytes


# ---------------------------------------------------------------------------------------- the cage


def test_a_governed_tool_is_caged_and_the_cap_bites(machine: Machine) -> None:
    tool = "dd if=/var/tmp/big of=/dev/null bs=256k iflag=direct"
    machine.check(
        "systemd-run -q --unit=lab-exec -p Delegate=yes"
        f" knockon backup exec --ceiling 4MB/s --data /var/tmp -- {tool}"
    )
    group = f"{SLICE}/lab-exec.service/knockon-exec-*[0-9]"
    reading = f"grep -q ' rbytes=[1-9]' {group}/io.stat"
    until(lambda: machine.sh(reading).returncode == 0, "the tool reads", 120)
    files = ("io.max", "io.weight", "cpu.weight", "memory.high")
    found = {name: machine.check(f"cat {group}/{name}") for name in files}
    rate = re.search(r"^254:0 rbps=(\d+) wbps=(\d+) ", found["io.max"], re.MULTILINE)
    assert rate is not None, found
    assert max(int(one) for one in rate.groups()) <= 4_000_000
    assert found["io.weight"] == "default 10\n"
    assert found["cpu.weight"] == "10\n"
    memory = int(machine.check("grep MemTotal /proc/meminfo").split()[1]) * 1024
    assert int(found["memory.high"]) == pytest.approx(memory / 4, rel=0.01)
    first, began_s = moved(machine, group), time.monotonic()
    time.sleep(6.0)
    after, took_s = moved(machine, group), time.monotonic() - began_s
    assert 0 < after - first <= 4e6 * took_s * 1.1 + MIB
    machine.check("systemctl stop lab-exec", 60)
    assert machine.sh(f"ls -d {SLICE}/lab-exec.service").returncode != 0


def moved(machine: Machine, group: str) -> int:
    text = machine.check(f"cat {group}/io.stat")
    return sum(int(one) for one in re.findall(r"\brbytes=(\d+)", text))


def test_a_shared_group_is_left_as_it_is_and_the_way_out_is_named(machine: Machine) -> None:
    tool = "dd if=/var/tmp/big of=/dev/null bs=256k count=4 iflag=direct"
    alone = f"sleep 60 & knockon backup exec --data /var/tmp -- {tool}; cat $G/cgroup.type"
    doctor = "knockon backup doctor --data /var/tmp; cat $G/cgroup.subtree_control"
    named = "G=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)"
    said = machine.check(f"{named}; {{ {alone}; {doctor}; kill $!; }} 2>&1", 120)
    assert said.count("systemd-run --scope -p Delegate=yes") >= 1
    assert "does not bite: cgroup I/O limit: this group holds other processes" in said
    assert "Operation not supported" not in said
    assert "threaded" not in said
    assert re.search(r"^domain$", said, re.MULTILINE)


def test_the_doctor_says_v2_and_where_a_weight_counts(machine: Machine) -> None:
    doctor = "knockon backup doctor --data /var/tmp"
    said = machine.check(f"systemd-run -q --wait --pipe -p Delegate=yes {doctor}", 90)
    told = " ".join(said.split())
    assert "cgroup version yes v2" in told
    assert "cgroup I/O limit yes" in told
    assert "cgroup CPU weight partly" in told
    assert "writeback accounting yes ext4" in told
    weighed = f"systemd-run -q --wait --pipe -p Delegate=yes -p CPUWeight=10 {doctor}"
    assert "cgroup CPU weight yes" in " ".join(machine.check(weighed, 90).split())


def test_a_weight_counts_outside_only_where_its_group_has_it(machine: Machine) -> None:
    """On one processor beside another unit: the cage has weight 10 of 100 both times."""
    assert share(machine, "CPUWeight=100") > 0.25
    assert share(machine, "CPUWeight=10") < 0.15


def share(machine: Machine, weight: str) -> float:
    """What a governed loop gets of a processor that another unit wants as well."""
    spin = 'exec knockon backup exec --quiet --data /var/tmp -- sh -c "while :; do :; done"'
    start(machine, "lab-weighed", spin, "Delegate=yes", "AllowedCPUs=1", weight)
    cage, other = f"{SLICE}/lab-weighed.service/knockon-exec-*[0-9]", f"{SLICE}/lab-loop.service"
    spins = f"[ $(sed -n 's/^usage_usec //p' {cage}/cpu.stat) -gt 500000 ]"
    until(lambda: machine.sh(spins).returncode == 0, "it spins", 120)
    start(machine, "lab-loop", "while :; do :; done", "AllowedCPUs=1")
    time.sleep(2.0)
    before = used(machine, cage), used(machine, other)
    time.sleep(10.0)
    after = used(machine, cage), used(machine, other)
    machine.check("systemctl stop lab-loop lab-weighed", 60)
    mine, others = (one - was for one, was in zip(after, before, strict=True))
    print(f"{weight}: {mine / 1e6:.2f} s of the tool, {others / 1e6:.2f} s of the other unit")
    return mine / (mine + others)


# ------------------------------------------------------------------------------------ the incident


def test_the_founding_evening_is_told_with_the_offenders_bytes(
    machine: Machine, scene: Scene
) -> None:
    backup = "pg_basebackup -h /srv/pg -U postgres -D - -Ft -X none -c fast > /dev/null"
    backup = backup.replace("pg_basebackup", "$(echo /usr/lib/postgresql/*/bin/pg_basebackup)")
    with watching(scene, machine, CHECK_S) as agent:
        before = scene.sandboxes()
        scene.start_monitor(CHECK_S)
        until(lambda: len(scene.checks()) > 0, "the monitor asks", 60)
        machine.disk.cap(20e6, 300)
        start(machine, "lab-backup", backup)
        time.sleep(20.0)
        pid = machine.check(_PID).strip()
        machine.check(f"kill -STOP {pid}")  # injected: this is about what comes after
        until(lambda: any(one.status for one in scene.checks()), "the monitor gives up", 90)
        machine.check(f"kill -CONT {pid}")
        machine.disk.cap(0, 0)
        names = agent.explained(PODS, 180.0)
        until(scene.answers, "the database is back", 180)
        after = scene.sandboxes()
        (incident,) = [one for one in agent.incidents() if one["killer"]]
    print(
        {
            key: incident[key]
            for key in ("cause", "confidence", "killer", "offender")
            if key in incident
        }
    )
    assert [name for name in before if before[name] == after[name]] == []
    assert names == set(before)
    assert incident["killer"]["kind"] == "health_monitor"
    assert incident["planned"] is False
    assert incident["offender"] is not None
    assert "pg-0" in incident["offender"]["name"]
