"""What the law is given and what it remembers: bounds, a reading, the state."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from backup.law.volume import Moved, Volume

LEAST_BYTES_PER_S = 256e3
"""Enough to notice that the disk is free again, too little to be noticed."""

READ_AHEAD_BYTES = 131_072.0
"""The kernel's default."""

DRAIN_S = 0.4
"""After a cut, less for a moment: what has queued drains, and a volume saves up a little credit."""

SLOWDOWN_S = 0.4
SLOWDOWN_SHARE = 0.1
"""Of the rate, while the backup stands aside so that the base delay can be measured."""


@dataclass(frozen=True, slots=True)
class Law:
    """What bounds the law: MAX_RATE above, the deadline's demand below."""

    ceiling_bytes_per_s: float
    floor_bytes_per_s: float = 0.0
    longest_pause_s: float = math.inf
    """What the server's timeouts leave of a pause."""
    elsewhere: bool = False
    """The server may stand on another node: of its disk only our own progress tells."""
    request_bytes: float = READ_AHEAD_BYTES
    """What one of the walsender's requests fetches from the volume: its read-ahead."""

    @property
    def least_bytes_per_s(self) -> float:
        """The lowest rate the law may choose; only a pause goes below."""
        return min(max(self.floor_bytes_per_s, LEAST_BYTES_PER_S), self.ceiling_bytes_per_s)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sensors say at one moment; None where there is no such sensor."""

    now_s: float
    queue_s: float | None
    """The probe's delay above ``base_s``; an unanswered probe counts with its age."""
    base_s: float
    psi_stalled_share: float | None
    """Share of the last interval in which tasks waited for the disk, above the calm share."""
    achieved_bytes_per_s: float
    """Bytes the reader took since the last reading, by the time since."""
    killer_grade: bool = False
    noise_s: float = 0.0
    """How far above ``base_s`` calm answers lie."""
    usual_queue_s: float | None = None
    """The same of the median of the latest answers: one alone may have waited for a processor."""
    wanting: float = 1.0
    """Share of the time since the last reading in which the reader waited for the server.

    The rest it was held by us, or busy: what it did not take then is nobody else's fault.
    """
    moved: Moved | None = None
    """By the volume below the database, in all; None where its counters are not seen."""


@dataclass(frozen=True, slots=True)
class Knee:
    """The rate at which the disk last had enough, and how often that has been found again."""

    bytes_per_s: float
    at_s: float
    found: int = 1


@dataclass(frozen=True, slots=True)
class State:
    """All that the law remembers."""

    at_s: float
    rate_bytes_per_s: float
    reason: str = "slow start"
    starting: bool = True
    knee: Knee | None = None
    cut_at_s: float = -math.inf
    achieved_bytes_per_s: float = 0.0
    last_bytes_per_s: float = 0.0
    peak_bytes_per_s: float = 0.0
    peak_at_s: float = -math.inf
    """The most achieved of late: a moment without data says nothing about the disk."""
    recent_bytes_per_s: float = 0.0
    """Achieved in the last two intervals: one slice of a throttler."""
    lagged_bytes_per_s: float = 0.0
    """The rate about one reaction time ago."""
    drain_share: float = 1.0
    owed_bytes: float = 0.0
    paused_until_s: float = -math.inf
    hold_s: float = 0.0
    slowdown_at_s: float = math.inf
    floor_bytes_per_s: float = 0.0
    """What the deadline demands now: no moment of standing aside goes below."""
    harmed: bool = False
    """The probe says that others wait now."""
    doubtful: bool = False
    """Neither pressure nor most of the probes are bad: it may be a processor that we wait for."""
    hesitating: bool = False
    """The last cut was made in doubt."""
    doubts: int = 0
    """How often that has been so in a row: what comes again and again is believed."""
    volume: Volume = field(default_factory=Volume)
    surprised: bool = False
    """The last cut came while the volume moved far less than it once could."""
    curious: bool = False
    """Something looks odd, or is being measured: probes should come faster."""

    @property
    def paused(self) -> bool:
        """Nothing may be read now."""
        return self.at_s < self.paused_until_s

    @property
    def slowed(self) -> bool:
        """The planned slowdown of this minute is under way."""
        return self.at_s >= self.slowdown_at_s

    @property
    def draining(self) -> bool:
        """A cut was made a moment ago, and what had queued is still being served."""
        return self.at_s - self.cut_at_s < DRAIN_S

    @property
    def allowed_bytes_per_s(self) -> float:
        """The rate for the pacer: the law's, unless it pauses or stands aside for a moment."""
        if self.paused:
            return 0.0
        share = self.drain_share if self.draining else SLOWDOWN_SHARE if self.slowed else 1.0
        return max(
            self.rate_bytes_per_s * share, min(self.rate_bytes_per_s, self.floor_bytes_per_s)
        )
