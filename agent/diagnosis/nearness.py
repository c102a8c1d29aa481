"""What lies too far from the story to be part of it: an event of an hour ago explains nothing now.

Conditions last (a full disk, an expired certificate); events pass (a restart, a kill, a drain).
Only events are set aside, and only when a long silence separates them from where most happened.
"""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.openers import POD_OPENERS, opens_for_node
from agent.model import Fact, Kind, Trust

SILENCE_S = 1200.0
"""Twice the context that correlate looks back for; a ticket's lines are seldom this far apart."""

LASTING = frozenset(
    {
        Kind.DISK_ERROR,
        Kind.DISK_SHORT,
        Kind.CERT_INVALID,
        Kind.CONFIG_MISMATCH,
        Kind.VOLUME_THROTTLED,
        Kind.MEMORY_SHORT,
        Kind.CNI_FAILED,
        Kind.NODE_REBOOTED,
        Kind.REBOOT_REQUIRED,
        Kind.RUNTIME_LOCKED,
        Kind.POD_GIVEN_UP,
    }
)

SIGNS_OF_LIFE = frozenset(
    {
        Kind.UNIT_STARTED,
        Kind.UNIT_STARTING,
        Kind.RUNTIME_STARTED,
        Kind.KUBELET_STARTED,
        Kind.NODE_READY,
        Kind.MONITOR_WORKS,
        Kind.UNIT_LEFTOVER,
    }
)


def near_the_story(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return the facts without events that a long silence separates from the story."""
    far: set[int] = set()
    for clock in (True, False):
        told = [f for f in facts if f.at_s is not None and _of_another_clock(f) is clock]
        far |= _far(_parts(told))
    return tuple(fact for fact in facts if id(fact) not in far)


def _of_another_clock(fact: Fact) -> bool:
    """Pasted events are in UTC, pasted log lines in a zone that nobody knows."""
    return fact.trust is Trust.QUOTED and fact.source == "events"


def _far(parts: Sequence[Sequence[Fact]]) -> set[int]:
    if len(parts) < 2:
        return set()
    story = max(parts, key=_told)
    return {id(f) for part in parts if part is not story for f in part if f.kind not in LASTING}


def _parts(dated: Sequence[Fact]) -> list[list[Fact]]:
    parts: list[list[Fact]] = []
    for fact in sorted(dated, key=lambda f: f.at_s or 0.0):
        if parts and (fact.at_s or 0.0) - (parts[-1][-1].at_s or 0.0) <= SILENCE_S:
            parts[-1].append(fact)
        else:
            parts.append([fact])
    return parts


def _told(part: Sequence[Fact]) -> tuple[bool, int, float]:
    """Where something ended is the story; then where more is told; of two equal ones the later."""
    kinds = {fact.kind for fact in part} - SIGNS_OF_LIFE
    blow = any(opens_for_node(fact) or fact.kind in POD_OPENERS for fact in part)
    return blow, len(kinds), part[-1].at_s or 0.0
