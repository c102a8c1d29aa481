"""Deadline and WAL: what a slow backup costs, and whether it can still be on time.

A guard decides nothing in silence. It forecasts from what was achieved, says at least half an hour
ahead what cannot be met, and only where the deadline is meant to be kept at any price does it
demand a floor from the law; then it says who will pay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

AHEAD_S = 1800.0
PACE_S = 300.0
"""Progress is judged over minutes: a pause of a minute is no forecast."""

LEARN_S = 30.0
MARGIN = 1.1
WAL_SHARE = 0.5
"""Of the room on the WAL's volume that a backup may take while nothing can be recycled."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when the backup must be done, and whether others may be harmed for it."""

    at_s: float
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the backup is, and what its WAL takes meanwhile."""

    now_s: float
    done_bytes: int
    total_bytes: int | None
    """None while the server has not said."""
    wal_kept_bytes: int = 0
    wal_room_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence that somebody has to read; ``kind`` is said once until it changes."""

    kind: str
    at_s: float
    says: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the guards see coming."""

    floor_bytes_per_s: float = 0.0
    eta_s: float | None = None
    will_miss: bool = False
    wal_full_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Pace:
    at_s: float
    done_bytes: int
    bytes_per_s: float
    wal_bytes: int
    wal_bytes_per_s: float


class Guards:
    """Watches one run; keeps what it has said, so that it says it once."""

    def __init__(self, deadline: Deadline | None = None) -> None:
        self.deadline = deadline
        self._began_s: float | None = None
        self._pace: _Pace | None = None
        self._said: set[str] = set()

    def check(self, progress: Progress) -> tuple[Outlook, tuple[Notice, ...]]:
        """Forecast from the progress so far; returns what is new to say beside the outlook."""
        pace = self._learn(progress)
        if progress.now_s - (self._began_s or 0.0) < LEARN_S:
            return Outlook(), ()
        outlook = self._forecast(progress, pace)
        told = [*self._about_deadline(progress, outlook), *self._about_wal(progress, outlook)]
        fresh = tuple(notice for notice in told if notice.kind not in self._said)
        self._said |= {notice.kind for notice in fresh}
        return outlook, fresh

    def _learn(self, progress: Progress) -> _Pace:
        old = self._pace
        if old is None or self._began_s is None:
            self._began_s = progress.now_s
            new = _Pace(progress.now_s, progress.done_bytes, 0.0, progress.wal_kept_bytes, 0.0)
        else:
            passed_s = progress.now_s - old.at_s
            if passed_s <= 0:
                return old
            age_s = progress.now_s - self._began_s
            weight = min(1.0, passed_s / min(PACE_S, max(age_s, passed_s)))
            rate = (progress.done_bytes - old.done_bytes) / passed_s
            wal = max(0.0, (progress.wal_kept_bytes - old.wal_bytes) / passed_s)
            new = _Pace(
                progress.now_s,
                progress.done_bytes,
                old.bytes_per_s + weight * (rate - old.bytes_per_s),
                progress.wal_kept_bytes,
                old.wal_bytes_per_s + weight * (wal - old.wal_bytes_per_s),
            )
        self._pace = new
        return new

    def _forecast(self, progress: Progress, pace: _Pace) -> Outlook:
        outlook = Outlook(self._demand(progress, pace))
        if progress.total_bytes is not None and pace.bytes_per_s > 0:
            left = max(0, progress.total_bytes - progress.done_bytes)
            eta_s = progress.now_s + left / pace.bytes_per_s
            late = self.deadline is not None and eta_s > self.deadline.at_s
            outlook = replace(outlook, eta_s=eta_s, will_miss=late)
        elif progress.total_bytes is not None and self.deadline is not None:
            outlook = replace(outlook, will_miss=progress.done_bytes < progress.total_bytes)
        if progress.wal_room_bytes is not None and pace.wal_bytes_per_s > 0:
            room = WAL_SHARE * progress.wal_room_bytes - progress.wal_kept_bytes
            full_s = progress.now_s + max(0.0, room) / pace.wal_bytes_per_s
            outlook = replace(outlook, wal_full_at_s=full_s)
        return outlook

    def _demand(self, progress: Progress, pace: _Pace) -> float:
        """Return the floor: nothing while there is slack, then what is left by the time left."""
        deadline = self.deadline
        if deadline is None or not deadline.keep or progress.total_bytes is None:
            return 0.0
        left = progress.total_bytes - progress.done_bytes
        left_s = deadline.at_s - progress.now_s
        if left <= 0 or left_s <= 0:  # past the deadline there is nothing left to save by haste
            return 0.0
        needed = MARGIN * left / left_s
        return needed if pace.bytes_per_s < needed else 0.0

    def _about_deadline(self, progress: Progress, outlook: Outlook) -> list[Notice]:
        deadline, now_s = self.deadline, progress.now_s
        if deadline is None:
            return []
        if now_s >= deadline.at_s and progress.done_bytes < (progress.total_bytes or 1):
            return [Notice("deadline missed", now_s, "the deadline has passed; the backup goes on")]
        if not (outlook.will_miss or outlook.floor_bytes_per_s):
            return []
        ahead_s = deadline.at_s - now_s
        needs = (
            f"at the present pace the backup misses its deadline in {ahead_s / 60:.0f} min: "
            f"{_left(progress) / 1e9:.1f} GB are left, {_left(progress) / 1e6 / ahead_s:.1f} MB/s "
            f"would be needed and {(self._pace.bytes_per_s if self._pace else 0) / 1e6:.1f} MB/s "
            "go without harm"
        )
        then = (
            "; it will be kept, and the disk's other users will wait for it"
            if deadline.keep
            else "; it will be missed, and nobody will wait for it"
        )
        return [Notice("deadline", now_s, needs + then)]

    def _about_wal(self, progress: Progress, outlook: Outlook) -> list[Notice]:
        full_s = outlook.wal_full_at_s
        if full_s is None:
            return []
        now_s, share = progress.now_s, f"{WAL_SHARE:.0%} of the room for WAL"
        if full_s <= now_s:
            return [Notice("wal full", now_s, f"the backup has kept back more than {share}")]
        before_end = outlook.eta_s is None or full_s < outlook.eta_s
        if not before_end or full_s - now_s > 2 * AHEAD_S:
            return []
        minutes = (full_s - now_s) / 60
        says = f"in {minutes:.0f} min WAL kept back by the backup will fill {share}, before it ends"
        return [Notice("wal", now_s, says)]


def _left(progress: Progress) -> int:
    return max(0, (progress.total_bytes or 0) - progress.done_bytes)
