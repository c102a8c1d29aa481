"""Settings that cannot work: drivers that differ, certificates and clocks that are wrong."""

from __future__ import annotations

import re
from datetime import datetime

from agent.diagnosis.case import Case
from agent.diagnosis.weigh import (
    FAIR,
    STRONG,
    WEAK,
    borne_out,
    hypothesis,
    of_strength,
    reason,
    told_again,
)
from agent.model import Cause, Evidence, Fact, Hypothesis, Kind

ENDS = (
    Kind.UNIT_EXITED,
    Kind.UNIT_FAILED,
    Kind.UNIT_RESTART_SCHEDULED,
    Kind.UNIT_START_LIMIT,
    Kind.KUBELET_FATAL,
    Kind.RUNTIME_FATAL,
)

SECONDS = re.compile(r"\d+(?:\.\d+)?s?")

HALF_HOUR_S = 1800.0
SOME_SECONDS_S = 30.0

LACKS = re.compile(
    r"no such (?:file|device|process)|permission denied|not permitted|is (?:not )?a directory"
    r"|n(?:o|')t (?:found|exist)|\bmissing\b|\binvalid\b|\bunknown\b|\bunsupported\b|prerequisites"
    r"|not (?:supported|implemented|enabled|available|mounted|set|provided|configured|defined)"
    r"|\bmust\b|\bcannot (?:use|be used|parse)\b|could not find|already in use|explicitly choose"
    r"|no \S+ (?:provided|configured|specified|given)|no available network|conflicts? with"
    r"|misconfigur|different from"
    r"|cloud provider|\biptables\b|\bunable to (?:determine|select|find|parse|load)",
    re.IGNORECASE,
)
NOT_A_SETTING = re.compile(
    r"no space left|input/output error|read-only file ?system|connection refused|timed? ?out"
    r"|deadline exceeded|x509|certificate|cannot allocate|out of memory|too many open|\bpanic\b"
    r"|\bcorrupt|checksum|\bpid file\b|still running|context canceled|\bEOF\b"
    r"|dial (?:unix|tcp)|connection error|transport",
    re.IGNORECASE,
)
"""Of what a daemon says when it will not start: what it misses, and what is no setting's fault."""

STOPPED = (
    *ENDS,
    Kind.UNIT_START_FAILED,
    Kind.RUNTIME_DOWN,
    Kind.NODE_NOT_READY,
    Kind.KUBELET_UNHEALTHY,
    Kind.SANDBOX_CREATE_FAILED,
    Kind.SANDBOX_CHANGED,
    Kind.CONTAINER_BACKOFF,
)
"""What a setting or a certificate brings about: somebody ends, or cannot begin."""


def config_mismatch(case: Case) -> Hypothesis | None:
    """A component says that its settings do not fit those of another, or the machine."""
    told = case.of(Kind.CONFIG_MISMATCH)
    strong = of_strength("strong", told, default="strong")
    evidence: list[Evidence] = []
    usage = tuple(f for f in told if f.detail.get("what") == "usage")
    if usage and not strong and case.has(*ENDS):
        says = "it printed its usage and ended: it does not know an option it was given"
        evidence.append(reason(FAIR + 0.05, says, usage))
    elif strong:
        evidence.append(reason(STRONG, "a component names the setting that does not fit", strong))
        evidence.extend(borne_out(strong, case.of(*STOPPED)))
    elif refused := case.of(Kind.KUBELET_FATAL, Kind.RUNTIME_FATAL, where=_lacks_something):
        says = "a component refuses to run for want of something it was told to use"
        evidence.append(reason(FAIR + 0.1, says, (*refused, *told)))
    elif told:
        evidence.append(reason(WEAK + 0.1, "settings look as if they did not fit", told))
        evidence.extend(told_again(told))
    return hypothesis(Cause.CONFIG_MISMATCH, evidence)


def _lacks_something(refusal: Fact) -> bool:
    return bool(LACKS.search(refusal.text)) and not NOT_A_SETTING.search(refusal.text)


def _by_a_second(jump: Fact) -> bool:
    """A step of less than a second is what every time service does at its start."""
    told = jump.detail.get("seconds", "").strip("+-")
    return not SECONDS.fullmatch(told) or float(told.removesuffix("s")) >= 1.0


def _shown_s(read: Fact) -> float | None:
    try:
        return datetime.fromisoformat(f"{read.detail.get('time', '')}+00:00").timestamp()
    except ValueError:
        return None


def _clocks_differ(case: Case) -> tuple[Fact, ...]:
    """Two clocks read in one breath; a difference of whole half hours is one of zones."""
    read = case.of(Kind.CLOCK_READ)
    shown = {f.detail.get("clock", ""): _shown_s(f) for f in read}
    system_s, hardware_s = shown.get("Universal"), shown.get("RTC")
    if system_s is None or hardware_s is None:
        return ()
    apart_s = abs(system_s - hardware_s)
    by_zone = abs(apart_s - HALF_HOUR_S * round(apart_s / HALF_HOUR_S)) < SOME_SECONDS_S
    return () if by_zone else read


def clock_or_cert(case: Case) -> Hypothesis | None:
    """A certificate is outside its time or of another authority, or the clock is wrong."""
    evidence: list[Evidence] = []
    certificates = case.of(Kind.CERT_INVALID)
    jumps = case.of(Kind.CLOCK_JUMPED, where=_by_a_second)
    told = of_strength("strong", certificates, default="strong")
    if told:
        evidence.append(reason(STRONG, "a certificate is outside its validity", told))
        evidence.extend(borne_out(told, case.of(*STOPPED)))
    elif met := of_strength("medium", certificates):
        says = "the node's own client does not accept a certificate: another authority signed it"
        evidence.append(reason(FAIR + 0.1, says, met))
    elif certificates:
        evidence.append(reason(WEAK + 0.1, "a certificate was not accepted", certificates))
        evidence.extend(told_again(certificates))
    if told_jumps := of_strength("strong", jumps, default="strong"):
        evidence.append(reason(FAIR, "the clock was set or jumped", told_jumps))
    elif differ := _clocks_differ(case):
        evidence.append(reason(FAIR + 0.05, "the node's two clocks differ by minutes", differ))
    elif jumps:
        evidence.append(reason(WEAK, "nobody keeps the node's clock", jumps))
    return hypothesis(Cause.CLOCK_OR_CERT, evidence)
