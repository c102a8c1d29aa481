"""How much the volume moves in all, how much it can, and what that leaves over for the backup.

A volume that is full moves exactly what it can, so each cut also measures its limit: bytes and
requests a second, of everybody together. From then on the room for the backup is a subtraction,
which follows a foreground that grows or shrinks without ever touching the cliff again.

A full volume does not say which of its two limits was met: bytes, until fewer bytes than before
pass and no fewer requests. A limit is doubted after a while, and pushed until it is met again, ever
more rarely: credits come back and volumes are resized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

SMOOTH_S = 0.4
FULL_S = 0.2
"""Two slices of a throttler: what a full volume moved lately."""

SPREAD_S = 3.0
SAME, LESS, TIE, MANY, NEWER = 0.06, 0.14, 0.05, 1.2, 0.7
DOUBT_FIRST_PER_S, DOUBT_PER_S, ESCAPE_PER_S = 0.05, 0.04, 1.0
CREEP_PER_S = 0.0002
LEANED, BRIMMING = 0.9, 0.87
BACK_OFF, FIRST_BACK_OFF, LAGGING_BACK_OFF = 0.985, 0.98, 0.88
"""A volume has saved up some credit when it is met, and moves more for a moment than it can."""

SAVED_UP, PUSHED = 1.25, 0.2

DOUBTED_AFTER_S, DOUBTED_TIMES, DOUBTED_AT_MOST_S = 2.5, 6, 30.0
MARGIN_LEAST, MARGIN_MOST, SPREADS = 0.02, 0.2, 0.37
SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Moved:
    """What one volume moved in one interval, reads and writes together."""

    bytes_per_s: float
    requests_per_s: float


@dataclass(frozen=True, slots=True)
class Flow:
    """One of the volume's two currencies, bytes or requests a second."""

    smooth: float = 0.0
    lately: float = 0.0
    variance: float = 0.0
    """Of the amounts in one throttler's slice, as a rate."""
    limit: float = math.inf
    """The most that is held to be possible: what was measured, and how far it has drifted since."""
    measured: float = math.inf
    met: int = 0
    """How often it has been met again."""
    met_at_s: float = -math.inf

    @property
    def target(self) -> float:
        """The most to lean on: the limit, less what chance alone adds in one slice."""
        if math.isinf(self.limit):
            return math.inf
        margin = SPREADS * math.sqrt(self.variance) / max(self.limit, 1.0)
        return self.limit * (1 - min(max(margin, MARGIN_LEAST), MARGIN_MOST))


@dataclass(frozen=True, slots=True)
class Volume:
    """What is known of the volume below the database; everything per second."""

    bytes: Flow = field(default_factory=Flow)
    requests: Flow = field(default_factory=Flow)
    own_bytes_per_s: float = 0.0
    """The backup's part, smoothed as the rest is."""

    @property
    def seen(self) -> bool:
        """Whether its counters have ever said anything."""
        return self.bytes.smooth > 0

    @property
    def known(self) -> bool:
        """Whether it has been full once."""
        return not math.isinf(self.bytes.limit)

    @property
    def brimming(self) -> bool:
        """Whether it moves about as much as it ever did when it was full."""
        return self.known and (_brimming(self.bytes) or _brimming(self.requests))

    def left_bytes_per_s(self, request_bytes: float) -> float:
        """Return what the others leave of the limits, in bytes of the backup's requests."""
        others_bytes = max(0.0, self.bytes.smooth - self.own_bytes_per_s)
        others = max(0.0, self.requests.smooth - self.own_bytes_per_s / request_bytes)
        by_requests = (self.requests.target - others) * request_bytes
        return max(0.0, min(self.bytes.target - others_bytes, by_requests))


def observe(
    volume: Volume, moved: Moved, own_bytes_per_s: float, passed_s: float, *, steady: bool
) -> Volume:
    """Bring the averages up to date with one interval.

    ``steady`` says that the backup did not change its own rate on purpose: only then is what varies
    the others' doing.
    """
    return Volume(
        _averaged(volume.bytes, moved.bytes_per_s, passed_s, steady=steady),
        _averaged(volume.requests, moved.requests_per_s, passed_s, steady=steady),
        _towards(volume.own_bytes_per_s, own_bytes_per_s, passed_s / SMOOTH_S),
    )


def full(volume: Volume, now_s: float) -> Volume:
    """Learn from a moment in which the volume was full.

    Which limit was met shows beside what was possible once: where fewer bytes passed, but no fewer
    requests, or far more requests than ever, it was the requests.
    """
    size, count = volume.bytes, volume.requests
    if math.isinf(size.limit):
        return replace(volume, bytes=_first_met(size, now_s), requests=_passed(count))
    by_size, by_count = _share(size), _share(count)
    if max(by_size, by_count) < 1 - LESS:
        unknown = replace(count, limit=math.inf, measured=count.lately, met=0)
        return replace(volume, bytes=_first_met(size, now_s), requests=unknown)
    if by_size > by_count - TIE or (by_size > 1 - TIE and by_count < MANY):
        return replace(volume, bytes=_met(size, now_s), requests=_passed(count))
    return replace(volume, requests=_met(count, now_s))


def undisturbed(volume: Volume, now_s: float, passed_s: float) -> Volume:
    """Learn from an interval in which nobody waited: what was moved then is below the limit."""
    return replace(
        volume,
        bytes=_drifted(volume.bytes, now_s, passed_s),
        requests=_drifted(volume.requests, now_s, passed_s),
    )


def _averaged(flow: Flow, now: float, passed_s: float, *, steady: bool) -> Flow:
    variance = flow.variance
    if steady:  # amounts in parts of a slice vary more than those in whole ones
        deviation = (now - flow.smooth) ** 2 * min(passed_s / SLICE_S, 1.0)
        variance = _towards(variance, deviation, passed_s / SPREAD_S)
    return replace(
        flow,
        smooth=_towards(flow.smooth, now, passed_s / SMOOTH_S),
        lately=_towards(flow.lately, now, passed_s / FULL_S),
        variance=variance,
    )


def _towards(old: float, new: float, steps: float) -> float:
    return old + (1 - math.exp(-steps)) * (new - old)


def _share(flow: Flow) -> float:
    return flow.lately / max(flow.measured, 1.0)


def _brimming(flow: Flow) -> bool:
    return flow.limit < math.inf and flow.lately >= BRIMMING * flow.measured


def _met(flow: Flow, now_s: float) -> Flow:
    if math.isinf(flow.limit):
        return _first_met(flow, now_s)
    if flow.lately > (1 + SAME) * flow.measured:
        return _pushed(flow, now_s) if _proven(flow, now_s) else _first_met(flow, now_s)
    measured = flow.measured + NEWER * (flow.lately - flow.measured)
    limit = BACK_OFF * measured
    return replace(flow, limit=limit, measured=measured, met=flow.met + 1, met_at_s=now_s)


def _pushed(flow: Flow, now_s: float) -> Flow:
    """Learn from a push that went too far: what held before it holds still.

    A little more than that was spent from what the volume had saved up, and is no new limit.
    """
    if flow.lately > SAVED_UP * flow.measured:
        fresh = _first_met(flow, now_s)
        return replace(fresh, limit=max(fresh.limit, BACK_OFF * flow.measured))
    measured = flow.measured + PUSHED * (flow.lately - flow.measured)
    limit = BACK_OFF * measured
    return replace(flow, limit=limit, measured=measured, met=flow.met + 1, met_at_s=now_s)


def _proven(flow: Flow, now_s: float) -> bool:
    """Say whether a limit has been leaned on for so long, unharmed, that it was doubted."""
    return now_s - flow.met_at_s > _trusted_s(flow)


def _trusted_s(flow: Flow) -> float:
    return min(DOUBTED_AFTER_S * math.pow(DOUBTED_TIMES, flow.met), DOUBTED_AT_MOST_S)


def _first_met(flow: Flow, now_s: float) -> Flow:
    measured = min(flow.lately, flow.smooth)
    lagging = flow.limit < math.inf and measured < flow.limit
    limit = (LAGGING_BACK_OFF if lagging else FIRST_BACK_OFF) * measured
    return replace(flow, limit=limit, measured=measured, met=int(lagging), met_at_s=now_s)


def _passed(flow: Flow) -> Flow:
    """Keep what was possible beside another limit."""
    measured = flow.lately if math.isinf(flow.measured) else max(flow.measured, flow.lately)
    return replace(flow, measured=measured, limit=max(flow.limit, measured))


def _drifted(flow: Flow, now_s: float, passed_s: float) -> Flow:
    if math.isinf(flow.limit) or flow.smooth < LEANED * flow.target:
        return flow
    if flow.smooth > flow.limit:
        return replace(flow, limit=flow.smooth)
    speed = CREEP_PER_S
    if _proven(flow, now_s):
        first = DOUBT_PER_S if flow.met else DOUBT_FIRST_PER_S
        speed = first + ESCAPE_PER_S * max(0.0, flow.limit / max(flow.measured, 1.0) - 1)
    return replace(flow, limit=flow.limit * (1 + speed * passed_s))
