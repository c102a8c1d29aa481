"""Who moved most by the processes' own counters, where control groups saw too little to tell."""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.case import Case
from agent.diagnosis.shares import FAIR_SHARE, LOOK_BACK_S, mostly_unseen
from agent.model import Cause, Fact, Kind, Offender, Pod
from agent.rules.roles import WHOLE_UNITS


def busiest_process(case: Case, cause: Cause, pods: Sequence[Pod]) -> Offender | None:
    """Return the pod, unit or process behind most of the load; none where that is not clear.

    Asked only where control groups missed most of what the disk did: they are exact where they
    see. Whoever was the busiest must have been so each time somebody looked in the minute before.
    """
    facts = [fact for fact in case.of(Kind.PROCESS_LOAD) if _in_the_minute_before(case, fact)]
    if not facts or not mostly_unseen(case, cause):
        return None
    last = facts[-1]
    if any(_home(fact) != _home(last) or _share(fact) < FAIR_SHARE for fact in facts):
        return None
    method = (
        f"its process {last.subject.name} (pid {last.detail.get('pid', '?')}) moved "
        f"{_rate_mb_s(last):.0f} MB/s, {_share(last):.0%} of what all processes moved, by their "
        "own counters; control groups saw less than half of what the disk did"
    )
    uid, unit = last.detail.get("pod_uid", ""), last.detail.get("unit", "")
    pod = next((one for one in pods if uid and one.uid == uid), None)
    if pod is not None:
        return Offender("pod", pod.name, pod.namespace, method)
    if uid:
        return None  # of a pod whose name nobody knows
    return Offender("unit" if unit else "process", unit or last.subject.name, "", method)


def narrowed(case: Case, found: Offender) -> Offender:
    """Name the process where control groups name no more than the logins of all, or PID 1."""
    facts = [fact for fact in case.of(Kind.PROCESS_LOAD) if _in_the_minute_before(case, fact)]
    if found.name not in WHOLE_UNITS or len({_home(fact) for fact in facts}) != 1:
        return found
    last = facts[-1]
    elsewhere = last.detail.get("pod_uid") or last.detail.get("unit")
    if elsewhere or any(_share(fact) < FAIR_SHARE for fact in facts):
        return found
    method = (
        f"its pid {last.detail.get('pid', '?')} moved {_rate_mb_s(last):.0f} MB/s, "
        f"{_share(last):.0%} of what all processes moved, by their own counters; {found.name}, "
        f"where it runs, {found.method}"
    )
    return Offender("process", last.subject.name, "", method)


def _in_the_minute_before(case: Case, fact: Fact) -> bool:
    if case.pivot_s is None or fact.at_s is None:
        return False
    return case.pivot_s - LOOK_BACK_S <= fact.at_s <= case.pivot_s


def _home(fact: Fact) -> tuple[str, str, str]:
    detail = fact.detail
    home = detail.get("pod_uid", ""), detail.get("unit", "")
    return (*home, "" if any(home) else fact.subject.name)


def _share(fact: Fact) -> float:
    return _number(fact, "share")


def _rate_mb_s(fact: Fact) -> float:
    return _number(fact, "bytes_s") / 1e6


def _number(fact: Fact, name: str) -> float:
    try:
        return float(fact.detail.get(name, "0"))
    except ValueError:
        return 0.0
