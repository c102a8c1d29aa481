"""Put Facts that belong together into Incidents, by time, boot and subject.

Pure: no clock, no file. Quoted text is one story by definition (somebody chose those lines);
trusted records are cut into episodes by the gaps between them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from agent.diagnosis.links import fold_out_of_memory, mark_boots, name_pods
from agent.diagnosis.openers import (
    AGAIN_AND_AGAIN,
    ECHOING_COMPONENTS,
    ONLY_STORY_OF_A_TICKET,
    OUT_OF_MEMORY_IN_A_POD,
    POD_OPENERS,
    belongs_to_pod,
    opens_for_node,
)
from agent.model import BlindSpot, Fact, Incident, Kind, Pod

CONTEXT_BEFORE_S = 600.0
"""How far back a fact may lie and still be part of the story (a package upgrade, a slow disk)."""

GAP_S = 120.0
"""Silence that ends an episode: longer than a monitor's grace and a runtime's restart."""

REBOOT_GAP_S = 900.0
"""Firmware, kernel and kubelet need minutes; what follows a boot belongs to that boot."""

COMING_UP_S = 60.0
"""What a health monitor kills later than this after a boot had come up: the patience it has."""

AWAY_S = 12 * 3600.0
"""A node that was lost in the evening may be back in the morning; its pods were given up then."""

POD_GAP_S = 900.0
"""Back-off between two starts of a container is capped at 300 s by the kubelet."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known about the input as a whole.

    ``window`` is what the journal covers; facts older than it (an event may be an hour old) are
    set aside, since nothing here could explain them. ``quoted`` makes one story of everything.
    """

    node: str = ""
    pods: tuple[Pod, ...] = ()
    window: tuple[float | None, float | None] = (None, None)
    blind: tuple[BlindSpot, ...] = ()
    quoted: bool = False


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class Correlation:
    """Incidents in order of weight, and facts too old for the journal that was given."""

    incidents: tuple[Incident, ...]
    before_window: tuple[Fact, ...] = ()


def correlate(facts: Iterable[Fact], scope: Scope = EVERYTHING) -> Correlation:
    """Group facts into incidents, the weightiest first."""
    named = mark_boots(name_pods(fold_out_of_memory(facts), scope.pods))
    if scope.quoted:
        return Correlation(_one_story(named, scope))
    has_journal = any(fact.source in ("journal", "kernel") for fact in named)
    heard = _without_echoes(named) if has_journal else named
    inside, before = _split_at(heard, scope.window[0])
    node_level, pod_level = _episodes(sorted(inside, key=_in_order))
    incidents = [
        _incident(episode, scope)
        for episode in (*node_level, *pod_level)
        if not _nothing_happened(episode)
    ]
    return Correlation(tuple(sorted(incidents, key=_weight, reverse=True)), tuple(before))


def _in_order(fact: Fact) -> tuple[float, str, str]:
    """Order by time; what shares a time is ordered by what it says, not by who was read first."""
    return (fact.at_s if fact.at_s is not None else float("-inf"), fact.kind, fact.text)


def _one_story(facts: Sequence[Fact], scope: Scope) -> tuple[Incident, ...]:
    starts = sum(fact.count for fact in facts if fact.kind is Kind.KUBELET_STARTED)
    if starts < AGAIN_AND_AGAIN and not any(_tells_a_story(fact) for fact in facts):
        return ()
    return (_incident(facts, scope),)


def _tells_a_story(fact: Fact) -> bool:
    return fact.kind in ONLY_STORY_OF_A_TICKET or fact.detail.get("strength") == "strong"


def _without_echoes(facts: Sequence[Fact]) -> list[Fact]:
    return [
        fact
        for fact in facts
        if not (fact.source == "events" and fact.detail.get("component") in ECHOING_COMPONENTS)
    ]


def _split_at(facts: Sequence[Fact], start_s: float | None) -> tuple[list[Fact], list[Fact]]:
    if start_s is None:
        return list(facts), []
    # Events carry whole seconds, so one of the journal's first second may seem to precede it.
    oldest_s = start_s - 1.0
    inside = [fact for fact in facts if fact.at_s is None or fact.at_s >= oldest_s]
    before = [fact for fact in facts if fact.at_s is not None and fact.at_s < oldest_s]
    return inside, before


def _episodes(ordered: Sequence[Fact]) -> tuple[list[list[Fact]], list[list[Fact]]]:
    """Cut the timeline at silences of the node's own openers, then share out the rest."""
    openers = [fact for fact in ordered if opens_for_node(fact)]
    cores: list[list[Fact]] = []
    for fact in openers:
        if cores and _close_enough(cores[-1], fact):
            cores[-1].append(fact)
        else:
            cores.append([fact])
    episodes = [list(core) for core in cores]
    by_pod: dict[str, list[Fact]] = {}
    core_facts = {id(fact) for fact in openers}
    for fact in ordered:
        if id(fact) in core_facts:
            continue
        if _is_a_pods_own(fact):
            by_pod.setdefault(_pod_key(fact), []).append(fact)
            continue
        home = _home(fact, cores)
        if home is not None:
            episodes[home].append(fact)
        elif belongs_to_pod(fact):
            by_pod.setdefault(_pod_key(fact), []).append(fact)
    return episodes, [part for facts in by_pod.values() for part in _pod_episodes(facts)]


def _close_enough(core: Sequence[Fact], fact: Fact) -> bool:
    last = core[-1]
    gap_s = (fact.at_s or 0.0) - (last.at_s or 0.0)
    rebooting = any(f.kind in (Kind.SHUTDOWN, Kind.BOOT, Kind.NODE_REBOOTED) for f in core)
    comes_back = fact.kind in (Kind.BOOT, Kind.NODE_REBOOTED)
    if fact.kind is Kind.MONITOR_KILLS_RUNTIME and last.kind in (Kind.BOOT, Kind.NODE_REBOOTED):
        return gap_s <= COMING_UP_S
    return gap_s <= (REBOOT_GAP_S if rebooting or comes_back else GAP_S)


def _is_a_pods_own(fact: Fact) -> bool:
    """An application that outgrows its own limit is its own incident, whatever else goes on."""
    return fact.kind in OUT_OF_MEMORY_IN_A_POD and belongs_to_pod(fact)


def _home(fact: Fact, cores: Sequence[Sequence[Fact]]) -> int | None:
    """Index of the episode a fact belongs to: the one it follows, else the one it leads up to."""
    if fact.at_s is None:
        return 0 if cores else None
    best: int | None = None
    for index, core in enumerate(cores):
        first_s, last_s = core[0].at_s or 0.0, core[-1].at_s or 0.0
        rebooted = any(f.kind in (Kind.BOOT, Kind.NODE_REBOOTED) for f in core)
        after_s = REBOOT_GAP_S if rebooted else GAP_S
        given_up = rebooted and fact.kind is Kind.POD_GIVEN_UP
        before_s = AWAY_S if given_up else CONTEXT_BEFORE_S
        if first_s - before_s <= fact.at_s <= last_s + after_s and (
            best is None or first_s <= fact.at_s
        ):
            best = index
    if best is not None and fact.kind in POD_OPENERS and _before(fact, cores[best]):
        return None  # the pod suffered before anything happened to the node
    return best


def _before(fact: Fact, core: Sequence[Fact]) -> bool:
    # One second, since events carry whole seconds.
    return fact.at_s is not None and fact.at_s < (core[0].at_s or 0.0) - 1.0


def _pod_key(fact: Fact) -> str:
    return f"{fact.subject.namespace}/{fact.subject.name or fact.subject.uid}"


def _pod_episodes(facts: Sequence[Fact]) -> list[list[Fact]]:
    parts: list[list[Fact]] = []
    for fact in facts:
        if parts and (fact.at_s or 0.0) - (parts[-1][-1].at_s or 0.0) <= POD_GAP_S:
            parts[-1].append(fact)
        else:
            parts.append([fact])
    return [part for part in parts if any(fact.kind in POD_OPENERS for fact in part)]


def _nothing_happened(episode: Sequence[Fact]) -> bool:
    """A first boot of a journal, or a node that was only marked, hurt nobody we can name."""
    kinds = {fact.kind for fact in episode}
    return kinds <= {Kind.BOOT, Kind.KUBELET_STARTED, Kind.UNIT_STARTED, Kind.UNIT_STARTING}


def _incident(facts: Sequence[Fact], scope: Scope) -> Incident:
    ordered = sorted(facts, key=_in_order)
    core = [f for f in ordered if opens_for_node(f) or f.kind in POD_OPENERS] or list(ordered)
    opened_s = next((fact.at_s for fact in core if fact.at_s is not None), None)
    closed_s = next((fact.at_s for fact in reversed(ordered) if fact.at_s is not None), None)
    seen_on = next((f.detail["node"] for f in ordered if f.detail.get("node")), "")
    incident = Incident(
        id="",
        node=scope.node or seen_on,
        opened_at_s=opened_s,
        closed_at_s=closed_s,
        facts=tuple(ordered),
        boot=next((fact.boot for fact in core if fact.boot), ""),
        blind=tuple(spot for spot in scope.blind if _overlaps(spot, opened_s, closed_s)),
    )
    # An event carries whole seconds and would seem to precede what it followed.
    exact = (fact for fact in core if opens_for_node(fact) and fact.source != "events")
    return replace(incident, id=incident_id(incident.boot, next(exact, core[0])))


def incident_id(boot: str, opener: Fact) -> str:
    """Hash boot, opener and time: the same incident read twice, or by two agents, has one name."""
    key = f"{boot}|{opener.kind}|{opener.subject}|{opener.at_s if opener.at_s is not None else ''}"
    return hashlib.sha256(key.encode()).hexdigest()[:10]


def _overlaps(spot: BlindSpot, from_s: float | None, to_s: float | None) -> bool:
    if from_s is None or to_s is None:
        return True
    starts_before_end = spot.from_s is None or spot.from_s <= to_s
    ends_after_start = spot.to_s is None or spot.to_s >= from_s - CONTEXT_BEFORE_S
    return starts_before_end and ends_after_start


def _weight(incident: Incident) -> tuple[int, int, float]:
    """Node-wide before pod-wide, then by the number of pods hurt, then the latest."""
    node_wide = int(any(opens_for_node(fact) for fact in incident.facts))
    pods = {_pod_key(f) for f in incident.facts if f.kind is Kind.SANDBOX_CHANGED}
    return node_wide, len(pods), incident.opened_at_s or 0.0
