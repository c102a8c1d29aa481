"""Which control groups to sample, and whose they are: pods, their containers, and systemd's units.

Both versions, hybrid trees, both drivers. What the kubelet and the runtimes call things:

    systemd   kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid_>.slice/
              docker-<id>.scope, cri-containerd-<id>.scope, crio-<id>.scope
    cgroupfs  kubepods/burstable/pod<uid>/<id>, kubepods/burstable/pod<uid>/crio-<id>

``kubelet --cgroup-root`` puts a prefix before that (kind: ``kubelet.slice/kubelet-kubepods...``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from agent.model import Subject, SubjectKind
from agent.recorder.host import Host
from agent.rules.roles import WHOLE_UNITS, Role, role_of
from agent.rules.subjects import subject_of_cgroup

MOST_GROUPS = 1000
MOST_UNITS = 64
_POD = re.compile(r"pod[0-9a-f]{8}[-_]?[0-9a-f_-]{24,27}(?:\.slice)?\Z")
_CONTAINER = re.compile(
    r"(?:(?:docker|cri-containerd|crio|libpod)-)?(?P<id>[0-9a-f]{64})(?:\.scope)?\Z"
)
_MISNAMED = re.compile(r"(?P<pod>.*pod[0-9a-f_-]{32,36}\.slice):[a-z-]+:(?P<id>[0-9a-f]{64})\Z")
_ABOVE_PODS = re.compile(r"kubepods|kubelet|burstable|besteffort|guaranteed")
_FIRST = Role.RUNTIME | Role.KUBELET | Role.MONITOR | Role.CONTROL_PLANE | Role.AGENT


class Version(Enum):
    """How this node counts."""

    V1 = "v1"
    V2 = "v2"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Tree:
    """Where each controller's hierarchy is mounted; on v2 all of them are one."""

    version: Version
    index: Path  # the hierarchy that is searched for pods
    units: Path  # the one that holds every unit of systemd
    cpu: Path
    cpuacct: Path
    io: Path
    memory: Path
    pressure: Path | None  # where *.pressure lies: v2 and the unified half of a hybrid


@dataclass(frozen=True, slots=True)
class Group:
    """One control group: its path below each hierarchy, whose it is, and which container."""

    path: str
    owner: Subject
    container: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look around found, and how much was left out because there is too much of it."""

    groups: tuple[Group, ...] = ()
    left_out: int = 0


@dataclass(slots=True)
class _Search:
    top: Path
    groups: list[Group] = field(default_factory=list)


def find_tree(host: Host) -> Tree:
    """Find the hierarchies: v2 when the root lists its controllers, else one folder each."""
    root = host.cgroup
    if (root / "cgroup.controllers").exists():
        return Tree(Version.V2, root, root, root, root, root, root, root)
    cpu = _first(root, "cpu", "cpu,cpuacct")
    cpuacct = _first(root, "cpuacct", "cpu,cpuacct")
    memory = _first(root, "memory")
    unified = root / "unified"
    index = next((p for p in (memory, cpuacct) if p.is_dir()), memory)
    units = root / "systemd"
    return Tree(
        Version.V1 if index.is_dir() else Version.NONE,
        index=index,
        units=units if units.is_dir() else index,
        cpu=cpu,
        cpuacct=cpuacct,
        io=_first(root, "blkio"),
        memory=memory,
        pressure=unified if unified.is_dir() else None,
    )


def _first(root: Path, *names: str) -> Path:
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def find_groups(tree: Tree) -> Found:
    """Look around: only folders that can hold pods, and the direct children of slices."""
    if tree.version is Version.NONE:
        return Found()
    pods = _Search(tree.index)
    _pods_below(pods, "", 0)
    units = list(_units(tree))
    units.sort(key=lambda group: not role_of(group.owner) & _FIRST)
    wholes = [group for group in pods.groups if not group.container]
    parts = [group for group in pods.groups if group.container]
    kept = [*wholes, *units[:MOST_UNITS], *parts]
    known = dict.fromkeys(kept[:MOST_GROUPS])
    left_out = len(wholes) + len(units) + len(parts) - len(known)
    return Found(tuple(known), max(left_out, 0))


def _folders(folder: Path | str) -> Iterator[str]:
    """Give the names of the folders inside; a folder that has just vanished is empty."""
    try:
        with os.scandir(folder) as entries:
            yield from [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return


def _pods_below(search: _Search, path: str, depth: int) -> None:
    for name in _folders(search.top / path if path else search.top):
        below = f"{path}/{name}" if path else name
        if _POD.search(name):
            search.groups += _pod(search.top, below)
        elif depth < 4 and _ABOVE_PODS.search(name):
            _pods_below(search, below, depth + 1)


def _pod(top: Path, path: str) -> Iterable[Group]:
    owner = subject_of_cgroup(f"/{path}")
    if owner.kind is not SubjectKind.POD:
        return
    yield Group(path, owner)
    for name in _folders(top / path):
        found = _CONTAINER.match(name)
        if found:
            yield Group(f"{path}/{name}", owner, found["id"][:12])


def _units(tree: Tree) -> Iterator[Group]:
    for top in _folders(tree.units):
        if top in WHOLE_UNITS:
            yield Group(top, Subject(SubjectKind.UNIT, top))
        elif top == "docker" or (top.endswith(".slice") and not _ABOVE_PODS.search(top)):
            yield from _units_in(tree, top)


def _units_in(tree: Tree, top: str) -> Iterator[Group]:
    for name in _folders(tree.units / top):
        path = f"{top}/{name}"
        if _CONTAINER.match(name) or name.endswith((".service", ".scope")):
            yield Group(path, subject_of_cgroup(f"/{path}"))
        if role_of(name) & Role.RUNTIME:
            yield from _misnamed(tree, path)


def _misnamed(tree: Tree, path: str) -> Iterator[Group]:
    """Give containers of a runtime with the other driver: ``pod<uid>.slice:cri-containerd:<id>``.

    runc takes systemd's name for a folder name then, below the runtime's own unit.
    """
    for name in _folders(tree.units / path):
        found = _MISNAMED.match(name)
        if found:
            owner = subject_of_cgroup(f"/{found['pod']}")
            yield Group(f"{path}/{name}", owner, found["id"][:12])
