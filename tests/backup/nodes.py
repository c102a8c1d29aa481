"""Fake nodes as a few files: control groups of each kind, disks with each scheduler."""

from __future__ import annotations

import os
from pathlib import Path

from agent.recorder.host import Host

_MEMINFO = "MemTotal:        8000000 kB\nMemFree:          1 kB\n"
_PRESSURE = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"


class FakeNode:
    """A root folder, filled step by step."""

    def __init__(self, root: Path) -> None:
        self.host = Host(root)
        for folder in (self.host.proc / "self", self.host.cgroup, self.host.sys / "block"):
            folder.mkdir(parents=True)
        (self.host.sys / "dev" / "block").mkdir(parents=True)
        (self.host.proc / "meminfo").write_text(_MEMINFO)
        self._mounts: list[str] = []
        self._next = 0

    def v1(self, own: str = "/", root: str = "/") -> FakeNode:
        """Control groups v1: a hierarchy each for blkio and cpu."""
        lines = []
        for number, name in enumerate(("blkio", "cpu", "memory"), 1):
            point = self.host.cgroup / name
            point.mkdir()
            if root == "/":
                (point / own.lstrip("/")).mkdir(parents=True, exist_ok=True)
            lines.append(f"{number}:{name}:{own}\n")
            self._mount(f"{root} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}")
        (self.host.proc / "self" / "cgroup").write_text("".join(lines))
        return self

    def v2(self, controllers: str = "cpu io memory", *, read_only: bool = False) -> FakeNode:
        """Control groups v2, as a container with its own namespace sees them."""
        (self.host.cgroup / "cgroup.controllers").write_text(f"{controllers}\n")
        (self.host.cgroup / "cgroup.subtree_control").write_text("")
        (self.host.proc / "self" / "cgroup").write_text("0::/\n")
        self._mount(f"/ /sys/fs/cgroup {'ro' if read_only else 'rw'} - cgroup2 cgroup2 rw")
        return self

    def disk(self, name: str, scheduler: str, read_ahead_kb: int = 128) -> FakeNode:
        """A disk that offers two schedulers and uses this one."""
        folder = self.host.sys / "devices" / name
        (folder / "queue").mkdir(parents=True)
        (folder / "slaves").mkdir()
        number = f"8:{self._next}"
        self._next += 16
        (folder / "dev").write_text(f"{number}\n")
        (folder / "size").write_text("2048\n")
        (folder / "queue" / "scheduler").write_text(f"other [{scheduler}]\n")
        (folder / "queue" / "read_ahead_kb").write_text(f"{read_ahead_kb}\n")
        self._link(folder, number)
        (self.host.sys / "block" / name).symlink_to(folder)
        return self

    def stacked(self, name: str, number: str, *below: str) -> FakeNode:
        """An LVM volume, RAID or encrypted device on other devices."""
        folder = self.host.sys / "devices" / "virtual" / name
        (folder / "slaves").mkdir(parents=True)
        (folder / "dev").write_text(f"{number}\n")
        (folder / "size").write_text("2048\n")
        for other in below:
            (folder / "slaves" / other).symlink_to(self._folder(other))
        self._link(folder, number)
        (self.host.sys / "block" / name).symlink_to(folder)
        return self

    def partition(self, disk: str, name: str, number: str) -> FakeNode:
        """A partition, which has no queue of its own."""
        folder = self._folder(disk) / name
        folder.mkdir()
        (folder / "partition").write_text("1\n")
        (folder / "dev").write_text(f"{number}\n")
        self._link(folder, number)
        (self.host.sys / "class" / "block").mkdir(parents=True, exist_ok=True)
        (self.host.sys / "class" / "block" / name).symlink_to(folder)
        return self

    def mounted(self, number: str, kind: str, source: str) -> FakeNode:
        """A file system on a device."""
        self._mount(f"/ /data rw - {kind} {source} rw", number)
        return self

    def pressure(self) -> FakeNode:
        """A kernel that counts pressure."""
        (self.host.proc / "pressure").mkdir()
        for name in ("cpu", "io", "memory"):
            (self.host.proc / "pressure" / name).write_text(_PRESSURE)
        return self

    def _folder(self, name: str) -> Path:
        return Path(os.path.realpath(self.host.sys / "block" / name))

    def _link(self, folder: Path, number: str) -> None:
        (self.host.sys / "dev" / "block" / number).symlink_to(folder)

    def _mount(self, rest: str, number: str = "0:28") -> None:
        self._mounts.append(f"{30 + len(self._mounts)} 23 {number} {rest}\n")
        (self.host.proc / "self" / "mountinfo").write_text("".join(self._mounts))
