"""One second of a made-up node, and the seconds after it: what changed, came, went and broke."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from agent.model import CgroupCounters, Sample, Subject, SubjectKind
from agent.recorder.cgroup_files import Meter
from agent.recorder.cgroups import Group
from agent.recorder.frame import group_key
from agent.recorder.host import Host
from agent.recorder.sampler import LOOK_AGAIN_S, V1_WRITES, WHOLE_EVERY, Sampler, Taken
from tests.node_tree import UID, NodeTree, Use, container

NOW_S = 1_700_000_000.0
USED = Use(
    cpu_us=1_500_000,
    throttled_us=200_000,
    read_bytes=1 << 20,
    write_bytes=1 << 19,
    reads=30,
    writes=12,
    memory_bytes=64 << 20,
    refaults=5,
    major_faults=3,
    stalled_us=700_000,
)
POD = Subject(SubjectKind.POD, "", uid=UID)


def of(sample: Sample, owner: Subject = POD) -> CgroupCounters:
    """The one row of an owner."""
    (row,) = [group for group in sample.cgroups if group.owner == owner]
    return row


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
@pytest.mark.parametrize("driver", ["systemd", "cgroupfs"])
def test_a_pods_use_is_read(tmp_path: Path, version: str, driver: str) -> None:
    tree = NodeTree(tmp_path, version, driver)
    tree.write(tree.pod_path(), USED)
    sampler = Sampler(Host(tmp_path))
    row = of(sampler.sample(NOW_S).sample)
    assert (row.cpu_s, row.throttled_s) == pytest.approx((1.5, 0.2))
    assert (row.read_bytes, row.write_bytes, row.reads, row.writes) == (1 << 20, 1 << 19, 30, 12)
    assert (row.memory_bytes, row.refaults, row.major_faults) == (64 << 20, 5, 3)
    assert row.io_stalled_s == pytest.approx(0.0 if version == "v1" else 0.7)
    assert row.memory_stalled_s == pytest.approx(0.7 if version == "v2" else 0.0)
    assert (V1_WRITES in sampler.limits) == (version != "v2")
    sampler.close()


def test_the_nodes_own_numbers(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.pressure(io_us=2_000_000)
    tree.memory(available_kib=1000, refaults=41)
    sampler = Sampler(Host(tmp_path))
    taken = sampler.sample(NOW_S)
    sample = taken.sample
    assert sample.io is not None
    assert (sample.io.some_total_s, sample.io.full_total_s) == (2.0, 1.0)
    assert sample.memory_available_bytes == 1024_000
    assert (sample.memory_dirty_bytes, sample.memory_writeback_bytes) == (120 << 10, 8 << 10)
    assert (sample.major_faults, sample.refaults) == (77, 42)
    assert [disk.name for disk in sample.disks] == ["vda"]
    assert taken.worked == dict.fromkeys(("pressure", "memory", "disks", "cgroups"), True)
    sampler.close()


def test_a_sleeping_group_is_the_same_row_and_is_looked_at_in_turn(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    sampler = Sampler(Host(tmp_path))
    key = group_key(POD)
    first = sampler.sample(NOW_S).frame.rows[key]
    first = sampler.sample(NOW_S + 1).frame.rows[key] if first[6] == 0 else first
    sampler.sample(NOW_S + 2)
    tree.write(tree.pod_path(), replace(USED, memory_bytes=1 << 20))  # shrinks without running
    rows = [sampler.sample(NOW_S + 3 + n).frame.rows[key] for n in range(WHOLE_EVERY)]
    assert rows[-1][6] == (1 << 20) // 4096, "seen within four seconds"
    again = sampler.sample(NOW_S + 3 + WHOLE_EVERY).frame.rows[key]
    assert again is rows[-1]
    tree.write(tree.pod_path(), USED.more(cpu_us=10_000, read_bytes=4096))
    assert sampler.sample(NOW_S + 4 + WHOLE_EVERY).frame.rows[key][2] == (1 << 11) + 8
    sampler.close()


def test_a_group_that_ran_is_read_at_once(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    sampler = Sampler(Host(tmp_path))
    before = of(sampler.sample(NOW_S).sample)
    for second in range(1, 9):
        tree.write(tree.pod_path(), USED.more(cpu_us=second * 1000, write_bytes=second * 512))
        row = of(sampler.sample(NOW_S + second).sample)
        assert row.write_bytes == before.write_bytes + second * 512
    sampler.close()


def test_pods_come_and_go(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    sampler = Sampler(Host(tmp_path))
    assert sampler.sample(NOW_S).sample.cgroups == ()
    tree.write(tree.pod_path(), USED)
    assert sampler.sample(NOW_S + 1).sample.cgroups == ()
    assert len(sampler.sample(NOW_S + LOOK_AGAIN_S).sample.cgroups) == 1
    shutil.rmtree(tmp_path / "sys/fs/cgroup" / tree.pod_path())
    taken = sampler.sample(NOW_S + 2 * LOOK_AGAIN_S)
    assert taken.sample.cgroups == ()
    assert taken.gaps == ()
    assert sampler.groups == 0
    sampler.close()


def test_a_clock_that_was_set_back_looks_around_at_once(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    sampler = Sampler(Host(tmp_path))
    sampler.sample(NOW_S)
    tree.write(tree.pod_path(), USED)
    assert len(sampler.sample(NOW_S - 3600).sample.cgroups) == 1
    sampler.close()


@pytest.mark.parametrize("recursive", [True, False])
def test_on_v1_a_pods_io_is_that_of_its_containers_also_of_dead_ones(
    tmp_path: Path, recursive: bool
) -> None:
    tree = NodeTree(tmp_path, "v1", "cgroupfs", recursive=recursive)
    pod = tree.pod_path()
    inner = [tree.container_path(pod, container(n)) for n in (1, 2)]
    tree.write(pod, USED if recursive else replace(USED, read_bytes=0, write_bytes=0))
    for path in inner:
        tree.write(path, replace(USED, read_bytes=1 << 19, write_bytes=1 << 18))
    sampler = Sampler(Host(tmp_path))
    sampler.sample(NOW_S)
    sample = sampler.sample(NOW_S + WHOLE_EVERY).sample
    for second in range(1, WHOLE_EVERY + 1):
        sample = sampler.sample(NOW_S + second).sample
    assert of(sample).read_bytes == 1 << 20
    assert [part.container for part in sample.containers] == [container(n)[:12] for n in (1, 2)]
    for folder in ("cpu,cpuacct", "blkio", "memory", "systemd"):
        shutil.rmtree(tmp_path / "sys/fs/cgroup" / folder / inner[0])
    sample = sampler.sample(NOW_S + LOOK_AGAIN_S + 1).sample
    assert len(sample.containers) == 1
    assert of(sample).read_bytes == 1 << 20
    sampler.close()


def test_one_broken_collector_does_not_stop_the_others(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    (tmp_path / "proc/pressure/io").write_bytes(b"\xff\x00 no pressure")
    (tmp_path / "proc/vmstat").unlink()
    sampler = Sampler(Host(tmp_path))
    taken = sampler.sample(NOW_S)
    assert [gap.why.split(":")[0] for gap in taken.gaps] == ["pressure", "memory"]
    assert taken.worked == {"pressure": False, "memory": False, "disks": True, "cgroups": True}
    assert len(taken.sample.cgroups) == 1
    sampler.close()


def test_a_kernel_without_pressure_is_a_limit_said_once(tmp_path: Path) -> None:
    NodeTree(tmp_path)
    shutil.rmtree(tmp_path / "proc/pressure")
    sampler = Sampler(Host(tmp_path))
    seconds: list[Taken] = [sampler.sample(NOW_S + n) for n in range(3)]
    assert [second.gaps for second in seconds] == [(), (), ()]
    assert [limit for limit in sampler.limits if "psi=0" in limit] == list(sampler.limits)
    assert seconds[2].worked["pressure"] is False
    assert seconds[2].sample.io is None
    sampler.close()


def test_a_group_with_nonsense_is_dropped_and_named(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    sampler = Sampler(Host(tmp_path))
    sampler.sample(NOW_S)
    stat = tmp_path / "sys/fs/cgroup" / tree.pod_path() / "cpu.stat"
    stat.write_text("usage_usec many\n")
    taken = sampler.sample(NOW_S + 1)
    assert tree.pod_path() in taken.gaps[0].why
    assert taken.sample.cgroups == ()
    sampler.close()


def test_a_counter_that_no_pod_has_is_a_limit(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    (tmp_path / "sys/fs/cgroup" / tree.pod_path() / "io.stat").unlink()
    sampler = Sampler(Host(tmp_path))
    assert of(sampler.sample(NOW_S).sample).read_bytes == 0
    assert sampler.limits == ("no pod has io.stat: what it counts is shown as nought",)
    sampler.close()


class _Gone:
    """A meter whose control group the kernel has removed."""

    def __init__(self, group: Group) -> None:
        self.group, self.row = group, (0,) * 12

    def read(self, _: bool) -> tuple[int, ...]:
        raise OSError(errno.ENODEV, "No such device")

    def close(self) -> None:
        return


def test_a_unit_that_went_is_looked_for_every_two_seconds(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    path = "system.slice/docker.service"
    tree.write(path, USED)
    sampler = Sampler(Host(tmp_path))
    sampler.sample(NOW_S)
    owner = Subject(SubjectKind.UNIT, "docker.service")
    sampler._meters[group_key(owner)].close()
    sampler._meters[group_key(owner)] = cast("Meter", _Gone(Group(path, owner)))
    went = sampler.sample(NOW_S + 1)
    assert (went.gaps, went.sample.cgroups) == ((), ())
    assert of(sampler.sample(NOW_S + 2).sample, owner).cpu_s == 1.5
    sampler.close()


_AUDITED = """
import sys
from pathlib import Path
from typing import cast
from agent.recorder.host import Host
from agent.recorder.loop import Recorder
from agent.recorder.ring import RingWriter
from agent.recorder.sampler import Sampler
root = Path(sys.argv[1])
recorder = Recorder(Sampler(Host(root)), RingWriter(Host(root).ring))
recorder.step(1e9)
seen = []
sys.addaudithook(lambda name, args: seen.append((name, str(args[0]) if args else "")))
modules = set(sys.modules)
for second in range(1, 31):
    recorder.step(1e9 + second)
noted, loaded = list(seen), set(sys.modules) - modules
recorder.close()
print(sorted(loaded), sorted({n for n, _ in noted}))
print(all(where.startswith(str(root)) for name, where in noted if name != "import"))
"""


def test_sampling_neither_forks_nor_imports_nor_leaves_the_nodes_files(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), USED)
    command = [sys.executable, "-c", _AUDITED, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loaded, inside = said.splitlines()
    assert loaded == "[] ['os.listdir', 'os.scandir']", "it looks around, and nothing else"
    assert inside == "True"


@pytest.mark.skipif(not Path("/proc/vmstat").exists(), reason="no Linux")
def test_this_machine_can_be_sampled() -> None:
    sampler = Sampler(Host())
    first, second = sampler.sample(NOW_S), sampler.sample(NOW_S + 1)
    assert second.sample.memory_available_bytes
    assert first.worked["memory"]
    sampler.close()
