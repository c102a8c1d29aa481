"""Whose control group is it: v1, v2 and hybrid trees, both drivers, three runtimes, odd names."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from agent.errors import NoData
from agent.model import Subject, SubjectKind
from agent.recorder.cgroup_files import Meter, blkio, io_stat, memory_stat
from agent.recorder.cgroups import MOST_UNITS, Found, Group, Version, find_groups, find_tree
from agent.recorder.host import Host
from tests.node_tree import STATIC_UID, UID, NodeTree, Use, container, uid

POD = Subject(SubjectKind.POD, "", uid=UID)
ALL = list(
    product(("v1", "v2", "hybrid"), ("systemd", "cgroupfs"), ("docker", "containerd", "crio"))
)


def found_in(root: Path) -> dict[str, Group]:
    """What a look around finds, by path."""
    return {group.path: group for group in find_groups(find_tree(Host(root))).groups}


@pytest.mark.parametrize(("version", "driver", "runtime"), ALL)
def test_pods_containers_and_units_are_found(
    tmp_path: Path, version: str, driver: str, runtime: str
) -> None:
    tree = NodeTree(tmp_path, version, driver, runtime)
    pod = tree.pod_path()
    inner = tree.container_path(pod, container(7))
    static = tree.pod_path(STATIC_UID, "guaranteed")
    for path in (pod, inner, static, "system.slice/docker.service", "init.scope"):
        tree.write(path, Use())
    found = found_in(tmp_path)
    assert found[pod] == Group(pod, POD)
    assert found[inner] == Group(inner, POD, container(7)[:12])
    assert found[static].owner.uid == STATIC_UID
    assert str(found["system.slice/docker.service"].owner) == "unit/docker.service"
    assert len(found) == 5


def test_conmon_beside_a_container_is_no_container(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path, runtime="crio")
    pod = tree.pod_path()
    tree.write(pod, Use())
    tree.write(f"{pod}/crio-conmon-{container(1)}.scope", Use())
    assert list(found_in(tmp_path)) == [pod]


@pytest.mark.parametrize(
    "path",
    [
        f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{UID.replace('-', '_')}.slice",
        f"kubelet/kubepods/besteffort/pod{UID}",
        f"kubepods/pod{UID}",
    ],
)
def test_a_root_before_kubepods_is_followed(tmp_path: Path, path: str) -> None:
    NodeTree(tmp_path).write(path, Use())
    assert found_in(tmp_path)[path].owner == POD


def test_a_runtime_with_the_other_driver_hides_containers_below_itself(tmp_path: Path) -> None:
    name = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice:cri-containerd:{container(3)}"
    path = f"system.slice/containerd.service/{name}"
    NodeTree(tmp_path).write(path, Use())
    found = found_in(tmp_path)
    assert found[path] == Group(path, POD, container(3)[:12])
    assert found["system.slice/containerd.service"].owner.name == "containerd.service"


def test_runtimes_may_live_in_a_slice_of_their_own(tmp_path: Path) -> None:
    NodeTree(tmp_path).write("runtime.slice/containerd.service", Use())
    assert list(found_in(tmp_path)) == ["runtime.slice/containerd.service"]


def test_plain_docker_containers_are_containers(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    tree.write(f"system.slice/docker-{container(5)}.scope", Use())
    tree.write(f"docker/{container(6)}", Use())
    kinds = {str(group.owner.kind) for group in found_in(tmp_path).values()}
    assert kinds == {"container"}


def test_of_too_many_units_the_runtime_is_kept(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    for number in range(MOST_UNITS + 9):
        tree.write(f"system.slice/a{number}.service", Use())
    tree.write("system.slice/zz-containerd.service", Use())
    tree.write("system.slice/kubelet.service", Use())
    found = find_groups(find_tree(Host(tmp_path)))
    assert found.left_out == 11
    assert found.groups[0].owner.name == "kubelet.service"


def test_a_node_without_control_groups_has_none(tmp_path: Path) -> None:
    tree = find_tree(Host(tmp_path))
    assert tree.version is Version.NONE
    assert find_groups(tree) == Found()


def test_a_folder_without_counters_is_no_data(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    (tmp_path / "sys/fs/cgroup" / tree.pod_path()).mkdir(parents=True)
    group = next(iter(found_in(tmp_path).values()))
    with pytest.raises(NoData):
        Meter(group, find_tree(Host(tmp_path)), ())


def test_a_stacked_device_is_not_counted_twice() -> None:
    both = b"253:0 rbytes=1024 wbytes=0 rios=2 wios=0\n254:0 rbytes=1024 wbytes=512 rios=2 wios=1\n"
    assert io_stat(both, {b"253:0"}) == (2, 1, 2, 1)
    alone = both.splitlines()[0]
    assert io_stat(alone, {b"253:0"}) == (2, 0, 2, 0), "but where nothing else counts it does"
    assert io_stat(b"254:0 \n", ()) == (0, 0, 0, 0)
    v1 = b"253:0 Read 512\n254:0 Read 512\n254:0 Write 1024\n254:0 Total 1536\nTotal 1536\n"
    assert blkio(v1, {b"253:0"}, 512) == (1, 2)


def test_v1_memory_is_counted_with_all_below() -> None:
    text = b"cache 1\npgmajfault 1\ntotal_cache 2\ntotal_pgmajfault 9\ntotal_workingset_refault 8\n"
    assert memory_stat(text) == (8, 9)


def test_a_thousand_groups_is_where_it_ends(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    cgroup = tmp_path / "sys/fs/cgroup"
    for number in range(1010):
        (cgroup / tree.pod_path(uid(number))).mkdir(parents=True)
    assert find_groups(find_tree(Host(tmp_path))).left_out == 10
