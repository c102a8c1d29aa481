"""Which backups run on this node: those that announce themselves, and walsenders by their title.

An announcement is a small JSON file on the host's tmpfs, made by ``knockon backup``. A walsender
that streams a base backup says so in its process title (Postgres' ps_status.c); titles are read
only where the host's processes can be seen and something waits for the disk, or may: not every
kernel counts pressure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.diagnosis.offender import ANNOUNCED
from agent.model import Fact, Kind, Pod, Subject, SubjectKind, Trust
from agent.recorder.host import Host
from agent.recorder.processes import home_of

LOOK_EVERY_S = 15.0
SAY_AGAIN_S = 60.0
_FORGOTTEN_S = 300.0  # of another pid namespace: such a file is renewed every minute
_LARGEST_BYTES = 65_536
_MOST_FILES = 100
_TITLE = re.compile(r"postgres: .*\bwalsender\b.*(?:sending backup|\bBASE_BACKUP\b)")


@dataclass(frozen=True, slots=True)
class Running:
    """One backup that runs now."""

    source: str
    key: str
    tool: str
    began_s: float
    host: str = ""  # the pod's name, where it runs in a pod
    device: str = ""
    pod_uid: str = ""
    unit: str = ""


@dataclass(slots=True)
class Backups:
    """Looks now and then, and states what runs once a minute."""

    host: Host
    _looked_s: float = float("-inf")
    _stated_s: dict[str, float] = field(default_factory=dict)
    running: tuple[Running, ...] = ()

    def look(self, now_s: float, pods: Sequence[Pod], *, titles: bool) -> tuple[Fact, ...]:
        """Return a Fact for each running backup that was not stated within the last minute."""
        if 0 <= now_s - self._looked_s < LOOK_EVERY_S:
            return ()
        self._looked_s = now_s
        found = [*announced(self.host, now_s), *(titled(self.host, now_s) if titles else ())]
        self.running = tuple(found)
        self._stated_s = {
            one.key: self._stated_s[one.key] for one in found if one.key in self._stated_s
        }
        due = [
            one
            for one in found
            if not 0 <= now_s - self._stated_s.get(one.key, float("-inf")) < SAY_AGAIN_S
        ]
        self._stated_s |= {one.key: now_s for one in due}
        return tuple(fact_of_backup(one, now_s, pods) for one in due)


def fact_of_backup(one: Running, now_s: float, pods: Sequence[Pod]) -> Fact:
    """State that a backup runs; its subject is its own pod, where the node has one of that name."""
    home = next((pod for pod in pods if one.host and pod.name == one.host), None)
    if home is not None:
        about = Subject(SubjectKind.POD, home.name, home.namespace, home.uid)
    else:
        about = Subject(SubjectKind.PROCESS, one.tool)
    detail = {
        "tool": one.tool,
        "device": one.device,
        "began_s": f"{one.began_s:.3f}",
        "pod_uid": one.pod_uid,
        "unit": one.unit,
    }
    said = f"a base backup runs ({one.tool})"
    return Fact(
        kind=Kind.BACKUP_RUNNING,
        at_s=round(now_s, 3),
        subject=about,
        source=one.source,
        trust=Trust.TRUSTED,
        text=said,
        detail={name: value for name, value in detail.items() if value},
    )


def announced(host: Host, now_s: float) -> Iterator[Running]:
    """Give the announcements of backups that still run; torn and stale files are passed over."""
    try:
        paths = sorted((host.run / "knockon").glob("backup-*.json"))[:_MOST_FILES]
    except OSError:
        return
    for path in paths:
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            with path.open("rb") as file:
                said = json.loads(file.read(_LARGEST_BYTES))
            if _alive(said, path, host, now_s):
                yield Running(
                    source=ANNOUNCED,
                    key=path.name,
                    tool=str(said["tool"])[:80],
                    began_s=float(said["started_at"]),
                    host=str(said["host"])[:253],
                    device=str(said.get("device", ""))[:80],
                )


def _alive(said: Mapping[str, object], path: Path, host: Host, now_s: float) -> bool:
    """Whether its process is still the one that began then, else whether it was renewed of late."""
    with suppress(OSError, ValueError, IndexError):
        if said.get("pid_namespace") == str((host.proc / "self/ns/pid").readlink()):
            stat = (host.proc / str(said["pid"]) / "stat").read_bytes()
            return int(stat[stat.rindex(b")") + 2 :].split()[19]) == said.get("start_ticks")
    return now_s - path.stat().st_mtime < _FORGOTTEN_S


def titled(host: Host, now_s: float) -> Iterator[Running]:
    """Give the walsenders that stream a base backup, with the pod or unit they run in."""
    with suppress(OSError):
        for folder in host.proc.iterdir():
            if not folder.name.isdigit():
                continue
            with suppress(OSError):
                title = (folder / "cmdline").read_bytes()[:400].replace(b"\0", b" ")
                if title.startswith(b"postgres: ") and _TITLE.search(
                    title.decode("utf-8", "replace")
                ):
                    yield _walsender(folder, now_s)


def _walsender(folder: Path, now_s: float) -> Running:
    pod_uid, unit = home_of(folder)
    return Running(
        source="processes",
        key=f"walsender-{folder.name}",
        tool="pg_basebackup protocol",
        began_s=now_s,
        pod_uid=pod_uid,
        unit=unit,
    )
