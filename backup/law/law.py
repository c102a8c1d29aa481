"""The law: from what the sensors say to the rate allowed. Pure; time is part of the reading.

Additive climb and multiplicative cut, with five additions that the plant showed to be needed:

- *anti-windup*: never above 1.15 times what was achieved, or the rate says nothing any more;
- *one cut per reaction time*: what the last cut did is not visible earlier;
- *knee memory*: the knee of a capped volume is a cliff without warning (no delay at 95 % of the
  leftover, 90 ms at 101 %), so the rate at the last cut is remembered, approached fast up to 93 %,
  then slowly, and left behind ever faster once it has proved to be gone;
- *own progress*: bytes allowed and not delivered are owed, and a debt that grows is the knee, seen
  without asking the disk anything (MS Manners, SOSP '99);
- *the volume's counters*, where they are seen: a cut measures what the volume can do, and the next
  climb ends at what the others leave of that (`volume`).

Our own slowness is no evidence. A debt counts only while the reader waits for the server, and on
the server's own node only beside pressure (a late probe where no pressure is known): a processor
that we wait for delays probe and reader alike. One late probe counts beside pressure, or when most
of the latest are late. What is still weak is yielded to and not remembered, until it repeats.

There is no knob but the ceiling and the floor that a deadline asks for.
"""

from __future__ import annotations

import math
from dataclasses import replace

from backup.law import volume
from backup.law.knee import QUICK_START_BYTES_PER_S, REACTION_S, climb, cut, drain, lean
from backup.law.state import (
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
PERSISTENT = 12.0
SMOOTH_S = 0.15
PEAK_S = 2.0
LATE_S = 2.5 * INTERVAL_S
DOUBTFUL_SHARE, DOUBTFUL_OVER = 0.4, 4.0
CORROBORATED_SHARE, CORROBORATED_OVER = 0.2, 0.5
UNDISTURBED_OVER = 0.5
WAITED_SHARE = 0.1
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
    state = replace(state, volume=_volume(state, reading, passed_s))
    seen = replace(_observe(state, reading, passed_s), floor_bytes_per_s=law.floor_bytes_per_s)
    if seen.paused:
        return replace(seen, reason=_PAUSED)
    if was_paused:
        return _resume(seen, law)
    over = _over(seen, reading, law)
    late = _probe_over(reading) > 1
    seen = replace(
        seen,
        harmed=late and over > 1,
        doubtful=reading.moved is None and _doubtful(reading, law),
        curious=late or over > 0.5 or _psi_over(reading) > 1,
    )
    surer = seen.hesitating and not seen.doubtful
    if over > 1 and (surer or seen.at_s - seen.cut_at_s >= REACTION_S):
        seen = replace(seen, slowdown_at_s=_next_slowdown_s(seen))
        return _bounded(cut(seen, over), reading, law)
    if seen.draining:
        return drain(seen, over)
    if seen.slowed:
        return _stand_aside(seen)
    if seen.volume.known and not seen.surprised:
        if over < UNDISTURBED_OVER:
            seen = replace(seen, volume=volume.undisturbed(seen.volume, seen.at_s, passed_s))
        return _bounded(lean(seen, law.request_bytes, passed_s), reading, law)
    return _bounded(climb(seen, passed_s), reading, law)


def queue_limit_s(reading: Reading) -> float:
    """Return the delay above base from which on others are held to be waiting for us."""
    calm_s = max(QUEUE_FLOOR_S, 2 * reading.noise_s, reading.base_s)
    return min(calm_s, max(QUEUE_CEILING_S, 2 * reading.base_s))


def _probe_over(reading: Reading) -> float:
    return 0.0 if reading.queue_s is None else reading.queue_s / queue_limit_s(reading)


def _psi_over(reading: Reading) -> float:
    return (reading.psi_stalled_share or 0.0) / PSI_SHARE


def _over(state: State, reading: Reading, law: Law) -> float:
    """Return how far the worst signal is over its limit (1: at it).

    Pressure counts the backup's own waits too: where a probe can be asked, pressure only makes it
    be asked at once; where none can, pressure must do.
    """
    owed = state.owed_bytes / (OWED_BYTES + OWED_S * state.rate_bytes_per_s)
    if state.volume.known:
        sure = state.volume.brimming or _pressed(reading) or owed > PERSISTENT
        owed = owed if sure else min(owed, 1.0)
        return max(owed, _asked_over(reading, busy=state.volume.brimming and _seen_busy(reading)))
    if not (law.elsewhere or _corroborated(reading)):
        owed = min(owed, 1.0)
    return max(owed, _asked_over(reading, busy=_seen_busy(reading)))


def _pressed(reading: Reading) -> bool:
    return (reading.psi_stalled_share or 0.0) > CORROBORATED_SHARE


def _seen_busy(reading: Reading) -> bool:
    """Say whether pressure is this volume's: other disks of the node press too.

    A volume that is full lets the reader wait as well, as soon as the socket's buffer is empty.
    """
    return _pressed(reading) and reading.wanting > WAITED_SHARE


def _asked_over(reading: Reading, *, busy: bool) -> float:
    """Say how far the probe is over its limit; one late answer alone counts on a busy disk."""
    if reading.queue_s is None:
        return _psi_over(reading)
    over = _probe_over(reading)
    if reading.usual_queue_s is None or busy:
        return over
    return max(min(over, 1.0), reading.usual_queue_s / queue_limit_s(reading))


def _doubtful(reading: Reading, law: Law) -> bool:
    """A full disk shows as pressure in most of the time, or as probes that are late by far."""
    if law.elsewhere or (reading.psi_stalled_share is None and reading.queue_s is None):
        return False
    queue_s = reading.queue_s if reading.usual_queue_s is None else reading.usual_queue_s
    over = (queue_s or 0.0) / queue_limit_s(reading)
    return (reading.psi_stalled_share or 0.0) < DOUBTFUL_SHARE and over < DOUBTFUL_OVER


def _corroborated(reading: Reading) -> bool:
    """Say whether anything but our own progress hints at a busy disk; what cannot look may.

    A processor that we wait for delays probe and reader alike: pressure is the better witness.
    """
    if reading.psi_stalled_share is not None:
        return _pressed(reading)
    return reading.queue_s is None or _probe_over(reading) > CORROBORATED_OVER


def _volume(state: State, reading: Reading, passed_s: float) -> volume.Volume:
    if reading.moved is None:
        return state.volume
    steady = not (state.starting or state.draining or state.slowed or state.paused)
    own = reading.achieved_bytes_per_s
    return volume.observe(state.volume, reading.moved, own, passed_s, steady=steady)


def _observe(state: State, reading: Reading, passed_s: float) -> State:
    """Bring the smoothed progress and the debt up to date; standing aside teaches neither."""
    if state.draining or state.slowed:
        return replace(state, at_s=reading.now_s)
    rate = state.rate_bytes_per_s
    owed = (1 - LOSS_ALLOWED) * rate - reading.achieved_bytes_per_s
    owed = min(owed, rate * reading.wanting)
    if passed_s > LATE_S:
        owed = min(owed, 0.0)  # we were late ourselves: so may the reader have been
    achieved = _towards(
        state.achieved_bytes_per_s, reading.achieved_bytes_per_s, passed_s / SMOOTH_S
    )
    peaked = achieved >= state.peak_bytes_per_s or reading.now_s - state.peak_at_s > PEAK_S
    return replace(
        state,
        at_s=reading.now_s,
        achieved_bytes_per_s=achieved,
        last_bytes_per_s=reading.achieved_bytes_per_s,
        peak_bytes_per_s=achieved if peaked else state.peak_bytes_per_s,
        peak_at_s=reading.now_s if peaked else state.peak_at_s,
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
    hold_s = min(hold_s, law.longest_pause_s)
    return replace(
        state,
        at_s=now_s,
        rate_bytes_per_s=law.least_bytes_per_s,
        reason=_PAUSED,
        knee=None,
        owed_bytes=0.0,
        achieved_bytes_per_s=0.0,
        peak_bytes_per_s=0.0,
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
    peak_counts = state.at_s - state.peak_at_s <= PEAK_S  # no drain keeps it alive for longer
    lately = state.peak_bytes_per_s if peak_counts else state.achieved_bytes_per_s
    achieved = max(lately, reading.achieved_bytes_per_s)
    quick = state.starting and state.volume.seen
    wound = WINDUP * max(achieved, QUICK_START_BYTES_PER_S if quick else START_BYTES_PER_S)
    rate = max(min(state.rate_bytes_per_s, wound, law.ceiling_bytes_per_s), least)
    held_up = rate == law.floor_bytes_per_s > state.rate_bytes_per_s
    reason = "held up by the deadline" if held_up else state.reason
    if state.rate_bytes_per_s > rate == law.ceiling_bytes_per_s:
        reason = "ceiling"
    return replace(state, rate_bytes_per_s=rate, reason=reason)
