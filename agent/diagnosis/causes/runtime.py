"""The container runtime itself: it hung, or it fell over (docs/causes.md)."""

from __future__ import annotations

import re

from agent.diagnosis.case import Case, is_runtime
from agent.diagnosis.causes.idle_runtime import used_no_processor_s
from agent.diagnosis.causes.pressure import calm_evidence
from agent.diagnosis.causes.silence import silence_evidence
from agent.diagnosis.weigh import DECISIVE, FAIR, HINT, STRONG, WEAK, hypothesis, reason
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind, SubjectKind

CRASH_SIGNALS = re.compile(r"\b(?:SIG)?(?:SEGV|ABRT|BUS|ILL|FPE|TRAP|IOT)\b|core-dump|dumped")
SAID = "said"
"""Strength of what people wrote about the runtime, not the runtime about itself."""

GO_PANIC_STATUS = "2"
"""The Go runtime exits with 2 after an unrecovered panic (runtime/panic.go)."""


HELPER_ENDED = re.compile(
    r"\b(?:runc|crun|containerd-shim\S*|conmon) (?:did not terminate|exited|crashed|failed|died)"
    r"|OCI runtime \w+ failed: (?:runc|crun)"
)
"""A helper's own last words come out of the daemon's mouth: it reads them from a pipe."""


def runtime_hang(case: Case) -> Hypothesis | None:
    """The runtime lived but did not answer: a check timed out, or it waits for its own lock."""
    evidence: list[Evidence] = []
    kills = case.killed_by_monitor
    watchdog = case.of(Kind.WATCHDOG_TIMEOUT, Kind.WATCHDOG_WITHHELD, where=is_runtime)
    locked = case.of(Kind.RUNTIME_LOCKED, where=lambda f: f.detail.get("strength") != SAID)
    said = case.of(Kind.RUNTIME_LOCKED, where=lambda f: f.detail.get("strength") == SAID)
    if kills:
        evidence.append(
            reason(STRONG + 0.05, "a health monitor's check of the runtime timed out", kills)
        )
    if watchdog:
        evidence.append(reason(STRONG + 0.05, "its watchdog was not fed in time", watchdog))
    if locked:
        evidence.append(reason(STRONG, "goroutines wait for a lock for minutes", locked))
    if said:
        evidence.append(reason(FAIR, "people or a monitor say that the runtime hung", said))
    evidence.extend(silence_evidence(case))
    if evidence:
        evidence.extend(calm_evidence(case))
    if evidence and (idle_s := used_no_processor_s(case)) is not None:
        says = f"it used no processor in the {idle_s:.0f} s before: it stood still"
        evidence.append(reason(HINT, says))
    if evidence and case.has(Kind.RUNTIME_PANIC, where=lambda f: not case.is_late(f)):
        panics = case.of(Kind.RUNTIME_PANIC)
        evidence.append(reason(-0.6, "it crashed rather than hung", panics))
    missing = ("what it waited for: pressure of disk, memory and CPU before it stopped answering",)
    return hypothesis(Cause.RUNTIME_HANG, evidence, missing)


def runtime_crash(case: Case) -> Hypothesis | None:
    """The runtime ended by its own fault: a panic, a fatal error, a signal of its own making."""
    evidence: list[Evidence] = []
    panics = case.of(Kind.RUNTIME_PANIC)
    if panics:
        weight = DECISIVE if _is_told_twice(case, panics) else STRONG + 0.05
        evidence.append(reason(weight, "the runtime's own log says that it crashed", panics))
    dumps = case.of(Kind.CORE_DUMP, where=is_runtime)
    if dumps:
        evidence.append(reason(DECISIVE - 0.05, "it left a core dump", dumps))
    exits = case.of(Kind.UNIT_EXITED, Kind.UNIT_FAILED, where=is_runtime)
    by_signal = tuple(f for f in exits if died_of_own_signal(f))
    if by_signal:
        evidence.append(reason(STRONG, "it ended by a signal that a crash raises", by_signal))
    elif any(_exit_code_only(f) for f in exits):
        evidence.append(_exit_code(case, exits))
    elif of_nobody := case.of(Kind.UNIT_EXITED, where=lambda f: not f.subject.name):
        evidence.extend([_exit_code(case, of_nobody)] if case.has(Kind.RUNTIME_DUMP) else ())
    elif not panics and (stack := _stack_of_its_own(case)):
        says = "a stack of the runtime's own, which nobody asked for"
        evidence.append(reason(FAIR + 0.05, says, stack))
    fatal = case.of(Kind.RUNTIME_FATAL)
    if fatal:
        evidence.append(reason(FAIR - 0.05, "it refused to go on, with a reason", fatal))
    lost = case.of(Kind.SHIM_LOST, where=lambda f: f.subject.kind is not SubjectKind.POD)
    if evidence and lost:
        evidence.append(reason(HINT, "its shims went with it", lost))
    if evidence:
        evidence.extend(_against_crash(case))
    return hypothesis(Cause.RUNTIME_CRASH, evidence)


def _was_asked_for(dump: Fact) -> bool:
    """Somebody sent SIGUSR1 or SIGQUIT, or these goroutines wait: no crash prints that alone."""
    return dump.detail.get("what") in ("stacks", "waits") or "dump" in dump.text.lower()


def _stack_of_its_own(case: Case) -> tuple[Fact, ...]:
    """A paste that lost its speaker: the frames are in the runtime's own packages."""
    if case.has(Kind.RUNTIME_LOCKED, Kind.KUBELET_PANIC):
        return ()
    asked = case.has(Kind.RUNTIME_DUMP, where=_was_asked_for)
    frames = case.of(Kind.RUNTIME_DUMP, where=lambda f: f.detail.get("what") == "own-frame")
    return () if asked else frames


def _is_told_twice(case: Case, panics: tuple[Fact, ...]) -> bool:
    """One line may be another program's last words; a stack or the unit's end bears it out."""
    borne_out = case.runtime_deaths or case.has(Kind.RUNTIME_DUMP, Kind.CORE_DUMP)
    return bool(borne_out) or len({fact.text for fact in panics}) > 1


def _against_crash(case: Case) -> list[Evidence]:
    against = []
    helper = tuple(f for f in case.facts if HELPER_ENDED.search(f.text))
    if helper and not case.runtime_deaths:
        says = "a helper of the runtime (runc, a shim) is what ended, and the runtime went on"
        against.append(reason(-0.6, says, helper))
    if case.killed_by_monitor:
        against.append(
            reason(-0.85, "a health monitor had sent the signal", case.killed_by_monitor)
        )
    watchdog = case.of(Kind.WATCHDOG_TIMEOUT, where=is_runtime)
    if watchdog:
        against.append(reason(-0.7, "the watchdog sent the signal: it hung", watchdog))
    out_of_memory = case.of(Kind.UNIT_OOM, where=is_runtime)
    if out_of_memory:
        against.append(reason(-0.8, "the OOM killer ended it", out_of_memory))
    stops = case.of(Kind.UNIT_STOPPING, where=is_runtime)
    panics = case.of(Kind.RUNTIME_PANIC)
    if stops and not panics:
        against.append(reason(-0.4, "systemd was asked to stop it", stops))
    return against


def died_of_own_signal(fact: Fact) -> bool:
    """Say whether a unit's end names a signal that crashes raise (SEGV, ABRT ...)."""
    told = " ".join(fact.detail.get(key, "") for key in ("status", "signal", "code", "result"))
    return CRASH_SIGNALS.search(told) is not None


def _exit_code(case: Case, exits: tuple[Fact, ...]) -> Evidence:
    stacks = case.of(Kind.RUNTIME_DUMP, where=lambda f: f.detail.get("what") == "frame")
    panicked = any(f.detail.get("exit_code") == GO_PANIC_STATUS for f in exits)
    panicked = panicked and not any(
        f.text.startswith("SIGQUIT") for f in case.of(Kind.RUNTIME_DUMP)
    )
    if stacks and panicked:
        says = "it printed a stack and ended with the status of a Go panic"
        return reason(STRONG - 0.1, says, (*stacks, *exits))
    return reason(WEAK - 0.05, "it ended with an error code and no reason", exits)


def _exit_code_only(fact: Fact) -> bool:
    told = " ".join(fact.detail.get(key, "") for key in ("code", "result"))
    return "exited" in told or "exit-code" in told
