"""Who moved most in the seconds before: bytes, operations or processor time, by the counters.

Nobody is named below a fair share of what the *disk* did: where the counters of control groups
miss most of it (buffered writes on cgroup v1), the rest might be anybody's. Nor is anybody named
when tasks waited as much before this load as during it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.diagnosis.case import Case
from agent.diagnosis.causes.pressure import BEFORE_S, stalled_pct
from agent.model import Cause, CgroupCounters, DiskCounters, Sample, Subject

FAIR_SHARE = 0.5
"""Whoever moved less than half is not named."""

LOOK_BACK_S = 4 * BEFORE_S
BASELINE_S = 5 * LOOK_BACK_S
"""The time before that; what pressure there was without the load."""

_AS_HIGH_AS = 0.8
_AS_MUCH_AS = 0.5
_LEAST_CORES = 0.25
"""Who used less starved nobody, however little the others used that are counted here."""

_BLIND_BELOW = 0.8  # of the disk's bytes were seen in control groups

_OfGroup = Callable[[CgroupCounters], float]
_OfDisk = Callable[[DiskCounters], float]


@dataclass(frozen=True, slots=True)
class Mover:
    """Whoever moved most, and how that was found."""

    owner: Subject
    method: str


@dataclass(frozen=True, slots=True)
class _Count:
    """One way to count a load."""

    what: str
    of_group: _OfGroup
    of_disk: _OfDisk | None
    rate: Callable[[float], str]
    least_s: float = 0.0  # a second: below it nobody is named, whatever the share


_BYTES = _Count(
    "of all bytes",
    lambda group: group.read_bytes + group.write_bytes,
    lambda disk: disk.read_bytes + disk.write_bytes,
    lambda each_s: f"{each_s / 1e6:.0f} MB/s",
)
_OPERATIONS = _Count(
    "of all disk operations",
    lambda group: group.reads + group.writes,
    lambda disk: disk.reads + disk.writes,
    lambda each_s: f"{each_s:.0f} a second",
)
_CPU = _Count(
    "of all processor time",
    lambda group: group.cpu_s,
    None,
    lambda each_s: f"{each_s:.1f} cores",
    _LEAST_CORES,
)


def largest_mover(case: Case, cause: Cause) -> Mover | None:
    """Return who moved the largest share in the minute before the blow, if it is a fair one."""
    if case.pivot_s is None:
        return None
    begin_s = case.pivot_s - LOOK_BACK_S
    window = _window(case.samples, begin_s, case.pivot_s)
    if len(window) < 2:
        return None
    before = _window(case.samples, begin_s - BASELINE_S, window[0].at_s)[:-1]
    counts = (_CPU,) if cause is Cause.CPU_STARVATION else (_BYTES, _OPERATIONS)
    for count in counts:
        found = _by(count, window)
        if found and not _waited_as_much_before(found, count, (before, window), cause):
            return found
    return None


def mostly_unseen(case: Case, cause: Cause) -> bool:
    """Say whether control groups saw less than a fair share of what the disk did before the blow.

    So it is with buffered writes on cgroup v1, and with whoever runs outside of pods and services.
    """
    if case.pivot_s is None or cause is Cause.CPU_STARVATION:
        return False
    window = _window(case.samples, case.pivot_s - LOOK_BACK_S, case.pivot_s)
    if len(window) < 2:
        return False
    seen = sum(_grown(_BYTES.of_group, window).values())
    whole = _of_disks(_BYTES, window)
    return whole > 0 and seen < FAIR_SHARE * whole


def _window(samples: Sequence[Sample], from_s: float, to_s: float) -> list[Sample]:
    return [s for s in samples if from_s <= s.at_s <= to_s and s.cgroups]


def _by(count: _Count, window: Sequence[Sample]) -> Mover | None:
    moved = _grown(count.of_group, window)
    seen = sum(moved.values())
    whole = max(seen, _of_disks(count, window))
    if not whole or not moved:
        return None
    owner, most = max(moved.items(), key=lambda item: item[1])
    span_s = window[-1].at_s - window[0].at_s
    if most < FAIR_SHARE * whole or most < count.least_s * span_s:
        return None
    method = (
        f"moved {100 * most / whole:.0f} % {count.what} ({count.rate(most / span_s)}) in the "
        f"{span_s:.0f} s before, by cgroup counters"
    )
    if seen < _BLIND_BELOW * whole:
        method += f", which saw {100 * seen / whole:.0f} % of what the disk did"
    return Mover(owner, method)


def _grown(of_group: _OfGroup, window: Sequence[Sample]) -> Mapping[Subject, float]:
    first = {group.owner: of_group(group) for group in window[0].cgroups}
    last = {group.owner: of_group(group) for group in window[-1].cgroups}
    return {owner: max(end - first.get(owner, end), 0) for owner, end in last.items()}


def _of_disks(count: _Count, window: Sequence[Sample]) -> float:
    """What the busiest disk did: adding up would count a device and what is stacked on it twice."""
    if count.of_disk is None:
        return 0.0
    first = {disk.name: count.of_disk(disk) for disk in window[0].disks}
    last = {disk.name: count.of_disk(disk) for disk in window[-1].disks}
    return max((end - first.get(name, end) for name, end in last.items()), default=0.0)


def _waited_as_much_before(
    mover: Mover,
    count: _Count,
    windows: tuple[Sequence[Sample], Sequence[Sample]],
    cause: Cause,
) -> bool:
    """Tell a load that came with the pressure from one that pressure had no need of."""
    before, window = windows
    if len(before) < 2:
        return False
    waited_pct, now_pct = (_waited(span, cause) for span in (before, window))
    if waited_pct < _AS_HIGH_AS * now_pct:
        return False
    each_s, now_each_s = (_rate(mover, count, span) for span in (before, window))
    return each_s < _AS_MUCH_AS * now_each_s


def _rate(mover: Mover, count: _Count, window: Sequence[Sample]) -> float:
    span_s = window[-1].at_s - window[0].at_s
    return _grown(count.of_group, window).get(mover.owner, 0.0) / span_s if span_s > 0 else 0.0


def _waited(window: Sequence[Sample], cause: Cause) -> float:
    first, last = window[0], window[-1]
    span_s = last.at_s - first.at_s
    if cause is Cause.MEMORY_PRESSURE:
        return stalled_pct(first.memory, last.memory, span_s)[0]
    if cause is Cause.CPU_STARVATION:
        return stalled_pct(first.cpu, last.cpu, span_s)[0]
    return stalled_pct(first.io, last.io, span_s)[0]
