"""The report for a ticket: plain Markdown that reads well unrendered, too.

Ticket systems make links of more than Markdown says: ``@name`` calls people, ``#7`` names a ticket,
an address is one already. Words that could do so become code, where none of them acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from agent.printable import safe
from agent.report import phrases
from agent.report.steps import Step
from agent.report.timeline import Moment
from agent.report.view import IncidentView, Proof, Report, Rival
from agent.times import clock, offset, readable

LONGEST = 400
_OWNERS, _QUOTES, _OTHERS, _BLIND = 20, 2, 10, 10

_ACTS = re.compile(r"[@#!$~^%]\w|://|www\.|[a-z][\w-]*\.[a-z]{2,}|mailto:", re.IGNORECASE)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#!|~&$^=]|^[+-]|(?<=^\d)[.)]$)")


def as_markdown(report: Report, *, every_incident: bool = False) -> str:
    """Return the report as Markdown; the same report gives the same text."""
    shown = report.incidents if every_incident else report.incidents[:1]
    lines: list[str] = []
    if said := phrases.no_incident(report):
        lines += [f"**{prose(said)}**", ""]
    for incident in shown:
        lines += _incident(incident, report)
    rest = [*report.incidents[len(shown) :], *report.others]
    lines += _section("Other incidents in the same input", _others(rest))
    lines += _section("About this input", _input(report))
    return "\n".join(lines).rstrip("\n") + "\n"


def prose(text: str, longest: int = LONGEST) -> str:
    """Return text that renders as itself: no markup, no mention, no link."""
    words = safe(text, longest).split()
    return " ".join(code(word) if _ACTS.search(word) else _escaped(word) for word in words)


def _escaped(word: str) -> str:
    return _SPECIAL.sub(r"\\\1", word)


def code(text: str, longest: int = LONGEST) -> str:
    """Return text as a code span, whatever backticks are in it."""
    shown = safe(text, longest) or " "
    fence = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _incident(incident: IncidentView, report: Report) -> Iterator[str]:
    yield f"### {prose(incident.verdict, 600)}"
    yield ""
    for said in phrases.asked_about(incident, report.asked):
        yield from (f"Your pod: {prose(said)}", "")
    yield from (f"- **{label}:** {text}" for label, text in _answers(incident))
    yield ""
    yield from _section("What to do next", [prose(step) for step in incident.advice], "1.")
    chain = [_step(step, incident.kill_at_s) for step in incident.steps]
    yield from _section("The chain", chain, "1.")
    yield from _section("Victims", _victims(incident))
    yield from _section("Timeline", [_moment(moment) for moment in incident.moments])
    proofs = [_proof(proof, "for") for proof in incident.evidence_for]
    proofs += [_proof(proof, "against") for proof in incident.evidence_against]
    yield from _section("Evidence", proofs)
    name = "What it was not" if incident.explained else "What it might be"
    yield from _section(name, [_rival(rival) for rival in incident.rivals])
    blind = [f"Blind: {phrases.blind(spot)}" for spot in incident.blind]
    missing = [prose(text) for text in (*incident.missing, *blind)]
    yield from _section("Missing (would raise confidence)", missing)


def _answers(incident: IncidentView) -> Iterator[tuple[str, str]]:
    planned = "; planned work" if incident.planned else ""
    yield "When", prose(phrases.when(incident) + planned)
    yield "Node", prose(incident.node or "not named in this input")
    yield "Killer", _named(*phrases.killer(incident))
    cause = incident.cause_words
    yield "Cause", f"{prose(phrases.capital(cause.name))}. {prose(cause.sentence)}"
    yield "Offender", _named(*phrases.offender(incident.offender))
    yield "Victims", _named(*phrases.victims(incident))
    yield "Confidence", prose(incident.confidence_words)


def _named(name: str, more: str) -> str:
    return f"{prose(name)} ({prose(more)})" if more else prose(name)


def _step(step: Step, kill_at_s: float | None) -> str:
    when = ""
    if step.at_s is not None and kill_at_s is not None:
        when = f" ({offset(step.at_s - kill_at_s)})" if step.role != "Kill" else ""
    detail = f": {prose(step.detail)}" if step.detail else ""
    return f"**{step.role}**{when} {prose(step.what)}{detail}"


def _victims(incident: IncidentView) -> list[str]:
    shown = [
        f"{prose(phrases.owner_name(owner))}: {prose(owner.impact)}"
        + (f" ({prose(', '.join(owner.pods[:6]))})" if owner.owner else "")
        for owner in incident.owners[:_OWNERS]
    ]
    hidden = len(incident.owners) - len(shown)
    return [*shown, f"and {hidden} more owners"] if hidden > 0 else shown


def _moment(moment: Moment) -> str:
    at = offset(moment.offset_s) if moment.offset_s is not None else clock(moment.at_s) or "?"
    times = f" x{moment.count}" if moment.count > 1 else ""
    source = moment.source if moment.trusted else f"{moment.source}, quoted"
    line = f"{code(at)}{times} {code(moment.says)} ({prose(source)})"
    return f"**{line}**" if moment.is_kill else line


def _proof(proof: Proof, side: str) -> str:
    where = f"({prose(phrases.provenance(proof))})"
    quotes = "".join(f"<br>{code(quote, 240)}" for quote in proof.quotes[:_QUOTES])
    return f"{side}: {prose(proof.says)} {where}{quotes}"


def _rival(rival: Rival) -> str:
    why = rival.lost_because or "less speaks for it"
    return f"{prose(phrases.capital(rival.name))} ({rival.confidence:.2f}): {prose(why)}"


def _others(rest: Sequence[IncidentView]) -> list[str]:
    shown = [
        f"{prose(readable(other.kill_at_s))}: {prose(other.verdict, 200)}"
        for other in rest[:_OTHERS]
    ]
    hidden = len(rest) - len(shown)
    return [*shown, f"and {hidden} more"] if hidden > 0 else shown


def _input(report: Report) -> list[str]:
    told = {spot for incident in report.incidents for spot in incident.blind}
    spots = [spot for spot in report.origin.blind if spot not in told]
    said = [prose(text) for text in phrases.about_input(report)]
    said += [prose(f"Blind: {phrases.blind(spot)}") for spot in spots[:_BLIND]]
    if len(spots) > _BLIND:
        said.append(f"and {len(spots) - _BLIND} more blind spots")
    if report.origin.command:
        said.append(f"To get this answer again: {code(report.origin.command)}")
    return said


def _section(title: str, items: Iterable[str], mark: str = "-") -> Iterator[str]:
    listed = [f"{mark} {item}" for item in items]
    if listed:
        yield from (f"#### {title}", "", *listed, "")
