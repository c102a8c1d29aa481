"""Whether the runtime asked for a processor at all while it did not answer.

Who waits for a processor still gets one now and then, for the kernel's scheduler is fair: a starved
daemon is slow and its counter grows. One that is stopped, or waits for something else, uses none.
"""

from __future__ import annotations

from itertools import pairwise

from agent.diagnosis.case import Case
from agent.model import CgroupCounters, Sample

USED_SHARE = 0.003
"""An idle daemon uses as much; one that is asked gets more, among a hundred busy tasks too."""

TURNS_S = 2.5
"""The recorder is an ordinary process: without longer gaps, others got their turn each second."""

SHORTEST_S = 4.0
LONGEST_S = 60.0


def used_no_processor_s(case: Case) -> float | None:
    """Return for how long before the blow the runtime used no processor; None if it did, or may.

    Whoever was throttled, or waited by the pressure counter of its own group, had wanted one.
    """
    pivot_s = case.pivot_s
    if pivot_s is None:
        return None
    inside = [s for s in case.samples if pivot_s - LONGEST_S <= s.at_s <= pivot_s]
    last = _runtime(case, inside[-1]) if inside else None
    if last is None or pivot_s - inside[-1].at_s > TURNS_S:
        return None
    still_s, moved = 0.0, False
    for earlier, later in pairwise(reversed(inside)):
        then = _runtime(case, later)
        if then is None or earlier.at_s - later.at_s > TURNS_S:
            return None
        span_s = inside[-1].at_s - later.at_s
        moved = _wanted_s(then, last) >= USED_SHARE * span_s
        if moved:
            break
        still_s = span_s
    # A counter that never moves says nothing by standing still.
    counts = moved or _moved_earlier(case, last)
    return still_s if counts and still_s >= SHORTEST_S else None


def _runtime(case: Case, sample: Sample) -> CgroupCounters | None:
    """The unit of the runtime that was killed, or that ended first."""
    facts = case.killed_by_monitor or case.runtime_deaths
    if not facts:
        return None
    name = facts[0].detail.get("runtime") or facts[0].subject.name
    unit = f"{name.removesuffix('.service')}.service"
    return next((group for group in sample.cgroups if group.owner.name == unit), None)


def _wanted_s(then: CgroupCounters, last: CgroupCounters) -> float:
    return max(
        last.cpu_s - then.cpu_s,
        last.throttled_s - then.throttled_s,
        last.cpu_stalled_s - then.cpu_stalled_s,
    )


def _moved_earlier(case: Case, last: CgroupCounters) -> bool:
    first = _runtime(case, case.samples[0])
    return first is not None and first.cpu_s < last.cpu_s
