"""A runtime that does not answer: who noticed, how often, and what else may be the reason."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

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

MANY_WAYS = 3
"""One late call comes out of two callers at least; three wordings are more than one call."""

_HELPERS = re.compile(r"(?:docker-)?(?:containerd-shim|runc|crun|conmon|shim)")
_VARIES = re.compile(r"\S*\d\S*|\"[^\"]*\"")

LEAST_BEATS = 2
NOT_AT_ONCE_S = 30.0
"""What ends sooner than this after each start does not start at all."""

SHORT_OF_SOMETHING = (
    Kind.IO_SLOW,
    Kind.IO_PRESSURE,
    Kind.DISK_ERROR,
    Kind.DISK_SHORT,
    Kind.MEMORY_SHORT,
    Kind.OOM_INVOKED,
    Kind.CPU_STALL,
    Kind.CPU_STARVED,
)

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
    evidence = _ended_in_rhythm(case)
    quiet = case.of(Kind.RUNTIME_SLOW, Kind.RUNTIME_DOWN)
    if quiet:
        evidence.append(_silence(quiet))
        evidence.extend(_second_witness(case, quiet))
    if quiet and case.has(Kind.MONITOR_KILLS_KUBELET, Kind.KUBELET_UNHEALTHY):
        checks = case.of(Kind.MONITOR_KILLS_KUBELET, Kind.KUBELET_UNHEALTHY)
        evidence.append(reason(WEAK + 0.05, "the kubelet failed its check because of it", checks))
    evidence.extend(_blocked_in_the_kernel(case))
    dumps = case.of(Kind.RUNTIME_DUMP)
    if dumps:
        evidence.append(reason(HINT, "somebody asked the runtime for its stacks", dumps))
    return evidence


def _blocked_in_the_kernel(case: Case) -> list[Evidence]:
    """The runtime is a task that the kernel reports: what it stands at, and whether it is alone."""
    hung = case.of(Kind.HUNG_TASK, where=is_runtime)
    evidence = [reason(HINT, "the kernel saw the runtime blocked", hung)] if hung else []
    if not any(_is_a_daemon(f) for f in hung):
        return evidence
    stuck = case.of(Kind.NETNS_STUCK)
    if stuck:
        says = "the kernel cannot free a network namespace that the runtime waits for"
        return [*evidence, reason(FAIR, says, stuck)]
    if case.has(*SHORT_OF_SOMETHING) or case.has(Kind.LOCK_WAIT, where=_in_file_system):
        return evidence
    locks = case.of(Kind.LOCK_WAIT)
    if locks:
        says = "it stands at a lock of the kernel, and nothing tells of a disk"
        return [*evidence, reason(FAIR - 0.05, says, locks)]
    if len(hung) == len(case.of(Kind.HUNG_TASK)):
        says = "it alone is blocked, and nothing tells of a disk or of memory"
        return [*evidence, reason(FAIR - 0.1, says, hung)]
    return evidence


def _is_a_daemon(blocked: Fact) -> bool:
    """A shim or runc that is blocked keeps one container waiting, not the runtime."""
    return not _HELPERS.match(blocked.detail.get("comm", ""))


def _in_file_system(frame: Fact) -> bool:
    return frame.detail.get("what") == "file-system"


def _ended_in_rhythm(case: Case) -> list[Evidence]:
    """A supervisor that finds it gone every so many seconds: a check it never passes ends it."""
    ends = [
        f for f in case.of(Kind.UNIT_EXITED, where=is_runtime) if f.rule == "supervisord-exited"
    ]
    times = sorted({f.at_s for f in ends if f.at_s is not None})
    gaps = [later - before for before, later in pairwise(times)]
    if len(gaps) < LEAST_BEATS or min(gaps) < NOT_AT_ONCE_S or max(gaps) > 1.1 * min(gaps):
        return []
    says = f"it is ended every {min(gaps):.0f} s, as by a check that it never passes"
    return [reason(FAIR + 0.05, says, ends)]


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
        return _docker_late_everywhere(quiet)
    says = (
        f"{calls} calls that only the runtime itself can hold up were given up, one after another"
    )
    return [reason(WEAK, says, asked)]


def _docker_late_everywhere(quiet: tuple[Fact, ...]) -> list[Evidence]:
    """The kubelet's own client of docker gave up after two minutes, whatever it had asked for."""
    late = tuple(f for f in quiet if "operation timeout" in f.text)
    ways = {_VARIES.sub("", f.text)[:90] for f in late}
    if len(ways) < MANY_WAYS:
        return []
    return [reason(WEAK, f"{len(ways)} different calls to docker were given up", late)]


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
