"""Lost, told twice, wrong: what was told, held against what had to be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.reliability.scenario import Expected


@dataclass(frozen=True, slots=True)
class Heard:
    """What an agent said by the end of a scenario."""

    incidents: Sequence[Mapping[str, Any]]
    events: Sequence[tuple[str, str]]
    """Incident and pod of every Event that explains a pod."""
    notes: Sequence[tuple[str, str]]
    """Incident and reason of every Event on the node."""
    alerts: Mapping[str, str]
    """Incident and the loudest alert that fires for it: critical, warning or none."""
    reports: Mapping[str, str]
    """Incident and its report as people read it."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How it went; ``complaints`` says each failure in words."""

    expected: int
    reported: int
    lost: int
    duplicated: int
    wrong: int
    complaints: tuple[str, ...]


def count(expected: Sequence[Expected], heard: Heard) -> Counts:
    """Match each expected incident with one that was told."""
    left = list(heard.incidents)
    lost: list[str] = []
    twice: list[str] = []
    wrong: list[str] = []
    for one in expected:
        best = max(left, key=lambda told: _likeness(one, told), default=None)
        if best is None or _likeness(one, best) == 0:
            lost.append(f"nobody told of {sorted(one.causes)} by {one.killer}")
            continue
        left.remove(best)
        wrong += _faults(one, best, heard)
        told_to = {pod for incident, pod in heard.events if incident == best["id"]}
        due = one.pods if one.events is None else one.events
        lost += [f"no Event on {pod}" for pod in sorted(due - told_to)]
    for told in left:
        same = any(_likeness(one, told) >= 2 for one in expected)
        (twice if same else wrong).append(f"also told: {_brief(told)}")
    sent = Counter((*heard.events, *heard.notes))
    twice += [f"{times} Events {key}" for key, times in sent.items() if times > 1]
    return Counts(
        len(expected),
        len(heard.incidents),
        len(lost),
        len(twice),
        len(wrong),
        (*lost, *twice, *wrong),
    )


def _likeness(one: Expected, told: Mapping[str, Any]) -> int:
    """Two for the killer, one for the cause, two for a pod in common."""
    pods = {victim["pod"] for victim in told["victims"]}
    return (
        2 * (killer_of(told) == one.killer)
        + (told["cause"] in one.causes)
        + 2 * bool(pods & one.pods)
    )


def killer_of(told: Mapping[str, Any]) -> str:
    """Return the kind of killer of an incident as it is told."""
    return str(told["killer"]["kind"]) if told["killer"] else "none"


def _offender_of(told: Mapping[str, Any]) -> str:
    return str(told["offender"]["name"]) if told["offender"] else ""


def _faults(one: Expected, told: Mapping[str, Any], heard: Heard) -> list[str]:
    faults = []
    if told["cause"] not in one.causes:
        faults.append(f"cause {told['cause']}, not {sorted(one.causes)}")
    if killer_of(told) != one.killer:
        faults.append(f"killer {killer_of(told)}, not {one.killer}")
    if told["planned"] is not one.planned:
        faults.append(f"planned {told['planned']}")
    pods = {victim["pod"] for victim in told["victims"]}
    if pods != one.pods:
        faults.append(f"pods {sorted(pods)}, not {sorted(one.pods)}")
    offender = _offender_of(told)
    if one.offender and one.offender not in offender:
        faults.append(f"offender {offender or 'nobody'}, not {one.offender}")
    if offender in one.never:
        faults.append(f"{offender} is blamed")
    alert = heard.alerts.get(told["id"], "none")
    if alert != one.alert:
        faults.append(f"alert {alert}, not {one.alert}")
    report = heard.reports.get(told["id"], "")
    faults += [f"the report does not say: {words}" for words in one.says if words not in report]
    return faults


def _brief(told: Mapping[str, Any]) -> str:
    pods = sorted(victim["pod"] for victim in told["victims"])
    return f"{told['cause']} by {killer_of(told)}, pods {pods}"
