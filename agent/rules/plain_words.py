"""What a line says in plain words: which subject has which symptom, unless the line takes it back.

The tier below the rules. A rule knows the program that prints a line; here only the language is
known, so what comes out is weaker and never opens an incident in a journal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from agent.kinds import Kind
from agent.model import Cause, Trust
from agent.rules.roles import Role, role_of
from agent.rules.vocabulary import WEIGHTS, Denials, Symptom, Vocabulary

FARTHEST = 90
"""Characters between a symptom and its subject: about a dozen words."""

BEHIND = 25
"""A subject named after its symptom ("timed out waiting for the disk") counts as farther away."""

REACH = 240
"""Characters a denial may stand away from what it takes back, within the same clause."""

OURSELVES = "knockon.dev/agent"
"""Who reports the agents' own Events (``agent.kube.event_body.CONTROLLER``)."""

AT_ONCE = 60
MOST_SAYINGS = 4
LONGEST = 2000

LAST_WORDS = frozenset(
    {Kind.KUBELET_FATAL, Kind.RUNTIME_FATAL, Kind.KUBELET_PANIC, Kind.RUNTIME_PANIC}
)
"""Who ends says why: plain words in such a line are the reason, not a symptom among others."""

TELL_ONLY_THAT = LAST_WORDS | {
    Kind.MONITOR_KILLS_RUNTIME,
    Kind.MONITOR_KILLS_KUBELET,
    Kind.MONITOR_RESTARTS_RUNTIME,
    Kind.KUBELET_UNHEALTHY,
    Kind.NODE_NOT_READY,
    Kind.SANDBOX_CREATE_FAILED,
    Kind.UNIT_FAILED,
    Kind.UNIT_START_FAILED,
}
"""Rules that know that something ended or failed, whatever the rest of the line says of why."""

SAID_BY_THE_RULE = frozenset({Cause.RUNTIME_HANG, Cause.RUNTIME_CRASH, Cause.KUBELET_RESTART})

_CLAUSE_ENDS = re.compile(r"[;!?.]\s|,?\s+\b(?:but|however|although|then)\b|\n")
_QUIET_LEVELS = frozenset({"info", "debug", "notice", "trace"})
_HEEDED = Role.RUNTIME | Role.KUBELET | Role.MONITOR | Role.CONTROL_PLANE
_BYSTANDING_REASONS = frozenset(
    {"Unhealthy", "BackOff", "ProbeWarning", "FailedScheduling", "FailedToDrainNode", "Failed"}
)
_ALSO_HEEDED = re.compile(
    r".*(?:health|monitor|watchdog)|sudo|ansible|puppet|chef|salt|cloud-init|unattended-upgr|apt|dnf|yum|snapd|kured|shutdown"
    r"|smartd|multipathd|iscsid|mdadm|zed|dmeventd|lvm|calico|felix|flannel|cilium|aws-node|weave"
    r"|chronyd?|ntpd?|systemd-timesyncd|systemd-journald|systemd-udevd|systemd-oomd|earlyoom"
)


class Saying(NamedTuple):
    """One symptom of one subject, what the two speak for, and how much."""

    subject: str
    symptom: str
    cause: str
    weight: str


def weakened(weight: str) -> str:
    """Give the next lower weight: a warning is often only advice."""
    return WEIGHTS[min(WEIGHTS.index(weight) + 1, len(WEIGHTS) - 1)]


def is_heeded(trust: Trust, fields: Mapping[str, str]) -> bool:
    """Say whether this speaker's plain words count: part of the node, or nobody in pasted text."""
    if fields.get("LEVEL", "") in _QUIET_LEVELS or "USER_UNIT" in fields:
        return False
    if fields.get("EVENT_COMPONENT") == OURSELVES:
        return False  # or an explanation would be evidence for itself
    if reason := fields.get("EVENT_REASON"):
        return reason not in _BYSTANDING_REASONS and fields.get("EVENT_TYPE") != "Normal"
    if fields.get("_TRANSPORT") == "kernel":
        return fields.get("SYSLOG_FACILITY", "0") == "0"
    names = [fields.get("_SYSTEMD_UNIT", "")]
    if trust is Trust.QUOTED:
        names.append(fields.get("SYSLOG_IDENTIFIER", ""))
    told = [name for name in names if name]
    if not told:
        return trust is Trust.QUOTED
    return any(role_of(name) & _HEEDED or _ALSO_HEEDED.match(name) for name in told)


def sayings(message: str, heard: Iterable[Symptom], words: Vocabulary) -> tuple[Saying, ...]:
    """Read what is wrong out of a line, the symptoms whose literal text occurs in it given.

    >>> words = Vocabulary.load()
    >>> [(one.subject, one.symptom) for one in sayings(
    ...     "the root disk has bad sectors", words.symptoms, words)]
    [('device', 'io-error')]
    >>> sayings("no bad sectors on the root disk", words.symptoms, words)
    ()
    """
    text = message[:LONGEST].lower()
    found: dict[tuple[str, str], Saying] = {}
    for symptom in heard:
        for saying in _of(symptom, text, words):
            found.setdefault((saying.subject, saying.symptom), saying)
    return tuple(found.values())[:MOST_SAYINGS]


def _of(symptom: Symptom, text: str, words: Vocabulary) -> Iterator[Saying]:
    for matched in symptom.pattern.finditer(text):
        if _is_denied(text, matched, words.denials):
            continue
        subject = _nearest(symptom, text, matched, words)
        if subject:
            meaning = symptom.of[subject]
            yield Saying(subject, symptom.name, meaning.cause, meaning.weight)


def _is_denied(text: str, matched: re.Match[str], denials: Denials) -> bool:
    before = _CLAUSE_ENDS.split(text[max(0, matched.start() - REACH) : matched.start()])[-1]
    after = _CLAUSE_ENDS.split(text[matched.end() : matched.end() + REACH], maxsplit=1)[0]
    return bool(
        denials.at_once_before.search(before[-AT_ONCE:])
        or denials.before.search(before)
        or denials.after.search(after)
    )


def _nearest(symptom: Symptom, text: str, matched: re.Match[str], words: Vocabulary) -> str:
    """Name the subject closest to the symptom that can have it, else the one it implies."""
    best, least = symptom.alone if symptom.alone in symptom.of else "", FARTHEST + 1
    from_, to = max(0, matched.start() - FARTHEST), matched.end() + FARTHEST
    for name in symptom.of:
        for one in words.subjects[name].finditer(text, from_, min(len(text), to)):
            distance = _distance(one, matched)
            if distance < least:
                best, least = name, distance
    return best


def _distance(subject: re.Match[str], symptom: re.Match[str]) -> int:
    if subject.end() <= symptom.start():
        return symptom.start() - subject.end()
    if subject.start() >= symptom.end():
        return subject.start() - symptom.end() + BEHIND
    return FARTHEST  # "out of memory" is not about a memory that was named
