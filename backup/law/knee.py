"""The knee: where a disk had enough, how to get back to it, and how to notice that it is gone.

On a slow climb the knee is what was allowed a reaction time ago, which is exact. Where far less was
achieved than allowed, the disk has changed, and what was achieved must do, though it comes in
lumps: such a knee is not sure, and is approached from well below.

Signs too weak to tell a full disk from a busy processor are yielded to, but move no knee: runs on
loaded nodes once ratcheted themselves down to a hundredth of what the disk would have given.
"""

from __future__ import annotations

import math
from dataclasses import replace

from backup.law.state import LEAST_BYTES_PER_S, Knee, State
from backup.law.volume import full

REACTION_S = 0.3
"""Probe gap and socket buffer: what a cut did shows no earlier."""

CUT_LEAST, CUT_MOST = 0.05, 0.5
SLACK, SLACK_HARMED, LUMPY, STARTED, AGAIN = 0.98, 0.95, 0.9, 0.85, 0.7
DRAIN_OVER, DRAIN_LEAST, DRAIN_MOST = 2.0, 0.1, 0.5
HESITATE, HESITATE_DRAIN, BELIEVED, DOUBTS_S = 0.85, 0.2, 3, 3.0
SAME_KNEE = 0.12
KNEE_LIFE_S = 120.0

SLOW_START_FACTOR, SLOW_START_S = 1.35, 0.1
QUICK_START_BYTES_PER_S = 10e6
"""Where the volume's counters are seen, going too far once is what measures it: the sooner, the
better. Elsewhere it costs others, and tells only one side."""

NEAR_KNEE = 0.93
CATCH_UP_S = 0.4
UNSURE_PER_S = 0.2
UNSURE_CREEP_PER_S = 0.02
CREEP_PER_S = 0.005
ESCAPE_PER_S = 1.0
FASTEST_PER_S = 0.2
BLIND_PER_S = 0.25
STARTING_BYTES_PER_S = 1e6
"""A volume that moves less was never full: the run has only begun, or it waits for its heads."""

MEASURED_AGAIN_S = 1.0  # while the last cut still drains, the volume is not full
LEAN_S = 0.25


def cut(state: State, over: float) -> State:
    """Go below the knee just found, and further below for a moment."""
    doubts = state.doubts + 1 if state.at_s - state.cut_at_s < DOUBTS_S else 1
    state = replace(state, doubts=doubts)
    if state.doubtful and doubts < BELIEVED:
        return _hesitate(state)
    again = state.at_s - state.cut_at_s < 2 * REACTION_S and not state.hesitating
    knee = _found(state, again=again)
    depth = CUT_LEAST * (1 + math.log2(over))
    if not knee.found:
        depth = max(depth, 1 - knee.bytes_per_s / state.rate_bytes_per_s)
    depth = min(depth, CUT_MOST)
    surprised = state.volume.known and not state.volume.brimming
    if _measurable(state, surprised=surprised):
        state = replace(state, volume=full(state.volume, state.at_s))
        surprised = False
    return replace(
        state,
        surprised=surprised,
        rate_bytes_per_s=knee.bytes_per_s * (1 - depth),
        reason="yielding to the disk's other users",
        starting=False,
        hesitating=False,
        knee=knee,
        achieved_bytes_per_s=min(state.achieved_bytes_per_s, state.recent_bytes_per_s),
        cut_at_s=state.at_s,
        drain_share=_drain_share(over) if knee.found else DRAIN_LEAST,
        owed_bytes=0.0,
        curious=True,
    )


def _hesitate(state: State) -> State:
    """Yield at once, but do not take it for the knee: a busy processor may have made the delay.

    A slow start doubles faster than the answer to it comes: back to what was asked for then.
    """
    rate = state.rate_bytes_per_s * HESITATE
    if state.starting:
        rate = min(rate, max(STARTED * state.lagged_bytes_per_s, LEAST_BYTES_PER_S))
    return replace(
        state,
        rate_bytes_per_s=rate,
        reason="yielding, and not sure to whom",
        starting=False,
        hesitating=True,
        cut_at_s=state.at_s,
        drain_share=HESITATE_DRAIN,
        owed_bytes=0.0,
        curious=True,
    )


def drain(state: State, over: float) -> State:
    """Go on standing back after a cut, further back if it shows that the queue is longer."""
    share = min(state.drain_share, _drain_share(over))
    reason = "letting the queue drain"
    return replace(state, drain_share=share, reason=reason, curious=True, owed_bytes=0.0)


def climb(state: State, passed_s: float) -> State:
    """Take the next step up, as long or as short as what is known of the knee allows."""
    rate = state.rate_bytes_per_s
    knee = state.knee
    reason = "at the knee"
    if state.surprised and rate >= NEAR_KNEE * state.volume.bytes.limit:
        state = replace(state, surprised=False)
    if state.starting:
        rate *= SLOW_START_FACTOR ** (passed_s / SLOW_START_S)
        if state.volume.seen:
            rate = max(rate, QUICK_START_BYTES_PER_S)
        reason = "slow start"
    elif knee is None:
        rate += rate * BLIND_PER_S * passed_s
        reason = "looking for the knee"
    elif rate < NEAR_KNEE * knee.bytes_per_s:
        quick = (knee.bytes_per_s - rate) / CATCH_UP_S
        rate += (quick if knee.found else min(quick, UNSURE_PER_S * rate)) * passed_s
        rate = min(rate, NEAR_KNEE * knee.bytes_per_s)
        reason = "back to the knee"
    else:
        beyond = max(0.0, rate / knee.bytes_per_s - 1)
        creep = CREEP_PER_S / min(knee.found, 3) if knee.found else UNSURE_CREEP_PER_S
        speed = (creep + ESCAPE_PER_S * beyond) * knee.bytes_per_s
        rate += min(speed, FASTEST_PER_S * rate) * passed_s
    if knee and state.at_s - knee.at_s > KNEE_LIFE_S:
        knee = None
    return replace(state, rate_bytes_per_s=rate, knee=knee, reason=reason)


def _measurable(state: State, *, surprised: bool) -> bool:
    """Say whether this cut tells what the volume can.

    One that comes while far less is moved than the volume could may be our own processor's doing; a
    volume that lost its credits surprises twice.
    """
    idle = state.volume.bytes.lately < STARTING_BYTES_PER_S
    if idle or state.at_s - state.cut_at_s <= MEASURED_AGAIN_S:
        return False
    return state.surprised or not surprised


def lean(state: State, request_bytes: float, passed_s: float) -> State:
    """Go to what the others leave of a volume whose limits are known; down at once."""
    left = max(state.volume.left_bytes_per_s(request_bytes), LEAST_BYTES_PER_S)
    rate = state.rate_bytes_per_s
    if left > rate:
        rate += (left - rate) * (1 - math.exp(-passed_s / LEAN_S))
    else:
        rate = left
    return replace(state, rate_bytes_per_s=rate, reason="what others leave of the volume")


def _found(state: State, *, again: bool) -> Knee:
    """Return where the disk had enough, and how sure that is.

    In the drain after a cut what was achieved says nothing: still too much means a fixed step less.
    """
    rate, achieved = state.rate_bytes_per_s, state.achieved_bytes_per_s
    sure = False
    if again:
        enough = AGAIN * rate
    elif state.starting:
        enough, sure = STARTED * min(rate, achieved), True
    elif achieved < LUMPY * rate:
        enough = min(achieved, state.recent_bytes_per_s)
    else:
        slack = SLACK_HARMED if state.harmed else SLACK
        enough, sure = slack * min(rate, state.lagged_bytes_per_s), True
    enough = max(enough, LEAST_BYTES_PER_S)
    old = state.knee
    if old and abs(enough - old.bytes_per_s) <= SAME_KNEE * old.bytes_per_s:
        return Knee((enough + old.bytes_per_s) / 2, state.at_s, old.found + 1)
    return Knee(enough, state.at_s, int(sure))


def _drain_share(over: float) -> float:
    return min(max(DRAIN_OVER / max(over, 1.0), DRAIN_LEAST), DRAIN_MOST)
