"""A v2 group that is not the root: whom it holds, and among whom a weight counts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from backup.levers import cgroup_v2, limits
from backup.levers.lever import Bites
from backup.sensors.devices import all_disks
from tests.backup.nodes import FakeNode


def shared_group(folder: Path, pids: str, enabled: str = "") -> Path:
    """A v2 group that is not the root, as far as files can play one."""
    folder.mkdir(exist_ok=True)
    for name, text in {
        "cgroup.type": "domain",
        "cgroup.procs": pids,
        "cgroup.controllers": "cpu io memory",
        "cgroup.subtree_control": enabled,
        "cpu.weight": "100\n",
        "io.weight": "default 100\n",
    }.items():
        (folder / name).write_text(text)
    return folder


def test_v2_leaves_a_group_that_holds_others_as_it_is(tmp_path: Path) -> None:
    """`cpu` alone would be taken, and make of it a threaded group that no program can enter."""
    for others in (f"{os.getpid()}\n1\n", "0\n", f"0\n{os.getpid()}\n"):
        parent = shared_group(tmp_path, others)
        handed = cgroup_v2.hand_down(parent, parent / "aside", os.getpid())
        assert handed.enabled == ()
        assert "holds other processes" in handed.why_not
        assert "systemd-run --scope" in handed.why_not
        assert (parent / "cgroup.subtree_control").read_text() == ""
        assert not (parent / "aside").exists()


def test_v2_uses_what_a_shared_group_hands_down_already(tmp_path: Path) -> None:
    parent = shared_group(tmp_path, "1\n", enabled="cpu io memory")
    handed = cgroup_v2.hand_down(parent, parent / "aside", os.getpid())
    assert handed.enabled == ("io", "cpu", "memory")
    assert handed.why_not == ""


def test_what_the_doctor_expects_in_a_shared_group_is_what_exec_will_get(tmp_path: Path) -> None:
    node = FakeNode(tmp_path).v2(controllers="cpu io memory").disk("sda", "none")
    shared_group(node.host.cgroup, "1\n")
    found = limits.expected(node.host, all_disks(node.host))
    assert set({lever.name: lever.bites for lever in found}.values()) == {Bites.NO}
    assert "holds other processes" in found[0].why


@pytest.mark.parametrize(("own", "expected"), [(100, Bites.PARTLY), (10, Bites.YES)])
def test_v2_weights_count_inside_and_the_groups_own_outside(
    own: int, expected: Bites, tmp_path: Path
) -> None:
    node = FakeNode(tmp_path).v2(controllers="cpu io memory").disk("sda", "bfq")
    group = shared_group(node.host.cgroup, f"{os.getpid()}\n")
    (group / "cpu.weight").write_text(f"{own}\n")
    (group / "io.weight").write_text(f"default {own}\n")
    found = {lever.name: lever for lever in limits.expected(node.host, all_disks(node.host))}
    assert found["cgroup CPU weight"].bites is expected
    assert found["cgroup I/O weight"].bites is expected
    assert found["cgroup I/O limit"].bites is Bites.YES
    assert limits.weighed_in_groups(node.host)
