"""Which processes move most, by their own counters: what control groups of v1 cannot tell.

``/proc/PID/io`` counts a buffered write when the page is made dirty, by whoever made it so. Reading
it of others takes CAP_SYS_PTRACE and the node's ``/proc``; without them nobody is seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.recorder.host import Host
from agent.recorder.keptfile import number_after

_POD_UID = re.compile(r"pod([0-9a-f]{8}[-_](?:[0-9a-f]{4}[-_]){3}[0-9a-f]{12}|[0-9a-f]{32})")
_UNIT = re.compile(r"/([^/]+\.service)(?:/|$)")
_Bytes = dict[str, int]


@dataclass(frozen=True, slots=True)
class Busiest:
    """The process that moved most between two looks."""

    pid: str
    name: str
    bytes_s: float
    share: float  # of what all processes that can be seen have moved
    pod_uid: str = ""
    unit: str = ""


@dataclass(slots=True)
class Processes:
    """Compares one look with the one before."""

    host: Host
    _before: _Bytes = field(default_factory=dict)
    _at_s: float | None = None

    def forget(self) -> None:
        """Begin anew: the next look has nothing to compare with."""
        self._before, self._at_s = {}, None

    def look(self, steady_s: float) -> Busiest | None:
        """Return who moved most since the look before; none the first time, or when nobody did."""
        before, before_s = self._before, self._at_s
        now = dict(moved_bytes(self.host))
        self._before, self._at_s = now, steady_s
        if before_s is None or steady_s <= before_s:
            return None
        grown = {pid: total - before.get(pid, total) for pid, total in now.items()}
        whole = sum(each for each in grown.values() if each > 0)
        if whole <= 0:
            return None
        pid = max(grown, key=lambda one: grown[one])
        with suppress(OSError):
            folder = self.host.proc / pid
            name = (folder / "comm").read_text("utf-8", "replace").strip()[:64]
            home = home_of(folder)
            return Busiest(pid, name, grown[pid] / (steady_s - before_s), grown[pid] / whole, *home)
        return None


def moved_bytes(host: Host) -> Iterator[tuple[str, int]]:
    """Give what each process that can be seen has read from disks and written so far."""
    with suppress(OSError):
        for pid in os.listdir(host.proc):  # noqa: PTH208 - strings, no Path each
            if pid.isdigit():
                with suppress(OSError, ValueError):
                    with open(f"{host.proc}/{pid}/io", "rb") as file:  # noqa: PTH123 - as above
                        said = file.read()
                    read, written = (number_after(said, word) for word in _WORDS)
                    yield pid, read + written


_WORDS = (b"\nread_bytes: ", b"\nwrite_bytes: ")


def home_of(folder: Path) -> tuple[str, str]:
    """Give the uid of the pod a process belongs to, or else its unit; each may be empty."""
    groups = (folder / "cgroup").read_text("utf-8", "replace")
    pod, unit = _POD_UID.search(groups), _UNIT.search(groups)
    if pod:
        return pod[1].replace("_", "-"), ""
    return "", unit[1] if unit else ""
