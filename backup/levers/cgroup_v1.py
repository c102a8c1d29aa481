"""Limits of control groups v1: one folder a controller.

`blkio.throttle` is flat: a limit binds the processes in the group itself and nothing below it
(Documentation/admin-guide/cgroup-v1/blkio-controller.rst). The program is put right into our group,
so that is no loss here; it is why a limit on a pod's group holds none of its containers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from backup.levers.cgroup_group import tried
from backup.levers.lever import Bites, Lever
from backup.levers.own_groups import Place

LOW_CPU_SHARES = 102  # a tenth of the default, 1024
LOW_BFQ_WEIGHT = 10  # a tenth of the default
_RATE_FILES = ("blkio.throttle.read_bps_device", "blkio.throttle.write_bps_device")


class BlkioThrottle:
    """Caps what the processes in one group move on each disk."""

    def __init__(self, folder: Path, numbers: Sequence[str]) -> None:
        self._folder = folder
        self._numbers = tuple(numbers)

    def set_rate(self, bytes_per_s: float) -> str:
        """Cap reads and writes on each disk; infinity lifts the cap. Return what went wrong."""
        amount = 0 if math.isinf(bytes_per_s) else max(1, int(bytes_per_s))  # 0: no limit
        failed = [
            tried(self._folder / name, f"{number} {amount}")
            for number in self._numbers
            for name in _RATE_FILES
        ]
        return next((why for why in failed if why), "")

    def moved(self) -> Mapping[str, int]:
        """Return the bytes moved so far, for each disk and direction."""
        try:
            text = (self._folder / "blkio.throttle.io_service_bytes").read_text()
        except OSError:
            return {}
        return parse_service_bytes(text)


def parse_service_bytes(text: str) -> dict[str, int]:
    """Read ``254:0 Read 4096`` lines; the sums (Sync, Async, Total) count the same bytes again.

    >>> parse_service_bytes("254:0 Read 4096")
    {'254:0 Read': 4096}
    """
    moved: dict[str, int] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(" ")
        word, _, amount = rest.partition(" ")
        if word in ("Read", "Write") and amount.isdigit():
            moved[f"{number} {word}"] = int(amount)
    return moved


def set_weights(folders: Mapping[str, Path]) -> dict[str, str]:
    """Give our groups little weight; return what went wrong, by controller."""
    failed: dict[str, str] = {}
    if "cpu" in folders:
        failed["cpu"] = tried(folders["cpu"] / "cpu.shares", str(LOW_CPU_SHARES))
    if "blkio" in folders:
        failed["weight"] = tried(folders["blkio"] / "blkio.bfq.weight", str(LOW_BFQ_WEIGHT))
    return {name: why for name, why in failed.items() if why}


def levers(places: Mapping[str, Place], bfq: bool, failed: Mapping[str, str]) -> tuple[Lever, ...]:
    """Say what the v1 controllers do here; ``failed`` is what was tried and refused."""
    return (
        _limit_lever(places.get("blkio"), failed.get("blkio", "")),
        _weight_lever(places.get("blkio"), bfq, failed),
        _cpu_lever(places.get("cpu"), failed.get("cpu", "")),
        Lever("memory.high", Bites.NO, "control groups v1 have none"),
    )


def _limit_lever(place: Place | None, failed: str) -> Lever:
    name = "cgroup I/O limit"
    refused = _refused(place, "blkio", failed)
    if refused:
        return Lever(name, Bites.NO, refused)
    why = "v1 blkio.throttle on a group of its own: reads and direct writes; buffered writes escape"
    return Lever(name, Bites.YES, why)


def _weight_lever(place: Place | None, bfq: bool, failed: Mapping[str, str]) -> Lever:
    name = "cgroup I/O weight"
    refused = _refused(place, "blkio", failed.get("blkio", ""))
    if refused:
        return Lever(name, Bites.NO, refused)
    if not bfq:
        return Lever(name, Bites.NO, "on v1 only the bfq scheduler weighs groups, and it is not on")
    if failed.get("weight"):
        return Lever(name, Bites.NO, failed["weight"])
    return Lever(name, Bites.YES, f"blkio.bfq.weight {LOW_BFQ_WEIGHT} against 100")


def _cpu_lever(place: Place | None, failed: str) -> Lever:
    name = "cgroup CPU weight"
    refused = _refused(place, "cpu", failed)
    if refused:
        return Lever(name, Bites.NO, refused)
    why = f"v1 cpu.shares {LOW_CPU_SHARES} against 1024; processors only"
    if place is None or place.folder == place.mount:
        return Lever(name, Bites.YES, why)
    inside = f"only among what runs in {place.folder}, whose own cpu.shares count outside"
    return Lever(name, Bites.PARTLY, f"{why}; {inside}")


def _refused(place: Place | None, controller: str, failed: str) -> str:
    if place is None:
        return f"no {controller} hierarchy is mounted here"
    return failed or ("" if place.writable else place.why_not)
