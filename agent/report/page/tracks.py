"""Turn the recorder's running totals into tracks: one value a cell of the timeline.

A track holds what one chart shows; a picture and its table are made from the same values, so that
they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from agent.model import Probe, Psi, Sample
from agent.report.page.movers import movers
from agent.report.page.span import Span, Steps, Values, round_up
from agent.sources.backup_log import Paced

LEAST_PROBE_S = 0.01  # bottom of the logarithmic scale
_LEAST_RATE = 1e6
_HELD_S = 90.0
_CALM_PCT = 5.0  # three pixels of a plot of 66


@dataclass(frozen=True, slots=True)
class Series:
    """One line or area of a track."""

    label: str
    values: Values
    style: str = "area"  # area: from zero; line; mark: as area, in the accent colour


@dataclass(frozen=True, slots=True)
class Track:
    """One chart: series that share a scale."""

    key: str
    title: str
    unit: str  # pct, rate, bytes, wait
    top: float
    series: tuple[Series, ...]
    limit: tuple[float, str] | None = None  # a value worth a line of its own, and what it is
    minor: bool = False  # one of many alike: drawn low

    @property
    def calm(self) -> bool:
        """A pressure that nobody felt all the time: drawn low, with its highest value in words."""
        return self.unit == "pct" and self.highest < _CALM_PCT

    @property
    def highest(self) -> float:
        """The highest value of all series."""
        return max((v for one in self.series for v in one.values if v is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the recorder saw around an incident, and what its tracks have to point out."""

    samples: Sequence[Sample] = ()
    probes: Sequence[Probe] = ()
    timeout_s: float | None = None  # the killer's
    offender: tuple[str, str] = ("", "")  # namespace, name
    paced: Sequence[Paced] = ()


def tracks(span: Span, recorded: Recorded) -> tuple[Track, ...]:
    """Return the charts that have anything to show, in order of the causal chain."""
    inside = [s for s in recorded.samples if span.from_s <= s.at_s < span.to_s]
    asked = [p for p in recorded.probes if span.from_s <= p.at_s < span.to_s]
    steps = Steps.of(span, inside)
    made = [
        *_pods(steps, recorded.offender),
        _disk(steps),
        *_pressures(steps),
        _memory(span, inside),
        _waits(span, asked, recorded.timeout_s),
        _paced(span, recorded.paced),
    ]
    return tuple(track for track in made if track and _seen(track))


def _seen(track: Track) -> bool:
    return any(value is not None for series in track.series for value in series.values)


_PRESSURES = (
    ("memory", "Memory pressure", lambda sample: sample.memory),
    ("io", "Disk pressure", lambda sample: sample.io),
    ("cpu", "CPU pressure", lambda sample: sample.cpu),
)


def _pressures(steps: Steps) -> list[Track]:
    return [
        Track(
            f"psi-{key}",
            title,
            "pct",
            100.0,
            tuple(_stalls(steps, resource, key != "cpu")),
        )
        for key, title, resource in _PRESSURES
    ]


def _stalls(
    steps: Steps, resource: Callable[[Sample], Psi | None], whole: bool
) -> Iterable[Series]:
    def some(a: Sample, b: Sample) -> float | None:
        first, last = resource(a), resource(b)
        return 100 * (last.some_total_s - first.some_total_s) if first and last else None

    def full(a: Sample, b: Sample) -> float | None:
        first, last = resource(a), resource(b)
        return 100 * (last.full_total_s - first.full_total_s) if first and last else None

    yield Series("some tasks waited", _at_most(steps.values(some), 100.0))
    if whole:  # at the node's level the kernel counts no "full" for processors
        yield Series("all tasks waited", _at_most(steps.values(full), 100.0), "dark")


def _at_most(values: Values, top: float) -> Values:
    return tuple(None if value is None else min(value, top) for value in values)


def _disk(steps: Steps) -> Track | None:
    name = _busiest(steps)
    if not name:
        return None

    def moved(read: bool) -> Callable[[Sample, Sample], float | None]:
        def change(a: Sample, b: Sample) -> float | None:
            first = next((d for d in a.disks if d.name == name), None)
            last = next((d for d in b.disks if d.name == name), None)
            if not first or not last:
                return None
            if read:
                return float(last.read_bytes - first.read_bytes)
            return float(last.write_bytes - first.write_bytes)

        return change

    series = (
        Series("read", steps.values(moved(read=True))),
        Series("written", steps.values(moved(read=False)), "line"),
    )
    return Track("disk", f"Disk {name}", "rate", _top(series), series)


def _busiest(steps: Steps) -> str:
    """Name the disk that moved most; partitions and their disk count the same bytes."""
    moved: dict[str, int] = {}
    for a, b in steps.pairs:
        before = {d.name: d.read_bytes + d.write_bytes for d in a.disks}
        for d in b.disks:
            grown = d.read_bytes + d.write_bytes - before.get(d.name, 0)
            if d.name in before and grown > 0:
                moved[d.name] = moved.get(d.name, 0) + grown
    names = [d.name for d in steps.pairs[-1][1].disks] if steps.pairs else []
    return max(moved, key=lambda name: moved[name]) if moved else (names[0] if names else "")


def _pods(steps: Steps, offender: tuple[str, str]) -> Iterable[Track]:
    for rank, mover in enumerate(movers(steps)):
        owner = mover.owner
        named = (owner.namespace, owner.name) == offender
        series = (Series("moved", mover.values, "mark" if named else "dark"),)
        title = f"{owner.namespace}/{owner.name}" if owner.namespace else owner.name
        yield Track(f"mover-{rank}", title, "rate", mover.top, series, minor=True)


def _memory(span: Span, samples: Sequence[Sample]) -> Track:
    found: list[float | None] = [None] * span.cells
    for sample in samples:
        if sample.memory_available_bytes is not None:
            cell = span.cell(sample.at_s)
            known = found[cell]
            value = float(sample.memory_available_bytes)
            found[cell] = value if known is None else min(known, value)
    series = (Series("available", _bridged(found)),)
    return Track("memory", "Memory available", "bytes", _top(series), series)


def _bridged(values: list[float | None]) -> Values:
    """Fill single cells that a slightly late sample skipped."""
    for cell in range(1, len(values) - 1):
        if values[cell] is None and values[cell - 1] is not None and values[cell + 1] is not None:
            values[cell] = values[cell - 1]
    return tuple(values)


def _waits(span: Span, probes: Sequence[Probe], timeout_s: float | None) -> Track:
    """Fill the cells from the question to its answer with the time it took."""
    answered: list[float | None] = [None] * span.cells
    silent: list[float | None] = [None] * span.cells
    for probe in probes:
        cells = answered if probe.answered else silent
        first, last = span.cell(probe.at_s), span.cell(probe.at_s + probe.took_s)
        for cell in range(first, min(max(last, first) + 1, span.cells)):
            cells[cell] = max(cells[cell] or 0.0, probe.took_s)
    series = [Series("answer took", tuple(answered), "dark")]
    if any(value is not None for value in silent):
        series.append(Series("no answer within", tuple(silent), "mark"))
    longest = max((p.took_s for p in probes), default=0.0)
    top = max(longest, timeout_s or 0.0, 1.0) * 1.5
    limit = (timeout_s, "the killer's usual timeout") if timeout_s else None
    return Track("probe", "Runtime probe", "wait", top, tuple(series), limit)


def _paced(span: Span, paced: Sequence[Paced]) -> Track:
    """Hold each rate until the governor says another; it says one a minute while it works."""
    allowed: list[float | None] = [None] * span.cells
    achieved: list[float | None] = [None] * span.cells
    for one, after in zip_longest(paced, paced[1:]):
        until = span.cell(min(after.at_s, one.at_s + _HELD_S)) if after else span.cell(one.at_s) + 1
        for cell in range(max(span.cell(one.at_s), 0), min(until, span.cells)):
            allowed[cell], achieved[cell] = one.allowed_bytes_s, one.achieved_bytes_s
    series = (
        Series("achieved", tuple(achieved)),
        Series("allowed", tuple(allowed), "line"),
    )
    return Track("backup", "Backup", "rate", _top(series), series)


def _top(series: Iterable[Series]) -> float:
    """Choose a round end of the scale above every value."""
    most = max((v for one in series for v in one.values if v is not None), default=0.0)
    return round_up(max(most, _LEAST_RATE))
