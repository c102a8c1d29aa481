"""The law: from what the sensors say to the rate allowed. Pure; time is part of the reading.

Additive climb and multiplicative cut, with four additions that the plant showed to be needed:

- *anti-windup*: never above 1.15 times what was achieved, or the rate says nothing any more;
- *one cut per reaction time*: what the last cut did is not visible earlier;
- *knee memory*: the knee of a capped volume is a cliff without warning (no delay at 95 % of the
  leftover, 90 ms at 101 %), so the rate at the last cut is remembered, approached fast up to 93 %,
  then slowly, and left behind ever faster once it has proved to be gone;
- *own progress*: bytes allowed and not delivered are owed, and a debt that grows is the knee, seen
  without asking the disk anything (MS Manners, SOSP '99).

There is no knob but the ceiling and the floor that a deadline asks for.
"""

from __future__ import annotations

import math
from dataclasses import replace

from backup.knee import REACTION_S, climb, cut, drain
from backup.state import (
    LEAST_BYTES_PER_S,
    SLOWDOWN_S,
    Knee,
    Law,
    Reading,
    State,
)

__all__ = ["INTERVAL_S", "LEAST_BYTES_PER_S", "Knee", "Law", "Reading", "State", "begin", "step"]

INTERVAL_S = 0.05
"""How often the law is meant to be asked; a reading may come later, never wrong for it."""

WINDUP = 1.15
START_BYTES_PER_S = 4e6
QUEUE_FLOOR_S, QUEUE_CEILING_S = 0.002, 0.05
PSI_SHARE = 0.35
OWED_S = 0.01
OWED_BYTES = 130_000  # reads come in lumps
LOSS_ALLOWED = 0.01
SMOOTH_S = 0.15
STILL = 0.3
SLOWDOWN_EVERY_S = 60.0
HOLD_LEAST_S, HOLD_MOST_S = 1.0, 60.0
_PAUSED = "paused: the probe was close to a kill"


def begin(now_s: float, law: Law) -> State:
    """Return the state before the first byte."""
    rate = min(max(START_BYTES_PER_S, law.least_bytes_per_s), law.ceiling_bytes_per_s)
    return State(now_s, rate, slowdown_at_s=now_s + SLOWDOWN_EVERY_S)


def step(state: State, reading: Reading, law: Law) -> State:
    """Return the next state; a reading that is not newer changes nothing but a pause."""
    passed_s = min(reading.now_s - state.at_s, 1.0)
    if reading.killer_grade and not state.paused:
        return _pause(state, reading, law)
    if passed_s <= 0:
        return state
    was_paused = state.paused
    seen = replace(_observe(state, reading, passed_s), floor_bytes_per_s=law.floor_bytes_per_s)
    if _reader_stands_still(seen, reading):
        seen = replace(seen, owed_bytes=0.0)
    if seen.paused:
        return replace(seen, reason=_PAUSED)
    if was_paused:
        return _resume(seen, law)
    over = _over(seen, reading)
    harmed = _probe_over(reading) > 1
    seen = replace(seen, harmed=harmed, curious=over > 0.5 or _psi_over(reading) > 1)
    if over > 1 and seen.at_s - seen.cut_at_s >= REACTION_S:
        seen = replace(seen, slowdown_at_s=_next_slowdown_s(seen))
        return _bounded(cut(seen, over), reading, law)
    if seen.draining:
        return drain(seen, over)
    if seen.slowed:
        return _stand_aside(seen)
    return _bounded(climb(seen, passed_s), reading, law)


def queue_limit_s(reading: Reading) -> float:
    """Return the delay above base from which on others are held to be waiting for us."""
    calm_s = max(QUEUE_FLOOR_S, 2 * reading.noise_s, reading.base_s)
    return min(calm_s, max(QUEUE_CEILING_S, 2 * reading.base_s))


def _probe_over(reading: Reading) -> float:
    return 0.0 if reading.queue_s is None else reading.queue_s / queue_limit_s(reading)


def _psi_over(reading: Reading) -> float:
    return (reading.psi_stalled_share or 0.0) / PSI_SHARE


def _over(state: State, reading: Reading) -> float:
    """Return how far the worst signal is over its limit (1: at it).

    Pressure counts the backup's own waits too: where a probe can be asked, pressure only makes it
    be asked at once; where none can, pressure must do.
    """
    owed = state.owed_bytes / (OWED_BYTES + OWED_S * state.rate_bytes_per_s)
    asked = _psi_over(reading) if reading.queue_s is None else _probe_over(reading)
    return max(owed, asked)


def _reader_stands_still(state: State, reading: Reading) -> bool:
    """Nothing comes, and no sensor sees anyone wait: an upload holds the reader, not the disk."""
    if reading.queue_s is None and reading.psi_stalled_share is None:
        return False
    waits = _probe_over(reading) > 0.5 or _psi_over(reading) > 0.5
    return not waits and reading.achieved_bytes_per_s < STILL * state.rate_bytes_per_s


def _observe(state: State, reading: Reading, passed_s: float) -> State:
    """Bring the smoothed progress and the debt up to date; standing aside teaches neither."""
    if state.draining or state.slowed:
        return replace(state, at_s=reading.now_s)
    rate = state.rate_bytes_per_s
    owed = (1 - LOSS_ALLOWED) * rate - reading.achieved_bytes_per_s
    return replace(
        state,
        at_s=reading.now_s,
        achieved_bytes_per_s=_towards(
            state.achieved_bytes_per_s, reading.achieved_bytes_per_s, passed_s / SMOOTH_S
        ),
        last_bytes_per_s=reading.achieved_bytes_per_s,
        recent_bytes_per_s=(reading.achieved_bytes_per_s + state.last_bytes_per_s) / 2,
        lagged_bytes_per_s=_towards(state.lagged_bytes_per_s, rate, passed_s / REACTION_S),
        owed_bytes=max(0.0, state.owed_bytes + owed * passed_s),
    )


def _towards(old: float, new: float, steps: float) -> float:
    return old + (1 - math.exp(-steps)) * (new - old)


def _stand_aside(state: State) -> State:
    if state.at_s < state.slowdown_at_s + SLOWDOWN_S:
        return replace(state, reason="planned slowdown", curious=True)
    return replace(state, slowdown_at_s=_next_slowdown_s(state), owed_bytes=0.0)


def _next_slowdown_s(state: State) -> float:
    return state.at_s + SLOWDOWN_EVERY_S if state.slowed else state.slowdown_at_s


def _pause(state: State, reading: Reading, law: Law) -> State:
    now_s = max(reading.now_s, state.at_s)
    again = now_s - state.paused_until_s < HOLD_MOST_S
    hold_s = min(HOLD_MOST_S, 2 * state.hold_s) if again else HOLD_LEAST_S
    return replace(
        state,
        at_s=now_s,
        rate_bytes_per_s=law.least_bytes_per_s,
        reason=_PAUSED,
        knee=None,
        owed_bytes=0.0,
        achieved_bytes_per_s=0.0,
        paused_until_s=now_s + hold_s,
        hold_s=hold_s,
        harmed=True,
        curious=True,
    )


def _resume(state: State, law: Law) -> State:
    """Start again from little: what was true before the pause need not be true now."""
    fresh = begin(state.at_s, law)
    return replace(fresh, paused_until_s=state.paused_until_s, hold_s=state.hold_s)


def _bounded(state: State, reading: Reading, law: Law) -> State:
    """Keep the rate between floor and ceiling, and near what was achieved."""
    least = law.least_bytes_per_s
    achieved = max(state.achieved_bytes_per_s, reading.achieved_bytes_per_s)
    wound = WINDUP * max(achieved, START_BYTES_PER_S)
    rate = max(min(state.rate_bytes_per_s, wound, law.ceiling_bytes_per_s), least)
    held_up = rate == law.floor_bytes_per_s > state.rate_bytes_per_s
    reason = "held up by the deadline" if held_up else state.reason
    if state.rate_bytes_per_s > rate == law.ceiling_bytes_per_s:
        reason = "ceiling"
    return replace(state, rate_bytes_per_s=rate, reason=reason)
