"""The chain as a person pictures it: offender, pressure, probe, kill, sandboxes, pods.

The links of a Diagnosis are what was seen; these are the places where they belong, so that a place
where nothing was seen shows as a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from agent.model import Cause, Diagnosis, Evidence, KillerKind, Kind, Probe
from agent.report.damage import OwnerDamage
from agent.times import offset, span
from agent.words import cause_words, counted, listed

PROBED_BEFORE_S = 300.0
_USUAL_TIMEOUT_S = 60.0
_LEAST_GAP_S = 10.0
_ASKS = frozenset({KillerKind.HEALTH_MONITOR, KillerKind.WATCHDOG})
_PRESSURE = frozenset(
    {
        Cause.IO_SATURATION,
        Cause.CPU_STARVATION,
        Cause.MEMORY_PRESSURE,
        Cause.VOLUME_THROTTLED,
    }
)
_GONE = frozenset({Kind.SANDBOX_CHANGED, Kind.SANDBOX_EXITED, Kind.SANDBOX_LOST})


@dataclass(frozen=True, slots=True)
class Step:
    """One place of the chain; ``seen`` is false where nothing was."""

    role: str
    what: str
    detail: str = ""
    at_s: float | None = None
    seen: bool = True


@dataclass(frozen=True, slots=True)
class _Story:
    diagnosis: Diagnosis
    owners: Sequence[OwnerDamage]
    probes: Sequence[Probe]
    timeout_s: float | None

    @property
    def kill_at_s(self) -> float | None:
        killer = self.diagnosis.killer
        return killer.at_s if killer else None


def killer_timeout_s(diagnosis: Diagnosis) -> float | None:
    """Return how long the killer waits, as the rule that recognised it knows."""
    for fact in diagnosis.incident.facts:
        told = fact.detail.get("timeout_s", "")
        if fact.kind in _KILLS and told.replace(".", "", 1).isdecimal() and float(told) > 0:
            return min(float(told), 86400.0)
    return None


_KILLS = frozenset(
    {
        Kind.MONITOR_KILLS_RUNTIME,
        Kind.MONITOR_RESTARTS_RUNTIME,
        Kind.MONITOR_KILLS_KUBELET,
        Kind.WATCHDOG_TIMEOUT,
    }
)


def steps(
    diagnosis: Diagnosis,
    owners: Sequence[OwnerDamage],
    probes: Sequence[Probe] = (),
) -> tuple[Step, ...]:
    """Return the places of the chain in order; those that make no sense here are left out."""
    story = _Story(diagnosis, owners, probes, killer_timeout_s(diagnosis))
    made = (_offender(story), _cause(story), *_probe(story), _kill(story), *_sandboxes(story))
    return _in_order((*made, _pods(story)))


def _in_order(made: Sequence[Step]) -> tuple[Step, ...]:
    """Take the time from a step whose evidence came later than what it led to.

    A line of the kill proves a hung runtime; it does not say since when the runtime hung.
    """
    kept: list[Step] = []
    next_s = float("inf")
    for step in reversed(made):
        late = step.at_s is not None and step.at_s > next_s and step.role != "Kill"
        kept.append(replace(step, at_s=None) if late else step)
        next_s = min(next_s, kept[-1].at_s if kept[-1].at_s is not None else next_s)
    return tuple(reversed(kept))


def _offender(story: _Story) -> Step:
    offender = story.diagnosis.offender
    if offender is None:
        return Step("Offender", "not seen", "nothing shows whose load or act it was", seen=False)
    name = f"{offender.namespace}/{offender.name}" if offender.namespace else offender.name
    return Step("Offender", name, offender.method)


def _cause(story: _Story) -> Step:
    diagnosis = story.diagnosis
    role = "Pressure" if diagnosis.cause in _PRESSURE else "Cause"
    if diagnosis.cause is Cause.UNKNOWN:
        return Step(role, "unknown", "not enough was seen to name a cause", seen=False)
    strongest = _strongest(diagnosis)
    detail = strongest.says if strongest else ""
    times = [f.at_s for f in strongest.facts if f.at_s is not None] if strongest else []
    return Step(role, cause_words(diagnosis.cause).name, detail, min(times, default=None))


def _strongest(diagnosis: Diagnosis) -> Evidence | None:
    winner = next((h for h in diagnosis.hypotheses if h.cause is diagnosis.cause), None)
    return max(winner.evidence_for, key=lambda e: e.weight, default=None) if winner else None


def _probe(story: _Story) -> Iterator[Step]:
    killer = story.diagnosis.killer
    if story.kill_at_s is None or not killer:
        return
    before = [p for p in story.probes if 0 <= story.kill_at_s - p.at_s <= PROBED_BEFORE_S]
    if not before:
        if killer.kind in _ASKS:
            yield Step("Probe", "not recorded", "how late the runtime answered", seen=False)
        return
    slowest = max(before, key=lambda p: p.took_s)
    silent_s = _silent_s(before, story.kill_at_s)
    if killer.kind in _ASKS and silent_s:
        yield _none_since(slowest, silent_s, story)
    elif killer.kind in _ASKS or _is_late(slowest, story.timeout_s):
        yield _slowest(slowest, story.timeout_s)


def _is_late(probe: Probe, timeout_s: float | None) -> bool:
    """Say whether an answer is news; one in time has no place between others' causes and kills."""
    return not probe.answered or probe.took_s >= (timeout_s or _USUAL_TIMEOUT_S) / 3


def _silent_s(before: Sequence[Probe], kill_at_s: float) -> float | None:
    """Give the seconds before the kill of which no answer is on record, if they are a gap.

    The last question may have ended with the runtime, unanswered; an answer from before it would
    then look as if the runtime had been quick.
    """
    asked = sorted(p.at_s for p in before)
    usual_s = max((b - a for a, b in pairwise(asked)), default=0.0)
    last = max(before, key=lambda p: p.at_s)
    silent_s = kill_at_s - last.at_s - last.took_s
    is_gap = last.answered and usual_s and silent_s > max(_LEAST_GAP_S, 2 * usual_s)
    return silent_s if is_gap else None


def _none_since(slowest: Probe, silent_s: float, story: _Story) -> Step:
    usual = f"; the killer usually waits {story.timeout_s:g} s" if story.timeout_s else ""
    took = f"{slowest.took_s:.2f} s" if slowest.took_s < 1 else span(slowest.took_s)
    detail = f"for {span(silent_s)} before the kill; {took} at most until then{usual}"
    return Step("Probe", "no answer seen", detail, (story.kill_at_s or 0.0) - silent_s)


def _slowest(probe: Probe, timeout_s: float | None) -> Step:
    took = f"{probe.took_s:.2f} s" if probe.took_s < 1 else span(probe.took_s)
    what = f"answered after {took}" if probe.answered else f"no answer within {took}"
    usual = f"; the killer usually waits {timeout_s:g} s" if timeout_s else ""
    return Step("Probe", what, f"slowest before the kill{usual}", probe.at_s)


def _kill(story: _Story) -> Step:
    killer = story.diagnosis.killer
    if killer is None or killer.kind is KillerKind.NONE:
        return Step("Kill", "not seen", "nothing shows who pulled the trigger", seen=False)
    kind = str(killer.kind).replace("_", " ")
    return Step("Kill", killer.name or kind, kind if killer.name else "", killer.at_s)


def _sandboxes(story: _Story) -> Iterator[Step]:
    gone = [fact for fact in story.diagnosis.incident.facts if fact.kind in _GONE]
    times = _after(story, (fact.at_s for fact in gone))
    names = {(fact.subject.namespace, fact.subject.name or fact.subject.uid) for fact in gone}
    if not names:
        return
    first_s = min(times, default=None)
    detail = ""
    if first_s is not None and story.kill_at_s is not None:
        detail = f"first {offset(first_s - story.kill_at_s)} from the kill"
    yield Step("Sandboxes", f"{len(names)} gone", detail, first_s)


def _after(story: _Story, times: Iterable[float | None]) -> list[float]:
    """Leave out what was before the kill: it belongs to the incident, but did not follow from it.

    Events are dated in whole seconds.
    """
    from_s = float("-inf") if story.kill_at_s is None else story.kill_at_s - 1.0
    return [at_s for at_s in times if at_s is not None and at_s >= from_s]


def _pods(story: _Story) -> Step:
    victims = story.diagnosis.victims
    if not victims:
        return Step("Pods", "none seen", "no pod is known to have been hurt", seen=False)
    outages = sum(owner.severity == 3 for owner in story.owners)
    harms = tuple(sorted({victim.harm for victim in victims if victim.harm}))
    detail = listed(harms) or "hurt"
    if outages:
        detail = f"{detail}; {counted(outages, 'outage')}"
    times = _after(story, (victim.at_s for victim in victims))
    return Step("Pods", counted(len(victims), "pod"), detail, min(times, default=None))
