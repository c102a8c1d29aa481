"""A runtime that does not answer: who noticed, how often, and what else may be the reason."""

from __future__ import annotations

from collections.abc import Sequence

from agent.diagnosis.case import Case, is_runtime
from agent.diagnosis.weigh import FAIR, HINT, WEAK, reason
from agent.model import Evidence, Fact, Kind
from agent.rules.roles import Role, role_of

ASK_THE_WHOLE = frozenset(
    {
        "ListPodSandbox",
        "ListContainers",
        "ListImages",
        "ListPodSandboxStats",
        "ListContainerStats",
        "ImageFsInfo",
        "Status",
        "Version",
    }
)
"""Calls that no single container, image or plugin can hold up (cri-api, RuntimeService)."""

ANOTHER_CALL_S = 60.0
"""The same call within a minute is one, told by several callers; its deadline is two minutes."""

ENDED_OR_STARTED = (
    Kind.BOOT,
    Kind.NODE_REBOOTED,
    Kind.SHUTDOWN,
    Kind.KUBELET_STARTED,
    Kind.RUNTIME_STARTED,
    Kind.RUNTIME_STOPPED,
    Kind.RUNTIME_FATAL,
    Kind.RUNTIME_PANIC,
    Kind.OPERATOR_ACTS,
)


def silence_evidence(case: Case) -> list[Evidence]:
    """Return what late calls, a stale PLEG, blocked tasks and failed checks say of a hang."""
    evidence = []
    quiet = case.of(Kind.RUNTIME_SLOW, Kind.RUNTIME_DOWN)
    if quiet:
        evidence.append(_silence(quiet))
        evidence.extend(_second_witness(case, quiet))
    if quiet and case.has(Kind.MONITOR_KILLS_KUBELET, Kind.KUBELET_UNHEALTHY):
        checks = case.of(Kind.MONITOR_KILLS_KUBELET, Kind.KUBELET_UNHEALTHY)
        evidence.append(reason(WEAK + 0.05, "the kubelet failed its check because of it", checks))
    hung = case.of(Kind.HUNG_TASK, where=is_runtime)
    if hung:
        evidence.append(reason(HINT, "the kernel saw the runtime blocked", hung))
    stuck = case.of(Kind.NETNS_STUCK)
    if hung and stuck:
        says = "the kernel cannot free a network namespace that the runtime waits for"
        evidence.append(reason(FAIR, says, stuck))
    dumps = case.of(Kind.RUNTIME_DUMP)
    if dumps:
        evidence.append(reason(HINT, "somebody asked the runtime for its stacks", dumps))
    return evidence


def _silence(quiet: tuple[Fact, ...]) -> Evidence:
    """Late answers, a stale PLEG and a socket that refuses are one symptom told by many callers."""
    if any(f.detail.get("strength") == "strong" for f in quiet):
        return reason(WEAK + 0.07, "the kubelet lost sight of the runtime", quiet)
    if any(f.kind is Kind.RUNTIME_SLOW for f in quiet):
        return reason(WEAK - 0.05, "calls to the runtime ran into their deadline", quiet)
    return reason(WEAK - 0.05, "the runtime could not be reached", quiet)


def _second_witness(case: Case, quiet: tuple[Fact, ...]) -> list[Evidence]:
    """A stale PLEG has many reasons; a call that nobody answered, besides it, has fewer."""
    stale = [f for f in quiet if f.detail.get("strength") == "strong"]
    calls = tuple(f for f in quiet if f.kind is Kind.RUNTIME_SLOW and _is_heard_outside(f))
    if stale and calls:
        says = "and single calls to it were given up as well"
        return [reason(HINT, says, calls)]
    if case.runtime_deaths or case.kubelet_deaths or case.has(*ENDED_OR_STARTED):
        return []
    return _judged_silent(quiet, stale) or _given_up(case, quiet) or _silent_for_long(quiet)


def _given_up(case: Case, quiet: tuple[Fact, ...]) -> list[Evidence]:
    """Dockerd kills its own containerd only when that lives but does not serve."""
    killed = tuple(f for f in quiet if "killing and restarting containerd" in f.text)
    if killed and not case.has(Kind.RUNTIME_PANIC, Kind.CORE_DUMP):
        return [reason(WEAK, "dockerd gave its containerd up and killed it", killed)]
    return []


def _judged_silent(quiet: tuple[Fact, ...], stale: Sequence[Fact]) -> list[Evidence]:
    """Where nothing ended or started, the kubelet's own judgement is a second witness."""
    judged = tuple(f for f in quiet if f.rule == "runtime-is-down")
    judged = judged if len({f.text for f in quiet}) > 1 else ()  # one line is one witness
    late = tuple(f for f in quiet if _is_a_call(f) and "strength" not in f.detail)
    if judged and (stale or late):
        says = "and the kubelet holds it to be down, though nobody ended it"
        return [reason(HINT if stale else WEAK, says, judged)]
    return []


def _is_a_call(late: Fact) -> bool:
    return "op" in late.detail or "operation timeout" in late.text


def _silent_for_long(quiet: tuple[Fact, ...]) -> list[Evidence]:
    """One late call is a hiccup of anything; one after another of those that ask for all is not."""
    asked = tuple(f for f in quiet if f.detail.get("op") in ASK_THE_WHOLE)
    calls = _separate(asked)
    if calls < 2:
        return []
    says = (
        f"{calls} calls that only the runtime itself can hold up were given up, one after another"
    )
    return [reason(WEAK, says, asked)]


def _separate(asked: Sequence[Fact]) -> int:
    """Count the calls: another name is another call, and so is the same one much later."""
    last: dict[str, float | None] = {}
    calls = 0
    for fact in asked:
        op = fact.detail["op"]
        before = last.get(op)
        later = before is not None and fact.at_s is not None and fact.at_s - before > ANOTHER_CALL_S
        if op not in last or later:
            calls += 1
            last[op] = fact.at_s
    return calls


def _is_heard_outside(late: Fact) -> bool:
    """A client gave up; a runtime that complains of a late shim is not silent itself."""
    speaker = role_of(late.detail.get("speaker", ""))
    if late.detail.get("strength") == "weak" and speaker & Role.RUNTIME:
        return True  # dockerd writes down that a client of its API hung up
    inside = bool(speaker & Role.RUNTIME) and not speaker & Role.KUBELET
    return "strength" not in late.detail and not inside
