"""Print a report for a tired person: the verdict, then who, why, what was hurt, and proof."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from agent.model import BlindSpot, Killer, Offender
from agent.printable import safe
from agent.report.screen import Screen
from agent.report.timeline import Moment
from agent.report.view import Asked, IncidentView, Proof, Report, Rival
from agent.times import clock, offset, readable, span
from agent.words import counted, listed

_LABEL_WIDTH = 12  # "Confidence" and two spaces
_OWNERS_SHOWN = 8
_GUESSES_SHOWN = 3
_BLIND_SHOWN = 5
_NARROW = 60  # below this, labels stand on lines of their own


def as_text(report: Report, screen: Screen) -> str:
    """Return the whole answer, each line within the screen's width."""
    lines = list(_lines(report, screen))
    return "\n".join(lines).rstrip("\n") + "\n"


def incident_line(incident: IncidentView) -> str:
    """Return one line for a list of incidents; not cut, so that `grep` finds what it looks for."""
    columns_of_it = (
        incident.id,
        readable(incident.kill_at_s),
        incident.node or "-",
        counted(len(incident.victims), "pod"),
        f"{'planned, ' if incident.planned else ''}{incident.cause} {incident.confidence:.2f}",
        incident.verdict,
    )
    return "  ".join(safe(column, 300) for column in columns_of_it)


def _lines(report: Report, screen: Screen) -> Iterator[str]:
    yield from _answer(report, screen)
    shown = report.incidents if screen.every_incident else report.incidents[:1]
    for number, incident in enumerate(shown):
        if number:
            yield from ("", screen.styled("-" * min(screen.width, 80), "dim"), "")
        yield from _incident(incident, report.asked, screen)
    rest = [*report.incidents[len(shown) :], *report.others]
    yield from _section("Other incidents in the same input", _other_lines(rest, screen), screen)
    told = {spot for incident in shown for spot in incident.blind}
    yield from _section("About this input", _input_lines(report, told, screen), screen)


def _answer(report: Report, screen: Screen) -> Iterator[str]:
    """Say first what there is no incident for: the quiet input, or the pod that is in none."""
    asked = report.asked
    if asked and not asked.found:
        name = f"{asked.namespace}/{asked.pod}" if asked.namespace else asked.pod
        sentence = f"Pod {safe(name, 300)} is in no incident found in {safe(report.origin.name)}."
        yield from screen.each(screen.wrap(sentence), "bold")
        if asked.close_names:
            near = listed(tuple(safe(close, 120) for close in asked.close_names))
            yield from screen.wrap(f"Did you mean {near}?")
    elif report.quiet:
        seen = "recognised" if report.origin.quoted else "to report"
        sentence = f"Nothing {seen}: no incident in {safe(report.origin.name)}."
        yield from screen.each(screen.wrap(sentence), "green")


def _incident(incident: IncidentView, asked: Asked | None, screen: Screen) -> Iterator[str]:
    style = "green" if incident.planned else "bold" if incident.explained else "yellow"
    yield from screen.each(screen.wrap(safe(incident.verdict, 600)), style)
    yield ""
    yield from _labelled("Your pod", _asked(incident, asked), screen)
    for label, values in _facts(incident):
        yield from _labelled(label, values, screen)
    yield from _labelled("Victims", _victims(incident, screen), screen)
    yield from _section(*_timeline(incident, screen), screen)
    yield from _section("Evidence for", _proofs(incident.evidence_for, "+", screen), screen)
    yield from _section("Evidence against", _proofs(incident.evidence_against, "-", screen), screen)
    if not incident.explained:
        guesses = _rivals(incident.rivals[:_GUESSES_SHOWN], screen)
        yield from _section("What it might be", guesses, screen)
    elif screen.explain:
        yield from _section("What it was not", _rivals(incident.rivals, screen), screen)
    missing = [*incident.missing, *_blind_texts(incident.blind, screen)]
    yield from _section("Missing (would raise confidence)", _bullets(missing, screen), screen)
    yield from _section("What to do next", _bullets(incident.advice, screen), screen)


def _asked(incident: IncidentView, asked: Asked | None) -> list[str]:
    """Say what happened to the very pod that was asked about."""
    if not (asked and asked.found):
        return []
    values: list[str] = []
    for victim in incident.victims:
        if victim.pod == asked.pod and asked.namespace in ("", victim.namespace):
            harm = victim.harm or "hurt"
            when = f" at {clock(victim.at_s)} UTC" if victim.at_s is not None else ""
            values.append(f"{victim.namespace or '?'}/{victim.pod}: {harm}{when}")
    return values or [f"{asked.pod}: not hurt itself, named as the offender"]


def _facts(incident: IncidentView) -> Iterator[tuple[str, list[str]]]:
    yield "When", [_when(incident)]
    yield "Node", [incident.node or "not named in this input"]
    yield "Killer", [_killer(incident.killer, incident.killer_kind)]
    name, sentence = incident.cause_words.name, incident.cause_words.sentence
    yield "Cause", [f"{name[0].upper()}{name[1:]}. {sentence}"]
    if incident.offender:
        yield "Offender", [_offender(incident.offender)]
    planned = "; planned work, nobody needs to wake up" if incident.planned else ""
    yield "Confidence", [incident.confidence_words + planned]


def _when(incident: IncidentView) -> str:
    opened_s, closed_s = incident.opened_at_s, incident.closed_at_s
    when = readable(incident.kill_at_s)
    if opened_s is None or closed_s is None or closed_s - opened_s < 0.1:
        return when
    return f"{when}, everything within {span(closed_s - opened_s)}"


def _killer(killer: Killer | None, kind_words: str) -> str:
    if killer is None:
        return "not seen"
    return f"{killer.name} ({kind_words})" if killer.name else kind_words


def _offender(offender: Offender) -> str:
    method = f" (found by: {offender.method})" if offender.method else ""
    return f"{offender.title}{method}"


def _victims(incident: IncidentView, screen: Screen) -> list[str]:
    if not incident.owners:
        return ["none seen"]
    harms = sorted({victim.harm for victim in incident.victims if victim.harm})
    most = len(incident.owners) if screen.explain else _OWNERS_SHOWN
    values = [_victims_head(incident, harms)]
    for owner in incident.owners[:most]:
        space = f"{owner.namespace}/" if owner.namespace else ""
        kind, _, name = owner.owner.rpartition("/")
        who = f"{kind} {space}{name}" if owner.owner else f"pod {space}{owner.pods[0]}"
        harm = f" ({listed(owner.harms)})" if owner.harms and len(harms) > 1 else ""
        values.append(f"{who}: {owner.impact}{harm}")
        if screen.explain and owner.owner:
            values.append(f"  {', '.join(owner.pods)}")
    hidden = len(incident.owners) - most
    return [*values, f"and {hidden} more (--explain)"] if hidden > 0 else values


def _victims_head(incident: IncidentView, harms: Sequence[str]) -> str:
    """Count what was hurt; a harm they all share is said once, here."""
    owners = sum(bool(owner.owner) for owner in incident.owners)
    outages = sum(owner.severity == 3 for owner in incident.owners)
    head = counted(len(incident.victims), "pod") + (
        f" of {counted(owners, 'owner')}" * bool(owners)
    )
    parts = [head, *(harms if len(harms) == 1 else ())]
    return ", ".join([*parts, *([counted(outages, "outage")] if outages else ())])


def _timeline(incident: IncidentView, screen: Screen) -> tuple[str, list[str]]:
    zero = f" (0.0 s = {clock(incident.kill_at_s)} UTC)" if incident.kill_at_s is not None else ""
    starts = [_offset(moment) for moment in incident.moments]
    left = max(map(len, starts), default=0)
    lines: list[str] = []
    for start, moment in zip(starts, incident.moments, strict=True):
        prefix = f"{'>' if moment.is_kill else ' '} {start:>{left}}  "
        text = screen.hanging(prefix, _moment(moment, 400 if screen.explain else 160))
        lines += screen.each(text, "red") if moment.is_kill else text
    if incident.moments_left_out:
        hint = "" if screen.explain else " (--explain)"
        more = counted(incident.moments_left_out, "more line")
        lines += screen.hanging(" " * (left + 4), f"{more} left out{hint}")
    return f"Timeline{zero}", lines


def _offset(moment: Moment) -> str:
    if moment.offset_s is not None:
        return offset(moment.offset_s)
    return clock(moment.at_s) or "?"


def _moment(moment: Moment, longest: int) -> str:
    times = f" x{moment.count}" if moment.count > 1 else ""
    if times and moment.until_s is not None and moment.at_s is not None:
        lasted_s = moment.until_s - moment.at_s
        times += f" within {span(lasted_s)}" if lasted_s >= 0.05 else ""
    source = moment.source if moment.trusted else f"{moment.source}, quoted"
    return f"{safe(moment.says, longest)}{times} [{safe(source, 40)}]"


def _proofs(proofs: Sequence[Proof], sign: str, screen: Screen) -> list[str]:
    lines: list[str] = []
    for proof in proofs:
        lines += screen.hanging(f"  {sign} ", f"{safe(proof.says)} [{_provenance(proof)}]")
        if screen.explain:
            for quote in proof.quotes:
                lines += screen.hanging("      | ", safe(quote, 200))
    return lines


def _provenance(proof: Proof) -> str:
    if not proof.source:
        return "concluded"
    trust = "" if proof.trusted else "quoted"
    return ", ".join(filter(None, (safe(proof.source, 60), trust, clock(proof.at_s))))


def _rivals(rivals: Sequence[Rival], screen: Screen) -> list[str]:
    lines: list[str] = []
    for rival in rivals:
        why = rival.lost_because or "less speaks for it"
        lines += screen.hanging("  - ", f"{rival.name} ({rival.confidence:.2f}): {safe(why)}")
        for sign, proofs in (("+", rival.for_it), ("-", rival.against_it)):
            for proof in proofs:
                text = f"{safe(proof.says)} [{_provenance(proof)}]"
                lines += screen.hanging(f"      {sign} ", text)
    return lines


def _other_lines(rest: Sequence[IncidentView], screen: Screen) -> list[str]:
    lines: list[str] = []
    for other in rest[:10]:
        text = f"{readable(other.kill_at_s)}: {safe(other.verdict, 200)}"
        lines += screen.hanging("  - ", text)
    if len(rest) > 10:
        lines.append(f"  and {len(rest) - 10} more (--all)")
    return lines


def _input_lines(report: Report, told: set[BlindSpot], screen: Screen) -> list[str]:
    origin = report.origin
    absent = [f"The input has no {part}." for part in origin.missing]
    blind = [spot for spot in origin.blind if spot not in told]
    return _bullets([*report.notes, *absent, *_blind_texts(blind, screen)], screen)


def _blind_texts(spots: Sequence[BlindSpot], screen: Screen) -> list[str]:
    most = len(spots) if screen.explain else _BLIND_SHOWN
    texts = [_blind_text(spot) for spot in spots[:most]]
    hidden = len(spots) - most
    return (
        [*texts, f"and {counted(hidden, 'more blind spot')} (--explain)"] if hidden > 0 else texts
    )


def _blind_text(spot: BlindSpot) -> str:
    start, end = (readable(at_s) if at_s is not None else "" for at_s in (spot.from_s, spot.to_s))
    when = " ".join(filter(None, (start and f"from {start}", end and f"to {end}")))
    return f"Blind{' ' if when else ''}{when}: {spot.source}: {spot.why}"


def _bullets(texts: Iterable[str], screen: Screen) -> list[str]:
    return [line for text in texts for line in screen.hanging("  - ", safe(text))]


def _section(title: str, lines: Sequence[str], screen: Screen) -> Iterator[str]:
    if lines:
        yield from ("", *screen.each(screen.wrap(title), "bold"), *lines)


def _labelled(label: str, values: Sequence[str], screen: Screen) -> Iterator[str]:
    """Put a label and its values side by side, or below each other where it is narrow."""
    if not values:
        return
    narrow = screen.width < _NARROW
    indent = 2 if narrow else _LABEL_WIDTH
    if narrow:
        yield screen.styled(label, "dim")
    for index, value in enumerate(values):
        lead = f"{label:<{indent}}" if index == 0 and not narrow else " " * indent
        pad = len(value) - len(value.lstrip(" "))
        yield from screen.hanging(lead + " " * pad, safe(value))
