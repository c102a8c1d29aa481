"""The box's own cgroups: one directory of ours in each mounted hierarchy, removed afterwards.

No mount of the host is touched: only directories named `knockon-lab-*` are made and removed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "knockon-lab-"


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup hierarchy, and where in it we may make a child."""

    mountpoint: Path
    controllers: frozenset[str]
    own_path: str

    def child(self, name: str) -> Path:
        """Return the directory of our group called `name`."""
        return self.mountpoint / self.own_path.lstrip("/") / name


def hierarchies() -> list[Hierarchy]:
    """Return every cgroup hierarchy mounted here, with our own place in each."""
    places = _own_places()
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        controllers = frozenset(options.split(",")) if kind == "cgroup" else frozenset()
        own = next((path for names, path in places if names <= controllers and names), None)
        if kind == "cgroup2":
            own = next((path for names, path in places if not names), "/")
        if own is not None:
            found.append(Hierarchy(Path(before.split()[4]), controllers, own))
    return _rooted_when_unified(found)


def is_unified(found: list[Hierarchy]) -> bool:
    """Tell whether this machine has cgroup v2 only."""
    return not any(hierarchy.controllers for hierarchy in found)


def make(name: str) -> list[Path]:
    """Make our group in every hierarchy, ready to take processes."""
    made = []
    for hierarchy in hierarchies():
        group = hierarchy.child(name)
        group.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.controllers:
            for key in ("cpuset.cpus", "cpuset.mems"):
                (group / key).write_text((group.parent / key).read_text())
            (group / "cgroup.clone_children").write_text("1")
        made.append(group)
    return made


def processes(name: str) -> list[int]:
    """Return the ids of all processes in our group and below."""
    pids: set[int] = set()
    for group in _existing(name):
        for folder, _, _ in os.walk(group):
            try:
                pids.update(map(int, (Path(folder) / "cgroup.procs").read_text().split()))
            except OSError:
                continue
    return sorted(pids)


def destroy(name: str, patience_s: float = 20.0) -> bool:
    """Kill everything in our group and remove it; tell whether nothing is left."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        for pid in processes(name):
            _kill(pid)
        _thaw(name)
        for group in _existing(name):
            _remove_tree(group)
        if not _existing(name):
            return True
        time.sleep(0.2)
    return False


def _own_places() -> list[tuple[frozenset[str], str]]:
    places = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        places.append((frozenset(filter(None, names.split(","))), path))
    return places


def _rooted_when_unified(found: list[Hierarchy]) -> list[Hierarchy]:
    # In v2 a group that holds processes (ours) cannot hand controllers to a child; the root can.
    if not is_unified(found):
        return found
    return [Hierarchy(item.mountpoint, item.controllers, "/") for item in found]


def _existing(name: str) -> list[Path]:
    groups = (hierarchy.child(name) for hierarchy in hierarchies())
    return [group for group in groups if group.is_dir()]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _thaw(name: str) -> None:
    for group in _existing(name):
        for state in group.rglob("freezer.state"):
            with suppress(OSError):
                state.write_text("THAWED")


def _remove_tree(group: Path) -> None:
    for folder, _, _ in os.walk(group, topdown=False):
        with suppress(OSError):
            Path(folder).rmdir()


@dataclass(frozen=True, slots=True)
class Memory:
    """What a box uses, all groups below its own included."""

    bytes: int
    file_bytes: int
    """Of files, so that it can be given back."""
    major_faults: int
    refaults: int


def memory(name: str) -> Memory:
    """Read what our group of this name uses."""
    group = _memory_group(name)
    used = next(f for f in ("memory.usage_in_bytes", "memory.current") if (group / f).exists())
    stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())

    def of(key: str) -> int:
        return int(stat.get(f"total_{key}", stat.get(key, 0)))

    refaults = sum(of(key) for key in ("workingset_refault_file", "workingset_refault_anon"))
    files = of("active_file") + of("inactive_file")
    return Memory(int((group / used).read_text()), files, of("pgmajfault"), refaults)


def limit_memory(name: str, limit_bytes: int | None) -> None:
    """Set or lift our group's memory limit; what is above it is given back now."""
    group = _memory_group(name)
    legacy = group / "memory.limit_in_bytes"
    file = legacy if legacy.exists() else group / "memory.max"
    none = "-1" if legacy.exists() else "max"
    file.write_text(none if limit_bytes is None else str(limit_bytes))


def stalled_us(name: str, resource: str) -> int | None:
    """Return how long some task of our group has waited for `io`, `memory` or `cpu` so far."""
    for hierarchy in hierarchies():
        file = hierarchy.child(name) / f"{resource}.pressure"
        if not hierarchy.controllers and file.exists():
            some = file.read_text().splitlines()[0]
            return int(some.rpartition("total=")[2])
    return None


def _memory_group(name: str) -> Path:
    found = hierarchies()
    chosen = found if is_unified(found) else [one for one in found if "memory" in one.controllers]
    return chosen[0].child(name)
