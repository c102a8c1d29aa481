"""An agent's Events read back as a Diagnosis: all that is left of one while the agent is away.

Nothing is added to what was said: the chain, the evidence of rivals and the minutes before are with
the agent, and the Diagnosis says that they are missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

from agent.fleet.told import Role, Told
from agent.model import (
    Cause,
    Diagnosis,
    Evidence,
    Fact,
    Hypothesis,
    Incident,
    Killer,
    KillerKind,
    Kind,
    Link,
    Offender,
    Subject,
    SubjectKind,
    Trust,
    Victim,
)
from agent.times import parse

_HARM = re.compile(r"This pod: (.{1,80}?)(?: at [\d:.]+ UTC)?\. ")
_LOAD = re.compile(r"The load of this pod preceded an incident on node \S+: \d+ pods? hurt\. ")
_REST = re.compile(r" (?:\d+ pods? hurt\. )?(?:Trigger(?: at [\d:.]+ UTC)?: |Cause: )")
_SURE = re.compile(r" Cause: .{1,80}? \(\d+% sure\)\. ?")
_SOURCE = "events"
_MISSING = "the agent's own report: chain, evidence against, other causes, the minutes before"


def diagnoses_told(told: Iterable[Told]) -> list[Diagnosis]:
    """One Diagnosis for each incident that Events tell of, the newest first."""
    by_incident: dict[str, list[Told]] = {}
    for one in sorted(told, key=lambda one: one.at_s or 0.0):
        by_incident.setdefault(one.incident, []).append(one)
    made = [_diagnosis(some) for some in by_incident.values()]
    return sorted(made, key=lambda one: -(one.incident.opened_at_s or 0.0))


def _diagnosis(told: Sequence[Told]) -> Diagnosis:
    """The Event on the node says most; among others the newest is right."""
    leading = next((one for one in told if one.role is Role.NODE), told[-1])
    times = [one.at_s for one in told if one.at_s is not None]
    says = _Note(leading)
    return Diagnosis(
        incident=Incident(
            id=leading.incident,
            node=leading.node,
            opened_at_s=min(times, default=None),
            closed_at_s=max(times, default=None),
            facts=(says.fact,),
        ),
        cause=leading.cause,
        confidence=leading.confidence,
        planned=leading.planned,
        killer=_killer(leading),
        offender=next((_offender(one) for one in told if one.role is Role.OFFENDER), None),
        victims=tuple(_victim(one) for one in told if one.role is Role.VICTIM),
        chain=_chain(told, says),
        hypotheses=says.hypotheses,
        missing=(_MISSING,),
        verdict=says.verdict,
    )


class _Note:
    """What an Event's note says, taken apart as `agent.kube.announce` puts it together."""

    def __init__(self, told: Told) -> None:
        self.told = told
        body = told.note.removesuffix(f" Incident {told.incident}.")
        body = _LOAD.sub("", _HARM.sub("", body, count=1), count=1)
        ends = _REST.search(body)
        self.verdict = body[: ends.start()] if ends else body
        sure = _SURE.search(body)
        self.proofs = body[sure.end() :] if sure else ""
        about = Subject(SubjectKind.NODE, told.node)
        self.fact = Fact(
            Kind.AGENT_TOLD,
            told.at_s,
            about,
            _SOURCE,
            Trust.TRUSTED,
            told.note[:600],
        )

    @property
    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """The one that won, with what the Event quotes of its evidence."""
        if self.told.cause is Cause.UNKNOWN:
            return ()
        says = self.proofs or "Its node's agent said so in an Event."
        proof = Evidence(self.told.confidence, says, (self.fact,))
        return (Hypothesis(self.told.cause, self.told.confidence, (proof,)),)


def _killer(told: Told) -> Killer | None:
    kind, name = told.killer
    with suppress(ValueError):
        return Killer(KillerKind(kind), name, _trigger_s(told))
    return None


def _trigger_s(told: Told) -> float | None:
    """The note says the time of day; the Event's own time says the day."""
    found = re.search(r"Trigger at (\d\d:\d\d:\d\d(?:\.\d+)?) UTC", told.note)
    if found is None or told.at_s is None:
        return None
    day_s = told.at_s // 86_400 * 86_400
    with suppress(ValueError):
        at_s = day_s + parse(f"1970-01-01T{found[1]}Z")
        return at_s if at_s <= told.at_s + 3600 else at_s - 86_400
    return None


def _offender(told: Told) -> Offender:
    return Offender("pod", told.pod, told.namespace, "its node's agent")


def _victim(told: Told) -> Victim:
    harm = _HARM.match(told.note)
    said = harm[1] if harm else "hurt"
    return Victim(told.namespace, told.pod, told.uid, told.owner, said, told.at_s)


def _chain(told: Sequence[Told], says: _Note) -> tuple[Link, ...]:
    killer, links = _killer(says.told), []
    if killer is not None and killer.at_s is not None:
        links.append(Link(killer.at_s, f"The trigger: {killer.name or killer.kind}", _SOURCE))
    for one in told:
        if one.role is Role.VICTIM:
            said = f"Pod {one.namespace}/{one.pod}: {_victim(one).harm}"
            links.append(Link(one.at_s, said, _SOURCE))
    return tuple(links)
