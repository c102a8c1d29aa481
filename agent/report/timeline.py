"""Choose and fold the moments a person needs: the chain and the most telling facts, in order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.model import Diagnosis, Fact, Kind, Trust

SHORT = 14  # lines that fit beside the verdict on one screen
LONG = 80  # with --explain

# How much a kind tells about why. Kinds not named are worth 1; 0 is never shown on its own.
_WORTH = {
    9: """
        monitor_kills_runtime monitor_kills_kubelet monitor_restarts_runtime watchdog_timeout
        oom_kill oomd_kill container_oom system_oom drain operator_acts package_changed
        node_rebooted shutdown runtime_panic runtime_fatal kubelet_panic kubelet_fatal
        kernel_fault boot probe_kills_container pod_evicted_for_pressure
    """,
    7: """
        disk_error disk_short volume_throttled config_mismatch cert_invalid clock_jumped
        cni_failed runtime_locked io_pressure memory_short cpu_starved io_slow hung_task
        cpu_stall signal_received core_dump unit_oom unit_stop_timeout scale_down cordon
        reboot_required pod_evicted_by_api pod_given_up eviction_threshold oom_at_limit
        oom_node_wide
    """,
    5: """
        sandbox_changed runtime_down runtime_slow unit_failed unit_exited unit_stopping
        unit_start_failed unit_start_limit sandbox_stop_asked node_not_ready
        watchdog_withheld kubelet_unhealthy cni_not_ready runtime_dump monitor_retries
        oom_invoked sandbox_exited sandbox_lost journal_gap
    """,
    3: """
        node_ready runtime_started runtime_stopped unit_stopped unit_restart_scheduled
        kubelet_started sandbox_create_failed container_exited container_backoff
        pod_deleted probe_failed unit_leftover shim_lost
    """,
    0: "oom_task oom_in_memcg monitor_works",
}
_TELLING = {Kind(name): worth for worth, names in _WORTH.items() for name in names.split()}

_VARYING = re.compile(r"[0-9a-f]{8,}|\d+|(?<=pod )\S+|\"[^\"]*\"")
_TOLD_BY_VICTIMS = frozenset({Kind.SANDBOX_CHANGED, Kind.POD_DELETED, Kind.POD_GIVEN_UP})
_WORTH_A_SHORT_LOOK = 3

_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{8,}\b")
_TELLS_APART = 160  # characters; what differs later is the same story to a reader


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline; ``count`` repetitions between ``at_s`` and ``until_s``."""

    at_s: float | None
    offset_s: float | None  # from the kill
    says: str
    source: str
    trusted: bool = True
    is_kill: bool = False
    count: int = 1
    until_s: float | None = None


def timeline(
    diagnosis: Diagnosis, kill_at_s: float | None, limit: int = SHORT
) -> tuple[tuple[Moment, ...], int]:
    """Return at most ``limit`` moments in order of time, and how many were left out."""
    quoted = {(fact.source, fact.trust) for fact in diagnosis.incident.facts}
    links = folded(
        Moment(link.at_s, None, link.what, link.source, (link.source, Trust.QUOTED) not in quoted)
        for link in diagnosis.chain
    )
    chosen = _nearest(_mark_kill(links, kill_at_s), kill_at_s, limit)
    facts = _facts_beside(diagnosis, _WORTH_A_SHORT_LOOK if limit <= SHORT else 1)
    chosen = [*chosen, *facts[: limit - len(chosen)]]
    left_out = len(links) + len(facts) - len(chosen)
    if not any(moment.is_kill for moment in chosen):
        chosen = _mark_kill(chosen, kill_at_s)
    timed = (
        replace(moment, offset_s=_offset(moment.at_s, kill_at_s)) for moment in _ordered(chosen)
    )
    return tuple(timed), left_out


def folded(moments: Iterable[Moment]) -> list[Moment]:
    """Merge moments of one source that say the same but for numbers and names."""
    merged: dict[tuple[str, str], Moment] = {}
    for moment in moments:
        key = (moment.source, _VARYING.sub("#", moment.says[:_TELLS_APART]))
        first = merged.get(key)
        merged[key] = _join(first, moment) if first else moment
    return list(merged.values())


def _join(first: Moment, again: Moment) -> Moment:
    times = [
        at_s for at_s in (first.at_s, first.until_s, again.at_s, again.until_s) if at_s is not None
    ]
    return replace(
        first,
        at_s=min(times, default=None),
        until_s=max(times, default=None),
        count=first.count + again.count,
        trusted=first.trusted and again.trusted,
    )


def _facts_beside(diagnosis: Diagnosis, least_worth: int) -> list[Moment]:
    """Fold the facts the chain does not show, the most telling first, then the earliest."""
    victims_told = bool(diagnosis.chain and diagnosis.victims)
    told = {(link.at_s, link.source) for link in diagnosis.chain}
    by_worth: dict[int, list[Fact]] = {}
    for fact in diagnosis.incident.facts:
        worth = _TELLING.get(fact.kind, 1)
        if victims_told and fact.kind in _TOLD_BY_VICTIMS:
            worth = min(worth, 1)
        if worth >= least_worth and (fact.at_s, fact.source) not in told:
            by_worth.setdefault(worth, []).append(fact)
    return [
        moment
        for worth in sorted(by_worth, reverse=True)
        for moment in _ordered(folded(map(_moment, by_worth[worth])))
    ]


def _moment(fact: Fact) -> Moment:
    says = _LONG_ID.sub(r"\1", " ".join(fact.text[:600].split())) or str(fact.kind).replace(
        "_", " "
    )
    trusted = fact.trust is Trust.TRUSTED
    return Moment(fact.at_s, None, says, fact.source, trusted, count=max(fact.count, 1))


def _mark_kill(moments: list[Moment], kill_at_s: float | None) -> list[Moment]:
    """Mark the moment at the time of the kill, if the kill has one."""
    at_kill = [
        index
        for index, moment in enumerate(moments)
        if moment.at_s is not None and kill_at_s is not None and abs(moment.at_s - kill_at_s) < 1e-3
    ]
    if not at_kill:
        return moments
    index = at_kill[0]
    return [*moments[:index], replace(moments[index], is_kill=True), *moments[index + 1 :]]


def _nearest(moments: list[Moment], kill_at_s: float | None, limit: int) -> list[Moment]:
    """Keep the first, the last, the kill and those nearest to it when a chain is too long."""
    if len(moments) <= limit:
        return moments

    def distance(index: int) -> tuple[bool, float, int]:
        moment = moments[index]
        keep = moment.is_kill or index in (0, len(moments) - 1)
        away_s = _offset(moment.at_s, kill_at_s)
        return (not keep, abs(away_s) if away_s is not None else float("inf"), index)

    kept = sorted(sorted(range(len(moments)), key=distance)[:limit])
    return [moments[index] for index in kept]


def _ordered(moments: list[Moment]) -> list[Moment]:
    """Sort by time; a moment without one stays behind the moment it followed."""
    last_s = float("-inf")
    keyed: list[tuple[float, int, Moment]] = []
    for index, moment in enumerate(moments):
        last_s = moment.at_s if moment.at_s is not None else last_s
        keyed.append((last_s, index, moment))
    return [moment for _, _, moment in sorted(keyed, key=lambda item: item[:2])]


def _offset(at_s: float | None, kill_at_s: float | None) -> float | None:
    return at_s - kill_at_s if at_s is not None and kill_at_s is not None else None
