"""Control groups of our own: named after the process that made them, and removed with it.

The name carries the maker's pid namespace, pid and start time, so that a later run can tell a group
in use from one that a crash left behind, also when the pid has been given to somebody else since.
What another pid namespace made is only ever removed when it is old and empty: its processes cannot
be seen from here, and ``cgroup.procs`` shows each of them as 0.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable
from pathlib import Path

PREFIX = "knockon-exec"
_NAME = re.compile(rf"{PREFIX}-(?P<space>\d+)-(?P<pid>\d+)-(?P<start>\d+)(?:-self)?\Z")
_KILL_TRIES = 100
_KILL_GAP_S = 0.02
_OLD_S = 600.0


def name_for(proc: Path, pid: int) -> str:
    """Return the name of the groups that this process makes."""
    return f"{PREFIX}-{pid_space(proc)}-{pid}-{start_ticks(proc, pid) or 0}"


def pid_space(proc: Path) -> int:
    """Return the number of our own pid namespace; 0 where it cannot be told."""
    try:
        digits = (proc / "self" / "ns" / "pid").readlink().name.strip("pid:[]")
    except OSError:
        return 0
    return int(digits) if digits.isdigit() else 0


def start_ticks(proc: Path, pid: int) -> int | None:
    """Return when a process started, in ticks since boot; None when there is no such process."""
    try:
        stat = (proc / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    fields = stat[stat.rfind(b")") + 2 :].split()  # a name may hold spaces and brackets
    return None if len(fields) < 20 or fields[0] in (b"Z", b"X") else int(fields[19])


def write(path: Path, text: str) -> None:
    """Write a control file in one write; an existing file only."""
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def tried(path: Path, text: str) -> str:
    """Write a control file, or return why that did not work."""
    try:
        write(path, text)
    except OSError as error:
        return f"{path.name}: {error.strerror}"
    return ""


def pids_in(folder: Path) -> list[int]:
    """Return the processes of a group that can be seen from here; none when it has gone.

    Never 0, which stands for a process of another pid namespace: killing 0 kills ourselves.
    """
    try:
        pids = [int(line) for line in (folder / "cgroup.procs").read_text().split()]
        return [pid for pid in pids if pid > 0]
    except (OSError, ValueError):
        return []


def kill_all(folder: Path) -> None:
    """End every process of a group, frozen ones too, and wait until they are gone."""
    thaw(folder)
    if not pids_in(folder):
        return
    tried(folder / "cgroup.kill", "1")  # v2 since 5.14: no fork escapes it
    for _ in range(_KILL_TRIES):
        pids = pids_in(folder)
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_KILL_GAP_S)


def thaw(folder: Path) -> None:
    """Let a frozen group run; a v1 group dies of no signal while it is frozen."""
    tried(folder / "cgroup.freeze", "0")
    tried(folder / "freezer.state", "THAWED")


def remove(folder: Path) -> bool:
    """Remove an empty group; the kernel may need a moment after the last process."""
    for _ in range(_KILL_TRIES):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            time.sleep(_KILL_GAP_S)
        else:
            return True
    return False


def sweep(parents: Iterable[Path], proc: Path) -> int:
    """End and remove what crashed runs left in these folders; return how many groups."""
    swept = 0
    for parent in set(parents):
        for folder in _left_behind(parent, proc):
            kill_all(folder)
            swept += remove(folder)
        for folder in _old_strangers(parent, proc):
            with contextlib.suppress(OSError):
                folder.rmdir()  # fails as long as anything is inside
                swept += 1
    return swept


def _left_behind(parent: Path, proc: Path) -> list[Path]:
    """Return the groups whose maker, of our own pid namespace, has gone."""
    space = pid_space(proc)
    return [
        folder
        for folder, match in _ours(parent)
        if int(match["space"]) == space
        and start_ticks(proc, int(match["pid"])) != int(match["start"])
    ]


def _old_strangers(parent: Path, proc: Path) -> list[Path]:
    """Return old groups of other pid namespaces; in use they are never empty for long."""
    space, now_s = pid_space(proc), time.time()  # noqa: TID251 - files carry the wall's time
    found: list[Path] = []
    for folder, match in _ours(parent):
        if int(match["space"]) != space:
            with contextlib.suppress(OSError):
                if now_s - folder.stat().st_ctime > _OLD_S:
                    found.append(folder)
    return found


def _ours(parent: Path) -> list[tuple[Path, re.Match[str]]]:
    try:
        names = [entry.name for entry in os.scandir(parent) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [(parent / name, match) for name in names if (match := _NAME.match(name))]
