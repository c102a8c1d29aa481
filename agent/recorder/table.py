"""The last minutes as a person wants them: what was short, who moved bytes, how slow it was.

Pure: a Recording and a span in, lines out. Rates come from running totals, never from averages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agent.model import CgroupCounters, DiskCounters, Probe, Psi, Sample, Subject
from agent.printable import safe
from agent.recorder.process_table import columns_of, is_asked_for, process_lines
from agent.recorder.ring_read import Recording
from agent.times import clock

_BARS = "▁▂▃▄▅▆▇█"
_ASCII_BARS = "._-=+*#@"
_TOP = 8


@dataclass(frozen=True, slots=True)
class Look:
    """What to show and how wide."""

    pod: str = ""  # NAMESPACE/NAME, a name or a uid; empty: everybody
    columns: int = 40
    unicode: bool = True


@dataclass(frozen=True, slots=True)
class _Use:
    """What one owner used between the first and the last sample that know it."""

    owner: Subject
    container: str
    moved_bytes: int
    cpu_s: float
    memory_bytes: int
    refaults: int
    io_stalled_s: float


def table(recording: Recording, look: Look) -> str:
    """Return the whole page."""
    samples = recording.samples
    if len(samples) < 2:
        return "knockon: the ring holds fewer than two samples of that time\n"
    lines = [_title(samples), "", *_node_lines(samples, look)]
    lines += _probe_lines(recording.probes, samples, look)
    lines += ["", *_use_lines(samples, look)]
    lines += process_lines(recording.processes, samples[-1].at_s - samples[0].at_s, look.pod)
    notes = [
        *recording.limits,
        *(_blind(spot.why, spot.from_s, spot.to_s) for spot in recording.blind),
    ]
    lines += ["", *(f"  not seen: {safe(note)}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def _title(samples: Sequence[Sample]) -> str:
    first_s, last_s = samples[0].at_s, samples[-1].at_s
    span_s = last_s - first_s
    return f"{clock(first_s)} to {clock(last_s)} UTC, {len(samples)} samples in {span_s:.0f} s"


def _blind(why: str, from_s: float | None, to_s: float | None) -> str:
    if from_s is None and to_s is None:
        return why
    return f"{clock(from_s)} to {clock(to_s)}: {why}"


def _node_lines(samples: Sequence[Sample], look: Look) -> list[str]:
    lines: list[str] = []
    for name in ("io", "memory", "cpu"):
        for half in ("some", "full"):
            if name == "cpu" and half == "full":  # the kernel keeps it at nought for the whole node
                continue
            values = _stalled(samples, name, half)
            if values:
                lines.append(_line(f"{name} {half} stalled", values, "%", look))
    disk = _busiest(samples)
    if disk:
        busy, moved = _disk_rates(samples, disk)
        lines.append(_line(f"disk {safe(disk, 12)} busy", busy, "%", look))
        lines.append(_line(f"disk {safe(disk, 12)} moved", moved, "MB/s", look))
    available = [
        s.memory_available_bytes / 1e6 for s in samples if s.memory_available_bytes is not None
    ]
    if available:
        lines.append(_line("memory available", available, "MB", look))
    again = [
        float(max(b.refaults - a.refaults, 0))
        for a, b in pairwise(samples)
        if a.refaults is not None and b.refaults is not None
    ]
    if again:
        lines.append(_line("pages read again", again, "/s", look))
    return lines


def _stalled(samples: Sequence[Sample], name: str, half: str) -> list[float]:
    values: list[float] = []
    for a, b in pairwise(samples):
        before: Psi | None = getattr(a, name)
        after: Psi | None = getattr(b, name)
        if before and after and b.at_s > a.at_s:
            grown_s = getattr(after, f"{half}_total_s") - getattr(before, f"{half}_total_s")
            values.append(min(max(100 * grown_s / (b.at_s - a.at_s), 0.0), 100.0))
    return values


def _busiest(samples: Sequence[Sample]) -> str:
    first = {disk.name: disk.busy_s for disk in samples[0].disks}
    grown = {d.name: d.busy_s - first[d.name] for d in samples[-1].disks if d.name in first}
    return max(grown, key=lambda name: grown[name], default="")


def _disk_rates(samples: Sequence[Sample], name: str) -> tuple[list[float], list[float]]:
    busy: list[float] = []
    moved: list[float] = []
    for a, b in pairwise(samples):
        before, after, span_s = _disk(a, name), _disk(b, name), b.at_s - a.at_s
        if before and after and span_s > 0:
            busy.append(min(max(100 * (after.busy_s - before.busy_s) / span_s, 0.0), 100.0))
            grown = _moved(after) - _moved(before)
            moved.append(max(grown, 0) / span_s / 1e6)
    return busy, moved


def _disk(sample: Sample, name: str) -> DiskCounters | None:
    return next((disk for disk in sample.disks if disk.name == name), None)


def _moved(one: DiskCounters | CgroupCounters) -> int:
    return one.read_bytes + one.write_bytes


def _probe_lines(probes: Sequence[Probe], samples: Sequence[Sample], look: Look) -> list[str]:
    inside = [p for p in probes if samples[0].at_s <= p.at_s <= samples[-1].at_s]
    lines: list[str] = []
    for question in dict.fromkeys(probe.question for probe in inside):
        asked = [probe for probe in inside if probe.question == question]
        line = _line(safe(question, 20), [p.took_s for p in asked], "s", look)
        silent = sum(not probe.answered for probe in asked)
        lines.append(f"{line}, {silent} unanswered" if silent else line)
    return lines


def _line(name: str, values: Sequence[float], unit: str, look: Look) -> str:
    bars = sparkline(values, look.columns, look.unicode)
    return (
        f"  {name:<20} {bars:<{look.columns}}  now {values[-1]:.4g}, most {max(values):.4g} {unit}"
    )


def sparkline(values: Sequence[float], columns: int, unicode: bool = True) -> str:
    """Draw values as bars, the largest of each column, scaled from nought to the largest.

    >>> sparkline([0, 1, 2, 7], 4)
    '▁▂▃█'
    """
    bars = _BARS if unicode else _ASCII_BARS
    if not values:
        return ""
    count = min(columns, len(values))
    peaks = [
        max(values[len(values) * n // count : len(values) * (n + 1) // count]) for n in range(count)
    ]
    top = max(peaks)
    if top <= 0:
        return bars[0] * count
    return "".join(bars[min(max(int(8 * peak / top), 0), 7)] for peak in peaks)


def _use_lines(samples: Sequence[Sample], look: Look) -> list[str]:
    span_s = samples[-1].at_s - samples[0].at_s
    used = _used([s.cgroups for s in samples], look.pod)
    if look.pod:
        used += _used([s.containers for s in samples], look.pod)
    used.sort(key=lambda use: (bool(use.container), -use.moved_bytes, -use.cpu_s))
    by_cpu = sorted(used, key=lambda use: -use.cpu_s)[: _TOP // 2]
    shown = used if look.pod else list(dict.fromkeys([*used[:_TOP], *by_cpu]))
    if not shown:
        return [f"  no control group of {safe(look.pod)}" if look.pod else "  no control groups"]
    head = ("who", "MB/s", "CPU", "memory MB", "io stalled", "pages read again")
    return columns_of([head, *(_cells(use, span_s) for use in shown)])


def _used(seconds: Iterable[Sequence[CgroupCounters]], pod: str) -> list[_Use]:
    first: dict[tuple[Subject, str], CgroupCounters] = {}
    last: dict[tuple[Subject, str], CgroupCounters] = {}
    for groups in seconds:
        for group in groups:
            key = (group.owner, group.container)
            first.setdefault(key, group)
            last[key] = group
    return [
        _Use(
            owner=owner,
            container=container,
            moved_bytes=max(_moved(end) - _moved(first[owner, container]), 0),
            cpu_s=max(end.cpu_s - first[owner, container].cpu_s, 0.0),
            memory_bytes=end.memory_bytes,
            refaults=max(end.refaults - first[owner, container].refaults, 0),
            io_stalled_s=max(end.io_stalled_s - first[owner, container].io_stalled_s, 0.0),
        )
        for (owner, container), end in last.items()
        if is_asked_for(owner, pod)
    ]


def _cells(use: _Use, span_s: float) -> tuple[str, ...]:
    owner = use.owner
    name = (
        f"{owner.namespace}/{owner.name}" if owner.namespace else owner.name or f"pod {owner.uid}"
    )
    return (
        safe(f"  container {use.container}" if use.container else name, 60),
        f"{use.moved_bytes / span_s / 1e6:.2f}",
        f"{100 * use.cpu_s / span_s:.1f} %",
        f"{use.memory_bytes / 1e6:.1f}",
        f"{100 * use.io_stalled_s / span_s:.0f} %",
        f"{use.refaults}",
    )
