"""Who descends from whom, who inherits orphans, and what a family of processes has moved."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IO_WORDS = frozenset({"rchar", "wchar", "read_bytes", "write_bytes"})


def inherit_orphans() -> None:
    """Become the parent of every descendant whose parent ends (prctl(2), Linux 3.4)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the parent ends, however it ends; survives exec, not fork."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def descendants(root: int, proc: Path = Path("/proc")) -> list[int]:
    """Return the living descendants of a process, parents before children."""
    found: list[int] = []
    todo = [root]
    listed = (proc / str(root) / "task" / str(root) / "children").exists()
    families = None if listed else _families(proc)  # a kernel without CONFIG_PROC_CHILDREN
    while todo:
        parent = todo.pop(0)
        children = list(_children(proc, parent)) if families is None else families.get(parent, [])
        found += children
        todo += children
    return [pid for pid in found if state(pid, proc) not in ("", "Z", "X")]


def state(pid: int, proc: Path = Path("/proc")) -> str:
    """Return a process's state letter; empty when it has gone."""
    fields = _stat(proc, pid)
    return fields[0].decode() if fields else ""


def _stat(proc: Path, pid: int) -> list[bytes]:
    """Return the fields after the name, which may itself hold spaces and brackets."""
    try:
        text = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return []
    return text[text.rfind(b")") + 2 :].split()


def _children(proc: Path, pid: int) -> Iterator[int]:
    """Give the children of each thread: a child belongs to the thread that forked it."""
    try:
        threads = os.listdir(proc / str(pid) / "task")  # noqa: PTH208 - strings, no Path each
    except OSError:
        return
    for thread in threads:
        try:
            words = (proc / str(pid) / "task" / thread / "children").read_bytes().split()
        except OSError:
            continue
        yield from (int(word) for word in words)


def _families(proc: Path) -> dict[int, list[int]]:
    families: dict[int, list[int]] = {}
    for name in os.listdir(proc):  # noqa: PTH208
        fields = _stat(proc, int(name)) if name.isdigit() else []
        if len(fields) > 1:
            families.setdefault(int(fields[1]), []).append(int(name))
    return families


def moved(pids: Iterable[int], proc: Path = Path("/proc")) -> dict[str, int]:
    """Add up what processes have read and written; a parent counts the children it waited for.

    Empty where the kernel keeps no such account, or these processes are somebody else's.
    """
    sums: dict[str, int] = {}
    for pid in pids:
        try:
            lines = (proc / str(pid) / "io").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, amount = line.partition(": ")
            if name in _IO_WORDS and amount.isdigit():
                sums[name] = sums.get(name, 0) + int(amount)
    return sums
