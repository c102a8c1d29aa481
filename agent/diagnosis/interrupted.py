"""Planned work that a health monitor came upon: it found no runtime, for somebody restarted it.

A hang has the order reversed: nobody answers, the monitor gives up, and then the unit ends. Here
the unit was asked to stop while all was well, and the monitor's check failed in the pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.kinds import Kind
from agent.model import Fact, Probe
from agent.rules.roles import Role, role_of

PAUSE_S = 120.0
"""A stop and a start are over by then, an upgrade's too."""

UP_S = 10.0
"""Once it has been up for so long, a check that fails is about the runtime and not the pause."""

UNWELL_S = 300.0
"""How long before the stop all must have been well: who stops a sick runtime acts on that."""

SLOW_S = 2.0
_UNWELL = frozenset(
    {
        Kind.RUNTIME_SLOW,
        Kind.RUNTIME_DOWN,
        Kind.RUNTIME_LOCKED,
        Kind.RUNTIME_PANIC,
        Kind.RUNTIME_DUMP,
        Kind.WATCHDOG_TIMEOUT,
        Kind.KUBELET_UNHEALTHY,
        Kind.NODE_NOT_READY,
        Kind.UNIT_STOP_TIMEOUT,
    }
)
_UP = frozenset({Kind.UNIT_STARTED, Kind.RUNTIME_STARTED})


def came_upon_planned_work(
    acts: Sequence[Fact], facts: Sequence[Fact], probes: Iterable[Probe]
) -> bool:
    """Say whether the first of a monitor's acts fell into the pause of a planned restart."""
    first_s = acts[0].at_s if acts else None
    if first_s is None:
        return False
    stopped_s = max((at for at in _dated(facts, Kind.UNIT_STOPPING) if at < first_s), default=None)
    if stopped_s is None or first_s - stopped_s > PAUSE_S:
        return False
    ups = [at for kind in _UP for at in _dated(facts, kind) if stopped_s < at < first_s - UP_S]
    return not ups and not _was_unwell(stopped_s, facts, probes)


def _dated(facts: Sequence[Fact], kind: Kind) -> list[float]:
    return [
        fact.at_s
        for fact in facts
        if fact.kind is kind
        and fact.at_s is not None
        and fact.source != "events"  # in whole seconds: they have no order here
        and role_of(fact.subject.name) & Role.RUNTIME
    ]


def _was_unwell(stopped_s: float, facts: Sequence[Fact], probes: Iterable[Probe]) -> bool:
    from_s = stopped_s - UNWELL_S
    told = any(
        fact.kind in _UNWELL and fact.at_s is not None and from_s <= fact.at_s < stopped_s
        for fact in facts
    )
    asked = any(
        from_s <= probe.at_s <= stopped_s - SLOW_S
        and (probe.took_s >= SLOW_S or not probe.answered)
        for probe in probes
    )
    return told or asked
