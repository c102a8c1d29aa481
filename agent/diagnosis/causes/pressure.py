"""What the recorder's samples say about the seconds before the blow.

Pressure is taken from the running totals (Documentation/accounting/psi.rst), not from the kernel's
decaying averages: the average over ten seconds still remembers what ended long ago.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, sqrt

from agent.diagnosis.case import Case
from agent.diagnosis.weigh import FAIR, HINT, STRONG, WEAK, reason
from agent.model import Evidence, Kind, Probe, Psi, Sample

BEFORE_S = 15.0
"""The seconds that count: a check that is about to time out has been waiting through them."""

MOVERS_S = 60.0
MOST_MOVERS = 3
NAMES = 0.01
"""Whoever is busiest is always somebody: that alone makes no cause likelier."""

SATURATED_PCT = 60.0
MEMORY_STALLED_PCT = 5.0
"""Tasks that stall on memory this often re-read pages that were just evicted (hang.md)."""

CPU_STARVED_PCT = 70.0
SLOW_PROBE_S = 2.0
HIGH_RATE = 2.0
FLAT = 0.08


@dataclass(frozen=True, slots=True)
class Pressure:
    """Mean share of time (per cent) in which some, or all, tasks stalled on each resource."""

    io_some_pct: float
    io_full_pct: float
    memory_some_pct: float
    memory_full_pct: float
    cpu_some_pct: float


def stalled_pct(first: Psi | None, last: Psi | None, span_s: float) -> tuple[float, float]:
    """Return (some, full) per cent of the span that was stalled, from two running totals."""
    if first is None or last is None or span_s <= 0:
        return 0.0, 0.0
    some = 100 * (last.some_total_s - first.some_total_s) / span_s
    full = 100 * (last.full_total_s - first.full_total_s) / span_s
    return min(max(some, 0.0), 100.0), min(max(full, 0.0), 100.0)


def pressure_between(samples: Sequence[Sample], from_s: float, to_s: float) -> Pressure | None:
    """Return the mean pressure of a span, or None when fewer than two samples lie in it."""
    inside = [s for s in samples if from_s <= s.at_s <= to_s]
    if len(inside) < 2:
        return None
    first, last = inside[0], inside[-1]
    span_s = last.at_s - first.at_s
    io = stalled_pct(first.io, last.io, span_s)
    memory = stalled_pct(first.memory, last.memory, span_s)
    cpu = stalled_pct(first.cpu, last.cpu, span_s)
    throttled = 100 * (_throttled_s(last) - _throttled_s(first)) / span_s
    return Pressure(*io, *memory, max(cpu[0] - throttled, 0.0))


def _throttled_s(sample: Sample) -> float:
    return sum(group.throttled_s for group in sample.cgroups)


def before_the_blow(case: Case) -> Pressure | None:
    """Return the pressure of the last seconds before the pivot."""
    if case.pivot_s is None:
        return None
    return pressure_between(case.samples, case.pivot_s - BEFORE_S, case.pivot_s)


def slow_probes(case: Case) -> tuple[Probe, ...]:
    """Return the probes asked before the blow that took too long or were not answered."""
    if case.pivot_s is None:
        return ()
    return tuple(
        p
        for p in case.probes
        if case.pivot_s - 120 <= p.at_s <= case.pivot_s
        and (p.took_s >= SLOW_PROBE_S or not p.answered)
    )


def fast_under_saturation(case: Case) -> float | None:
    """Return the slowest probe while the disk was full of work but memory was not short.

    None when that never happened. A runtime that answers at once on a saturated disk was not
    hung by the disk alone.
    """
    slow = slow_probes(case)
    if not slow:
        return None
    took: list[float] = []
    for probe in case.probes:
        if probe.at_s >= slow[0].at_s or probe.at_s < slow[0].at_s - 60:
            continue
        now = pressure_between(case.samples, probe.at_s - 2.5, probe.at_s + 1.0)
        if now and now.io_some_pct >= SATURATED_PCT and now.memory_full_pct < 1.0:
            took.append(probe.took_s)
    return max(took) if len(took) > 1 and max(took) < SLOW_PROBE_S else None


def io_evidence(case: Case) -> list[Evidence]:
    """Return what the samples say about the disk."""
    now = before_the_blow(case)
    if now is None or now.io_some_pct < SATURATED_PCT:
        return []
    says = (
        f"tasks waited for the disk {now.io_some_pct:.0f} % of the last {BEFORE_S:.0f} s "
        f"(all of them {now.io_full_pct:.0f} %)"
    )
    short_of_memory = now.memory_full_pct >= MEMORY_STALLED_PCT
    evidence = [reason(FAIR if short_of_memory else STRONG, says), *_movers(case)]
    slow = slow_probes(case)
    if slow and not short_of_memory:
        took_s = max(p.took_s for p in slow)
        evidence.append(reason(WEAK, f"and the runtime's answer took {took_s:.0f} s"))
    fast_s = fast_under_saturation(case)
    if fast_s is not None:
        says = f"with the disk just as busy, the runtime had answered within {fast_s:.2f} s"
        evidence.append(reason(-0.3, says))
    return evidence


def _movers(case: Case) -> list[Evidence]:
    """Return who moved most by the processes' own counters: it names, and hardly proves."""
    if case.pivot_s is None:
        return []
    begin_s, end_s = case.pivot_s - MOVERS_S, case.pivot_s
    told = case.of(Kind.PROCESS_LOAD, where=lambda f: begin_s <= (f.at_s or 0.0) <= end_s)
    told = told[-MOST_MOVERS:]
    names = " and ".join(dict.fromkeys(fact.subject.name for fact in told))
    says = f"by the processes' own counters {names} moved most"
    return [reason(NAMES, says, told)] if told else []


def memory_evidence(case: Case) -> list[Evidence]:
    """Return what the samples say about memory."""
    now = before_the_blow(case)
    if now is None or now.memory_full_pct < MEMORY_STALLED_PCT:
        return []
    says = (
        f"all tasks stalled on memory {now.memory_full_pct:.0f} % of the last {BEFORE_S:.0f} s: "
        "pages were evicted and had to be read again"
    )
    evidence = [reason(STRONG, says)]
    fast_s = fast_under_saturation(case)
    if fast_s is not None:
        evidence.append(
            reason(WEAK, "the runtime's answers became slow when memory ran short, not before")
        )
    return evidence


def cpu_evidence(case: Case) -> list[Evidence]:
    """Return what the samples say about processors."""
    now = before_the_blow(case)
    if now is None or now.cpu_some_pct < CPU_STARVED_PCT:
        return []
    says = f"tasks waited for a processor {now.cpu_some_pct:.0f} % of the last {BEFORE_S:.0f} s"
    if now.io_some_pct >= SATURATED_PCT:
        return [reason(HINT, says)]
    return [reason(STRONG - 0.1, says)]


def calm_evidence(case: Case) -> list[Evidence]:
    """Return a reason to think of the runtime itself: the node was short of nothing."""
    now = before_the_blow(case)
    if now is None or now.io_some_pct >= 20 or now.memory_full_pct >= 1 or now.cpu_some_pct >= 50:
        return []
    says = (
        f"the node was short of nothing (disk {now.io_some_pct:.0f} %, memory "
        f"{now.memory_full_pct:.0f} %, processor {now.cpu_some_pct:.0f} % stalled)"
    )
    return [reason(WEAK, says)]


def plateau_evidence(case: Case) -> list[Evidence]:
    """Return a reason to think of spent credits: the volume was faster before, and is now flat."""
    now = before_the_blow(case)
    if case.pivot_s is None or now is None or now.io_some_pct < SATURATED_PCT:
        return []
    late = _rates(case.samples, case.pivot_s - 60, case.pivot_s)
    early = _rates(case.samples, case.pivot_s - 3600, case.pivot_s - 60)
    if len(late) < 20 or len(early) < 20 or not any(late):
        return []
    rate = fsum(late) / len(late)
    spread = sqrt(fsum((one - rate) ** 2 for one in late) / len(late))
    flat = spread / rate < FLAT
    was_faster = sorted(early)[-len(early) // 10] > HIGH_RATE * rate
    if not (flat and was_faster):
        return []
    says = f"the volume is flat at {rate / 1e6:.0f} MB/s and was faster before"
    return [reason(STRONG - 0.1, says)]


def _rates(samples: Sequence[Sample], from_s: float, to_s: float) -> list[float]:
    inside = [s for s in samples if from_s <= s.at_s <= to_s and s.disks]
    return [
        (_moved(b) - _moved(a)) / (b.at_s - a.at_s) for a, b in pairwise(inside) if b.at_s > a.at_s
    ]


def _moved(sample: Sample) -> int:
    return max(disk.read_bytes + disk.write_bytes for disk in sample.disks)
