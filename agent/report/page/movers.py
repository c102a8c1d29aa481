"""Who moved the bytes: the control groups that moved most, each with its rate a cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.model import CgroupCounters, Sample, Subject
from agent.report.page.span import Steps, Values, round_up

MOST_SHOWN = 5
CHECK_EVERY = 30  # samples; who moved most over a time shows in its running totals
_LEAST_TOP = 1e6


@dataclass(frozen=True, slots=True)
class Mover:
    """A pod or unit and the bytes a second it read and wrote."""

    owner: Subject
    values: Values
    top: float  # end of the scale all movers share


def movers(steps: Steps) -> tuple[Mover, ...]:
    """Return those who moved most, the largest first; nobody when nobody moved anything."""
    samples = [a for a, _ in steps.pairs] + [b for _, b in steps.pairs[-1:]]
    owners = largest([*samples[::CHECK_EVERY], *samples[-1:]])
    if not owners:
        return ()
    rates = [steps.values(_Follower(owner).change) for owner in owners]
    most = max((v for values in rates for v in values if v is not None), default=0.0)
    top = round_up(max(most, _LEAST_TOP))
    return tuple(Mover(owner, values, top) for owner, values in zip(owners, rates, strict=True))


def largest(checked: Iterable[Sample], most: int = MOST_SHOWN) -> list[Subject]:
    """Name those who moved most, by samples some time apart; pure, and never all in memory."""
    moved: dict[Subject, int] = {}
    before: dict[Subject, int] = {}
    for sample in checked:
        now = {group.owner: group.read_bytes + group.write_bytes for group in sample.cgroups}
        for owner, total in now.items():
            grown = total - before.get(owner, total)
            if grown > 0:
                moved[owner] = moved.get(owner, 0) + grown
        before = now
    return sorted(moved, key=lambda owner: (-moved[owner], str(owner)))[:most]


@dataclass(slots=True)
class _Follower:
    """Finds one owner in sample after sample; it mostly stays at its place."""

    owner: Subject
    place: int = 0
    last: tuple[Sample | None, int | None] = (None, None)  # and the bytes moved until it

    def change(self, a: Sample, b: Sample) -> float | None:
        first = self.last[1] if self.last[0] is a else self._moved(a)
        moved = self._moved(b)
        self.last = b, moved
        return None if first is None or moved is None else float(moved - first)

    def _moved(self, sample: Sample) -> int | None:
        found = self._find(sample)
        return found.read_bytes + found.write_bytes if found else None

    def _find(self, sample: Sample) -> CgroupCounters | None:
        groups = sample.cgroups
        if self.place < len(groups) and groups[self.place].owner is self.owner:
            return groups[self.place]
        for place, group in enumerate(groups):
            if group.owner == self.owner:
                self.place = place
                self.owner = group.owner
                return group
        return None
