"""Limits of control groups v2: one folder, whose controllers its parent has to hand down.

A parent with processes of its own cannot hand anything down (cgroup-v2.rst, "No Internal Process
Constraint"). Where those processes are only ourselves we step aside into a leaf for that time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.host import Host
from backup.levers.cgroup_group import remove, tried, write
from backup.levers.lever import Bites, Lever
from backup.levers.own_groups import Place

LOW_WEIGHT = 10  # a tenth of the default
_USUAL_WEIGHT = 100
CONTROLLERS = ("io", "cpu", "memory")
HINT = (
    "`systemd-run --scope -p Delegate=yes -p CPUWeight=10 -p IOWeight=10 knockon backup exec ...` "
    "gives it a group of its own"
)


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
    missing = _missing(parent)
    handed.why_not = crowded(parent, pid)
    if missing and not handed.why_not:
        handed.why_not = _make_room(handed, pid)
    for name in missing if not handed.why_not else ():
        handed.why_not = tried(parent / "cgroup.subtree_control", f"+{name}") or handed.why_not
    after = _words(parent / "cgroup.subtree_control")
    handed.enabled = tuple(name for name in CONTROLLERS if name in after)
    handed.ours = tuple(name for name in missing if name in after)
    return handed


def crowded(parent: Path, pid: int) -> str:
    """Say why a group can hand nothing more down: other processes than ours are in it.

    Nothing is tried then: `io` and `memory` would be refused, but `cpu` would turn a group with
    processes into a threaded one, and no program can enter a child of that.
    """
    inside = _words(parent / "cgroup.procs")
    if _is_root(parent) or not _missing(parent) or set(inside) <= {str(pid)}:
        return ""
    return f"this group holds other processes, so v2 hands no controllers down; {HINT}"


def _missing(parent: Path) -> list[str]:
    offered = _words(parent / "cgroup.controllers")
    before = _words(parent / "cgroup.subtree_control")
    return [name for name in CONTROLLERS if name in offered and name not in before]


def _is_root(group: Path) -> bool:
    return not (group / "cgroup.type").exists()  # of all groups only the root has none


def _make_room(handed: HandedDown, pid: int) -> str:
    """Leave the parent without processes, or say why that cannot be; the root may hold some."""
    if _is_root(handed.parent) or not _words(handed.parent / "cgroup.procs"):
        return ""
    try:
        handed.aside.mkdir()
        write(handed.aside / "cgroup.procs", str(pid))
    except OSError as error:
        remove(handed.aside)
        return f"{handed.aside.name}: {error.strerror}"
    handed.stepped_aside = True
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
    idle = "nothing acts on io.weight: no bfq, and iocost is off (root's io.cost.qos)"
    no_weight = why["io"] or failed.get("weight", "") or ("" if weighed else idle)
    memory = f"{memory_high_bytes >> 20} MiB: what it reads cannot push everybody else's cache out"
    return (
        _lever("cgroup I/O limit", why["io"], limit),
        _weight_lever("cgroup I/O weight", no_weight, place.folder / "io.weight"),
        _weight_lever("cgroup CPU weight", why["cpu"], place.folder / "cpu.weight"),
        _lever("memory.high", why["memory"], memory),
    )


def _weight_lever(name: str, refused: str, above: Path) -> Lever:
    """A weight counts among the children of one group; outside, that group's own weight does."""
    if refused:
        return Lever(name, Bites.NO, refused)
    rest = "; processors only" if above.name == "cpu.weight" else ""
    here = f"{above.name} {LOW_WEIGHT} against 100{rest}"
    own = own_weight(above)
    if own is None or own <= LOW_WEIGHT:
        return Lever(name, Bites.YES, here if own is None else f"{here}; {above.parent} has {own}")
    why = f"{here}; only among what runs in {above.parent}, whose own {own} counts outside"
    return Lever(name, Bites.PARTLY, f"{why}: {HINT}" if own >= _USUAL_WEIGHT else why)


def own_weight(file: Path) -> int | None:
    """Read a group's own weight; None for the root, which has none: nothing stands beside it."""
    word = next(iter(_lines(file)), "").rpartition(" ")[2]  # io.weight says "default 100"
    return int(word) if word.isdigit() else None


def _lever(name: str, refused: str, why: str) -> Lever:
    return Lever(name, Bites.NO if refused else Bites.YES, refused or why)


def _refused(place: Place, controller: str, failed: str) -> str:
    if failed:
        return failed
    if not place.writable:
        return place.why_not
    if controller not in _words(place.folder / "cgroup.controllers"):
        return f"the {controller} controller is not handed down to this group; {HINT}"
    return ""


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
