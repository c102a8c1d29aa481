"""The cage: control groups of our own around the program, with what this node lets them do.

Made before the program starts and removed when it has ended. A cage may be empty, where nothing
may be written; it then says why, and priorities and freezing are all that is left.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from agent.recorder.cgroups import Version, find_tree
from agent.recorder.host import Host
from backup.levers import cgroup_group, cgroup_v1, cgroup_v2
from backup.levers.lever import Bites, Lever
from backup.levers.own_groups import UNIFIED, Place, own_places
from backup.sensors.devices import Disk

LEAST_BYTES_PER_S = 1 << 20
"""A request of 1 MiB must not wait for longer than a second inside the kernel."""

_MEMORY_SHARE = 4
_V1 = ("blkio", "cpu")
_FREEZER = "freezer"


class Throttle(Protocol):
    """Caps and counts what a group moves."""

    def set_rate(self, bytes_per_s: float) -> str:
        """Cap reads and writes on each disk; infinity lifts the cap. Return what went wrong."""

    def moved(self) -> Mapping[str, int]:
        """Return the bytes moved so far, for each disk and direction."""


@dataclass(frozen=True, slots=True)
class FreezeFile:
    """A control file that stops a whole group at once, and what to write into it."""

    path: Path
    frozen: str
    thawed: str


@dataclass(slots=True)
class Cage:
    """What stands around one program."""

    folders: tuple[Path, ...] = ()
    throttle: Throttle | None = None
    freeze_file: FreezeFile | None = None
    levers: tuple[Lever, ...] = ()
    handed: cgroup_v2.HandedDown | None = None

    def refused(self, failed: Mapping[Path, str]) -> None:
        """Forget the groups that the program could not enter, and say so."""
        lost = [folder for folder in failed if folder in self.folders]
        if not lost:
            return
        self.folders = tuple(folder for folder in self.folders if folder not in lost)
        if self.freeze_file and self.freeze_file.path.parent in lost:
            self.freeze_file = None
        why = failed[lost[0]]
        self.throttle = None
        self.levers = tuple(
            replace(lever, bites=Bites.NO, why=f"the program could not enter its group: {why}")
            if lever.bites is Bites.YES
            else lever
            for lever in self.levers
        )
        for folder in lost:
            cgroup_group.remove(folder)

    def remove(self) -> None:
        """Remove our groups and give back what was changed for them; twice is fine."""
        if self.throttle is not None:
            self.throttle.set_rate(float("inf"))
        for folder in self.folders:
            cgroup_group.kill_all(folder)
            cgroup_group.remove(folder)
        if self.handed is not None:
            self.handed.give_back(os.getpid())


@dataclass(slots=True)
class _Plan:
    host: Host
    name: str
    places: Mapping[str, Place]
    disks: Sequence[Disk]
    made: dict[str, Path] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def bfq(self) -> bool:
        return any(disk.scheduler == "bfq" for disk in self.disks)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The disks at the bottom: what stands on them is charged there."""
        return tuple(disk.number for disk in self.disks if disk.number and not disk.stacked)

    def make(self, controller: str) -> Path | None:
        """Make our group in one hierarchy, or note why not."""
        place = self.places.get(controller)
        if place is None or not place.writable:
            return None
        folder = place.folder / self.name
        try:
            folder.mkdir()
        except OSError as error:
            self.failed[controller] = f"{place.folder}: {error.strerror}"
            return None
        self.made[controller] = folder
        return folder


def build(host: Host, disks: Sequence[Disk]) -> Cage:
    """Make the groups this node allows, after sweeping away what crashed runs left behind."""
    places = own_places(host)
    used = [places[name] for name in (*_V1, _FREEZER, UNIFIED) if name in places]
    cgroup_group.sweep([place.folder for place in used if place.writable], host.proc)
    plan = _Plan(host, cgroup_group.name_for(host.proc, os.getpid()), places, disks)
    if find_tree(host).version is Version.V2:
        return _build_v2(plan)
    return _build_v1(plan)


def expected(host: Host, disks: Sequence[Disk]) -> tuple[Lever, ...]:
    """Say what ``build`` would be able to do, without touching anything."""
    plan = _Plan(host, "", own_places(host), disks)
    if find_tree(host).version is not Version.V2:
        return cgroup_v1.levers(plan.places, plan.bfq, {})
    place = plan.places.get(UNIFIED)
    if place is None:
        return _nothing("no control groups are mounted here")
    crowded = cgroup_v2.crowded(place.folder, os.getpid()) if place.writable else ""
    plan.failed |= dict.fromkeys(cgroup_v2.CONTROLLERS, crowded) if crowded else {}
    return _v2_levers(plan, place)


def weighed_in_groups(host: Host) -> bool:
    """Say whether processors are first shared among groups, ours one of several."""
    places = own_places(host)
    if find_tree(host).version is Version.V2:
        place = places.get(UNIFIED)
        return place is not None and (place.folder / "cpu.weight").exists()
    legacy = places.get("cpu")
    return legacy is not None and legacy.folder != legacy.mount


def _build_v1(plan: _Plan) -> Cage:
    for controller in _V1:
        plan.make(controller)
    folder = plan.made.get("blkio")
    throttle = cgroup_v1.BlkioThrottle(folder, plan.numbers) if folder else None
    plan.failed |= cgroup_v1.set_weights(plan.made)
    if throttle is not None:
        # Since 6.10 a disk counts nothing for v1 groups before the first rule is written to it.
        refused = throttle.set_rate(float("inf"))
        plan.failed |= {"blkio": refused} if refused else {}
    return Cage(
        throttle=throttle,
        freeze_file=_freeze_file(plan),
        folders=tuple(plan.made.values()),
        levers=cgroup_v1.levers(plan.places, plan.bfq, plan.failed),
    )


def _build_v2(plan: _Plan) -> Cage:
    place = plan.places.get(UNIFIED)
    if place is None:
        return Cage(levers=_nothing("this process's own group is not visible here"))
    folder = plan.make(UNIFIED)
    if folder is None:
        if UNIFIED in plan.failed:
            plan.failed |= dict.fromkeys(cgroup_v2.CONTROLLERS, plan.failed[UNIFIED])
        return Cage(levers=_v2_levers(plan, place))
    aside = place.folder / f"{plan.name}-self"
    handed = cgroup_v2.hand_down(place.folder, aside, os.getpid())
    offered = set(cgroup_v2.CONTROLLERS) - set(handed.enabled)
    plan.failed |= {name: handed.why_not for name in offered if handed.why_not}
    plan.failed |= cgroup_v2.set_weights(folder, handed.enabled, memory_high_bytes(plan.host))
    throttle = cgroup_v2.IoMax(folder, plan.numbers) if "io" in handed.enabled else None
    return Cage(
        folders=(folder,),
        throttle=throttle,
        freeze_file=_freeze_file(plan),
        levers=_v2_levers(plan, place),
        handed=handed,
    )


def _freeze_file(plan: _Plan) -> FreezeFile | None:
    """Prefer v2's: what it froze still dies of SIGKILL, what v1's froze does not."""
    unified = plan.made.get(UNIFIED) or plan.make(UNIFIED)
    if unified is not None and (unified / "cgroup.freeze").exists():
        return FreezeFile(unified / "cgroup.freeze", "1", "0")
    frozen = plan.make(_FREEZER)
    return FreezeFile(frozen / "freezer.state", "FROZEN", "THAWED") if frozen else None


def _v2_levers(plan: _Plan, place: Place) -> tuple[Lever, ...]:
    weighed = cgroup_v2.weighs_io(plan.host, plan.bfq)
    return cgroup_v2.levers(place, weighed, memory_high_bytes(plan.host), plan.failed)


def _nothing(why: str) -> tuple[Lever, ...]:
    return tuple(
        Lever(name, Bites.NO, why)
        for name in ("cgroup I/O limit", "cgroup I/O weight", "cgroup CPU weight", "memory.high")
    )


def memory_high_bytes(host: Host) -> int:
    """Return a quarter of the node's memory: what one backup may hold, its file cache included."""
    try:
        words = (host.proc / "meminfo").read_text().split(maxsplit=2)
        return int(words[1]) * 1024 // _MEMORY_SHARE
    except (OSError, ValueError, IndexError):
        return 1 << 30


def freezing_places(host: Host) -> tuple[Place, ...]:
    """Return where a group could be made that stops as a whole."""
    places = own_places(host)
    return tuple(places[name] for name in (UNIFIED, _FREEZER) if name in places)
