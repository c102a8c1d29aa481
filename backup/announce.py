"""Tells the node that a backup is running, and on which device, so that the agent need not guess.

One small JSON file in ``/run/knockon``, written whole or not at all, and removed at the end. After
a SIGKILL it stays behind: whoever reads it checks that the process of that number is still the one
that began then; a pid of another pid namespace cannot be checked, so such a file must be renewed.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.recorder.host import Host

RENEW_EVERY_S = 60.0
FORGOTTEN_S = 300.0
LARGEST_BYTES = 65_536
_PREFIX, _SUFFIX = "backup-", ".json"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Who is backing up what, since when."""

    pid: int
    started_at: float
    device: str
    data_directory: str
    host: str
    tool: str
    start_ticks: int = 0
    """When the process began, in the kernel's ticks since boot: pids are used again."""
    pid_namespace: str = ""


def announcement(device: str, data_directory: str, tool: str, host: Host) -> Announcement:
    """Describe the backup that this process is about to run."""
    return Announcement(
        pid=os.getpid(),
        started_at=time.time(),  # noqa: TID251 - the edge: read by people and by other processes
        device=device,
        data_directory=data_directory,
        host=os.uname().nodename,
        tool=tool,
        start_ticks=start_ticks(host, os.getpid()) or 0,
        pid_namespace=_namespace(host),
    )


@contextmanager
def announced(said: Announcement, host: Host) -> Iterator[Path | None]:
    """Keep the announcement in place while the block runs; yields None where it cannot be made.

    A backup that cannot announce itself is still a backup.
    """
    path = folder(host) / f"{_PREFIX}{said.pid}-{said.start_ticks}{_SUFFIX}"
    try:
        _write(path, said)
    except OSError:
        yield None
        return
    try:
        yield path
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def renew(path: Path) -> None:
    """Say that the backup is still running; meant for every ``RENEW_EVERY_S``."""
    with suppress(OSError):
        os.utime(path)


def running(host: Host, now_s: float) -> list[Announcement]:
    """Return the announcements of backups that still run; torn and stale files are passed over."""
    found = []
    for path in sorted(folder(host).glob(f"{_PREFIX}*{_SUFFIX}")):
        said = _read(path)
        if said and _alive(said, path, host, now_s):
            found.append(said)
    return found


def sweep(host: Host, now_s: float) -> int:
    """Remove what dead backups left behind; returns how many files."""
    removed = 0
    for path in folder(host).glob(f"{_PREFIX}*{_SUFFIX}"):
        said = _read(path)
        if said is None or not _alive(said, path, host, now_s):
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def folder(host: Host) -> Path:
    """Return where announcements lie: a tmpfs, empty after a boot."""
    return host.run / "knockon"


def start_ticks(host: Host, pid: int) -> int | None:
    """Return when a process began (proc_pid_stat(5), field 22); None if there is none."""
    try:
        text = (host.proc / str(pid) / "stat").read_bytes()
        return int(text[text.rindex(b")") + 2 :].split()[19])  # the name may hold spaces
    except (OSError, ValueError, IndexError):
        return None


def _write(path: Path, said: Announcement) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(json.dumps(asdict(said)) + "\n", encoding="utf-8")
    half.replace(path)


def _read(path: Path) -> Announcement | None:
    try:
        with path.open("rb") as file:
            raw = json.loads(file.read(LARGEST_BYTES))
        return Announcement(
            pid=int(raw["pid"]),
            started_at=float(raw["started_at"]),
            device=str(raw["device"]),
            data_directory=str(raw["data_directory"]),
            host=str(raw["host"]),
            tool=str(raw["tool"]),
            start_ticks=int(raw.get("start_ticks", 0)),
            pid_namespace=str(raw.get("pid_namespace", "")),
        )
    except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
        return None


def _alive(said: Announcement, path: Path, host: Host, now_s: float) -> bool:
    if said.pid_namespace == _namespace(host):
        return start_ticks(host, said.pid) == said.start_ticks
    try:
        return now_s - path.stat().st_mtime < FORGOTTEN_S
    except OSError:
        return False


def _namespace(host: Host) -> str:
    try:
        return str((host.proc / "self" / "ns" / "pid").readlink())
    except OSError:
        return ""
