"""Limits of control groups v2: one folder, whose controllers its parent has to hand down.

A parent with processes of its own cannot hand anything down (cgroup-v2.rst, "No Internal Process
Constraint"). Where those processes are only ourselves we step aside into a leaf for that time.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.host import Host
from backup.levers.cgroup_group import pids_in, remove, tried, write
from backup.levers.lever import Bites, Lever
from backup.levers.own_groups import Place

LOW_WEIGHT = 10  # a tenth of the default
CONTROLLERS = ("io", "cpu", "memory")
_HINT = "`systemd-run --scope -p Delegate=yes knockon backup exec ...` gives it a group of its own"


class IoMax:
    """Caps what one group moves on each disk, buffered writes included where writeback knows."""

    def __init__(self, folder: Path, numbers: Sequence[str]) -> None:
        self._folder = folder
        self._numbers = tuple(numbers)

    def set_rate(self, bytes_per_s: float) -> str:
        """Cap reads and writes on each disk; infinity lifts the cap. Return what went wrong."""
        amount = "max" if math.isinf(bytes_per_s) else str(max(1, int(bytes_per_s)))
        failed = [
            tried(self._folder / "io.max", f"{number} rbps={amount} wbps={amount}")
            for number in self._numbers
        ]
        return next((why for why in failed if why), "")

    def moved(self) -> Mapping[str, int]:
        """Return the bytes moved so far, for each disk and direction."""
        try:
            return parse_io_stat((self._folder / "io.stat").read_text())
        except OSError:
            return {}


def parse_io_stat(text: str) -> dict[str, int]:
    """Read ``254:0 rbytes=4096 wbytes=0 …`` lines.

    >>> parse_io_stat("254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0")
    {'254:0 rbytes': 4096, '254:0 wbytes': 0}
    """
    moved: dict[str, int] = {}
    for line in text.splitlines():
        number, *pairs = line.split() or [""]
        for pair in pairs:
            name, _, amount = pair.partition("=")
            if name in ("rbytes", "wbytes") and amount.isdigit():
                moved[f"{number} {name}"] = int(amount)
    return moved


@dataclass(slots=True)
class HandedDown:
    """Which controllers our parent group gives to its children, and what we changed for it."""

    parent: Path
    aside: Path
    enabled: tuple[str, ...] = ()
    ours: tuple[str, ...] = ()
    stepped_aside: bool = False
    why_not: str = ""

    def give_back(self, pid: int) -> None:
        """Undo what was changed, once the children are gone."""
        for controller in self.ours:
            tried(self.parent / "cgroup.subtree_control", f"-{controller}")
        if self.stepped_aside:
            tried(self.parent / "cgroup.procs", str(pid))
            remove(self.aside)


def hand_down(parent: Path, aside: Path, pid: int) -> HandedDown:
    """Have a group hand its controllers down, stepping aside if only we stand in the way."""
    handed = HandedDown(parent, aside)
    offered = _words(parent / "cgroup.controllers")
    before = _words(parent / "cgroup.subtree_control")
    missing = [name for name in CONTROLLERS if name in offered and name not in before]
    for name in missing:
        handed.why_not = _enable(handed, name, pid) or handed.why_not
    after = _words(parent / "cgroup.subtree_control")
    handed.enabled = tuple(name for name in CONTROLLERS if name in after)
    handed.ours = tuple(name for name in missing if name in after)
    return handed


def _enable(handed: HandedDown, name: str, pid: int) -> str:
    control = handed.parent / "cgroup.subtree_control"
    try:
        write(control, f"+{name}")
    except OSError as error:
        if error.errno != errno.EBUSY:
            return f"{control.name}: {error.strerror}"
    else:
        return ""
    if handed.stepped_aside or set(pids_in(handed.parent)) != {pid}:
        return f"this group holds other processes, so v2 hands no controllers down; {_HINT}"
    try:
        handed.aside.mkdir()
        write(handed.aside / "cgroup.procs", str(pid))
        handed.stepped_aside = True
        write(control, f"+{name}")
    except OSError as error:
        return f"{control.name}: {error.strerror}"
    return ""


def set_weights(folder: Path, enabled: Iterable[str], memory_high_bytes: int) -> dict[str, str]:
    """Give our group little weight and a bound for its cache; return what went wrong."""
    wanted = {
        "io": ("io.weight", str(LOW_WEIGHT)),
        "cpu": ("cpu.weight", str(LOW_WEIGHT)),
        "memory": ("memory.high", str(memory_high_bytes)),
    }
    failed = {name: tried(folder / wanted[name][0], wanted[name][1]) for name in enabled}
    return {("weight" if name == "io" else name): why for name, why in failed.items() if why}


def weighs_io(host: Host, bfq: bool) -> bool:
    """Say whether anything acts on ``io.weight``: bfq, or iocost switched on at the root."""
    lines = _lines(host.cgroup / "io.cost.qos")
    return bfq or any("enable=1" in line.split() for line in lines)


def levers(
    place: Place, weighed: bool, memory_high_bytes: int, failed: Mapping[str, str]
) -> tuple[Lever, ...]:
    """Say what the v2 controllers do here; ``failed`` is what was tried and refused."""
    why = {name: _refused(place, name, failed.get(name, "")) for name in CONTROLLERS}
    limit = "v2 io.max on a group of its own: a hard cap, on reads and on what writeback charges"
    weight = f"io.weight {LOW_WEIGHT} against 100"
    if not weighed:
        weight = "nothing acts on io.weight: no bfq, and iocost is off (root's io.cost.qos)"
    no_weight = why["io"] or failed.get("weight", "")
    cpu = f"cpu.weight {LOW_WEIGHT} against 100; processors only"
    memory = f"{memory_high_bytes >> 20} MiB: what it reads cannot push everybody else's cache out"
    return (
        _lever("cgroup I/O limit", why["io"], limit),
        _lever("cgroup I/O weight", no_weight or ("" if weighed else weight), weight),
        _lever("cgroup CPU weight", why["cpu"], cpu),
        _lever("memory.high", why["memory"], memory),
    )


def _lever(name: str, refused: str, why: str) -> Lever:
    return Lever(name, Bites.NO if refused else Bites.YES, refused or why)


def _refused(place: Place, controller: str, failed: str) -> str:
    if failed:
        return failed
    if not place.writable:
        return place.why_not
    if controller not in _words(place.folder / "cgroup.controllers"):
        return f"the {controller} controller is not handed down to this group; {_HINT}"
    return ""


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
