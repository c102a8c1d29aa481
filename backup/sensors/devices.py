"""The disks below a folder: their scheduler, read-ahead, and what stands on what.

What limits and priorities do is decided by the real disk at the bottom, not by the partition, LVM
volume or encrypted mapping that the file system lies on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.host import Host

IONICE_SCHEDULERS = frozenset({"bfq", "mq-deadline", "cfq"})
"""Block schedulers that honour I/O priorities (docs.kernel.org/block/ioprio.html)."""

_ACTIVE = re.compile(r"\[([\w-]+)\]")
_NO_DISK = ("ram", "zram")
_DEEPEST = 8  # LVM on RAID on crypt on a partition is 4


@dataclass(frozen=True, slots=True)
class Disk:
    """One whole block device."""

    name: str
    number: str
    """``MAJ:MIN``, as control groups want it."""
    scheduler: str
    """The one in force; empty where the kernel names none."""
    read_ahead_kb: int
    stacked: bool
    """It stands on other devices, which do the work."""

    @property
    def honours_ionice(self) -> bool:
        """Say whether a lower I/O priority changes anything here."""
        return self.scheduler in IONICE_SCHEDULERS


def number_of(path: Path) -> str:
    """Return the ``MAJ:MIN`` of the device that holds the path."""
    device = path.stat().st_dev
    return f"{os.major(device)}:{os.minor(device)}"


def disks_under(host: Host, number: str) -> tuple[Disk, ...]:
    """Return the real disks below a device; none for overlays, tmpfs and network file systems.

    A number that is no block device (btrfs, overlay) is looked up among the mounts once more.
    """
    folder = host.sys / "dev" / "block" / number
    if not folder.exists():
        folder = host.sys / "dev" / "block" / _mounted_number(host, number)
        if not folder.is_dir() or folder.name == "block":
            return ()
    return tuple(dict.fromkeys(_bottoms(folder.resolve(), 0)))


def all_disks(host: Host) -> tuple[Disk, ...]:
    """Return every device that may carry data, stacked ones too."""
    found: list[Disk] = []
    try:
        folders = sorted((host.sys / "block").iterdir())
    except OSError:
        return ()
    for folder in folders:
        empty = _text(folder / "size") in ("", "0")
        if not empty and not folder.name.startswith(_NO_DISK):
            found.append(_disk(folder.resolve()))
    return tuple(found)


def _bottoms(folder: Path, depth: int) -> Iterator[Disk]:
    if (folder / "partition").exists():
        folder = folder.parent
    slaves = _slaves(folder)
    if not slaves or depth >= _DEEPEST:
        yield _disk(folder)
        return
    for slave in slaves:
        yield from _bottoms(slave.resolve(), depth + 1)


def _disk(folder: Path) -> Disk:
    words = _text(folder / "queue" / "scheduler")
    active = _ACTIVE.search(words)
    ahead = _text(folder / "queue" / "read_ahead_kb")
    return Disk(
        name=folder.name.replace("!", "/"),
        number=_text(folder / "dev"),
        scheduler=active[1] if active else words.partition(" ")[0],
        read_ahead_kb=int(ahead) if ahead.isdigit() else 0,
        stacked=bool(_slaves(folder)),
    )


def _slaves(folder: Path) -> list[Path]:
    try:
        return sorted((folder / "slaves").iterdir())
    except OSError:
        return []


def _mounted_number(host: Host, number: str) -> str:
    """Return the ``MAJ:MIN`` of the block device that a mount with this number was made from."""
    for line in _text(host.proc / "self" / "mountinfo").splitlines():
        words = line.split()
        if len(words) < 10 or words[2] != number or "-" not in words:
            continue
        after = words[words.index("-") + 1 :]
        name = after[1].rpartition("/")[2] if len(after) > 1 else ""
        here = _class_block(host, name)
        if here:
            return here
    return ""


def _class_block(host: Host, name: str) -> str:
    return _text(host.sys / "class" / "block" / name / "dev") if name else ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
