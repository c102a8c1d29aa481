"""One directory per running box, held by a lock, so that a later start can sweep what died."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import cgroups


@dataclass(frozen=True, slots=True)
class Run:
    """A box's scratch directory, its cgroup name, and the lock that says it is alive."""

    path: Path
    lock: IO[str]

    @property
    def cgroup(self) -> str:
        """Name of the box's group in every hierarchy."""
        return cgroups.PREFIX + self.path.name

    def remove(self) -> None:
        """Kill what runs in the box and remove everything it left; safe to call twice."""
        with _alone(self.path.parent):
            if self.path.is_dir():
                _remove(self.path)
        self.lock.close()


def start(cache: Path) -> Run:
    """Sweep dead boxes and claim a fresh directory."""
    runs = cache / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with _alone(runs):
        sweep(runs)
        path = runs / secrets.token_hex(4)
        path.mkdir()
        lock = (path / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    for name in ("upper", "work", "root", "docker", "containerd", "disk"):
        (path / name).mkdir()
    return Run(path, lock)


@contextmanager
def _alone(runs: Path) -> Iterator[None]:
    """Of several suites on one machine none removes what another just makes or removes."""
    with (runs / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def sweep(runs: Path) -> list[str]:
    """Remove every box whose owner is gone; return their names."""
    swept = []
    for path in sorted(runs.iterdir()):
        if not path.is_dir() or not _is_orphan(path):
            continue
        _remove(path)
        swept.append(path.name)
    return swept


def _is_orphan(path: Path) -> bool:
    try:
        with (path / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    gone = cgroups.destroy(cgroups.PREFIX + path.name)
    # Mounts live in the box's private mount namespace and went with it; if one is still visible
    # here, deleting through it could reach the cached root file system.
    if not gone or _is_mounted_below(path):
        raise RuntimeError(f"box {path.name} would not die; look at {path}")
    shutil.rmtree(path)


def _is_mounted_below(path: Path) -> bool:
    points = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    return any(os.path.commonpath((path, point)) == str(path) for point in points)
