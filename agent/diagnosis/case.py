"""An Incident as the hypotheses ask about it: who died, when, what came before, what after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.diagnosis.interrupted import came_upon_planned_work
from agent.diagnosis.nearness import near_the_story
from agent.diagnosis.openers import DEATHS_OF_A_UNIT
from agent.model import Fact, Incident, Kind, Probe, Sample, Trust
from agent.rules.roles import Role, role_of

Test = Callable[[Fact], bool]

EVENT_RESOLUTION_S = 1.0
"""Kubernetes events carry whole seconds; two facts that close have no order."""

KERNEL_CLOCK_S = 10.0
"""``dmesg -T`` and what forwards the kernel's lines are seconds off; a kill names its victim."""

OOM_KILLS = frozenset({Kind.OOM_KILL, Kind.OOM_NODE_WIDE, Kind.OOM_INVOKED, Kind.UNIT_OOM})


def is_runtime(fact: Fact) -> bool:
    """Say whether a fact is about the container runtime."""
    return bool(role_of(fact.subject.name) & Role.RUNTIME)


def is_kubelet(fact: Fact) -> bool:
    """Say whether a fact is about the kubelet (k3s and its like are both)."""
    return bool(role_of(fact.subject.name) & Role.KUBELET)


@dataclass(frozen=True)
class Case:
    """One incident with the recorder's samples and probes around it."""

    incident: Incident
    samples: Sequence[Sample] = ()
    probes: Sequence[Probe] = ()

    @cached_property
    def facts(self) -> tuple[Fact, ...]:
        """The story's facts in order of time, undated ones first; far-off events are left out."""
        return near_the_story(self.incident.facts)

    def of(self, *kinds: Kind, where: Test | None = None) -> tuple[Fact, ...]:
        """Facts of these kinds that pass the test."""
        return tuple(f for f in self.facts if f.kind in kinds and (where is None or where(f)))

    def has(self, *kinds: Kind, where: Test | None = None) -> bool:
        """Say whether there is any such fact."""
        return bool(self.of(*kinds, where=where))

    @cached_property
    def quoted(self) -> bool:
        """Nobody vouches for any of it."""
        return all(fact.trust is Trust.QUOTED for fact in self.facts)

    @cached_property
    def runtime_deaths(self) -> tuple[Fact, ...]:
        """What PID 1 or the daemon itself said about the runtime's end."""
        return tuple(f for f in self.of(*DEATHS_OF_A_UNIT) if is_runtime(f))

    @cached_property
    def kubelet_deaths(self) -> tuple[Fact, ...]:
        """What PID 1 said about the kubelet's end."""
        return tuple(f for f in self.of(*DEATHS_OF_A_UNIT) if is_kubelet(f))

    @cached_property
    def rebooted(self) -> bool:
        """The node went down and came back, or was told to."""
        return self.has(Kind.BOOT, Kind.NODE_REBOOTED, Kind.SHUTDOWN)

    @cached_property
    def pivot_s(self) -> float | None:
        """When it happened: the kill if one is recorded, else the first death, else the opening."""
        kills = self.of(
            Kind.MONITOR_KILLS_RUNTIME,
            Kind.MONITOR_RESTARTS_RUNTIME,
            Kind.MONITOR_KILLS_KUBELET,
            Kind.WATCHDOG_TIMEOUT,
            where=lambda fact: fact not in self.met_at_work,
        )
        for group in (kills, self.runtime_deaths, self.kubelet_deaths):
            times = [fact.at_s for fact in group if fact.at_s is not None]
            if times:
                return times[0]
        return self.incident.opened_at_s

    def is_late(self, fact: Fact) -> bool:
        """A fact that came only after the blow cannot have caused it."""
        if fact.at_s is None or self.last_blow_s is None:
            return False
        slack_s = KERNEL_CLOCK_S if fact.kind in OOM_KILLS else EVENT_RESOLUTION_S
        return fact.at_s > self.last_blow_s + slack_s

    @cached_property
    def last_blow_s(self) -> float | None:
        """The last end of runtime or kubelet: in a crash loop the reason stands between two ends.

        A monitor's kill is one blow; what follows it, up to the restart, is its consequence.
        """
        if self.killed_by_monitor:
            return self.pivot_s
        deaths = (*self.runtime_deaths, *self.kubelet_deaths)
        times = [fact.at_s for fact in deaths if fact.at_s is not None]
        return max(times) if times else None

    def soon_after(self, first: Iterable[Fact], second: Fact, within_s: float) -> bool:
        """Say whether ``second`` follows any of ``first`` within so many seconds."""
        for fact in first:
            if fact.at_s is None or second.at_s is None:
                return True
            if -EVENT_RESOLUTION_S <= second.at_s - fact.at_s <= within_s:
                return True
        return False

    @cached_property
    def killed_by_monitor(self) -> tuple[Fact, ...]:
        """A health monitor said that it kills, or restarts, a runtime that it found running."""
        return () if self.met_at_work else self.monitor_acts

    @cached_property
    def met_at_work(self) -> tuple[Fact, ...]:
        """What a monitor did to a runtime that somebody was just restarting on purpose."""
        acts = self.monitor_acts
        return acts if came_upon_planned_work(acts, self.facts, self.probes) else ()

    @cached_property
    def monitor_acts(self) -> tuple[Fact, ...]:
        """All that a health monitor said it did to the runtime."""
        return self.of(Kind.MONITOR_KILLS_RUNTIME, Kind.MONITOR_RESTARTS_RUNTIME)

    @cached_property
    def sandboxes_changed(self) -> tuple[Fact, ...]:
        """The kubelet said that it re-creates a pod's sandbox."""
        return self.of(Kind.SANDBOX_CHANGED)
