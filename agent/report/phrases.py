"""Short sentences about one incident that page and ticket share."""

from __future__ import annotations

from collections.abc import Iterator

from agent.model import BlindSpot, Offender
from agent.report.damage import OwnerDamage
from agent.report.view import Asked, IncidentView, Proof, Report
from agent.times import clock, readable, span
from agent.words import counted, listed


def when(incident: IncidentView) -> str:
    """Say when it happened, and how long it took."""
    opened_s, closed_s = incident.opened_at_s, incident.closed_at_s
    at = readable(incident.kill_at_s)
    if opened_s is None or closed_s is None or closed_s - opened_s < 0.1:
        return at
    return f"{at}, everything within {span(closed_s - opened_s)}"


def killer(incident: IncidentView) -> tuple[str, str]:
    """Name the killer, and say what it is."""
    if incident.killer is None:
        return "not seen", "nothing in the input shows who pulled the trigger"
    return incident.killer.name or incident.killer_kind, (
        incident.killer_kind if incident.killer.name else ""
    )


def offender(found: Offender | None) -> tuple[str, str]:
    """Name the offender, and say how it was found."""
    if found is None:
        return "not seen", "nothing in the input shows whose load or act it was"
    return found.title, found.method


def victims(incident: IncidentView) -> tuple[str, str]:
    """Count the victims, and say what happened to them."""
    if not incident.victims:
        return "none seen", "no pod is known to have been hurt"
    owners = counted(len(incident.owners), "owner")
    harms = listed(tuple(sorted({v.harm for v in incident.victims if v.harm})))
    outages = sum(owner.severity == 3 for owner in incident.owners)
    parts = (harms, f"of {owners}", counted(outages, "outage") if outages else "")
    return counted(len(incident.victims), "pod"), ", ".join(filter(None, parts))


def owner_name(owner: OwnerDamage) -> str:
    """Name an owner with its namespace: "StatefulSet prod/pg"."""
    space = f"{owner.namespace}/" if owner.namespace else ""
    kind, _, name = owner.owner.rpartition("/")
    return f"{kind} {space}{name}" if owner.owner else f"pod {space}{owner.pods[0]}"


def capital(text: str) -> str:
    """Begin with a capital, leave the rest."""
    return f"{text[:1].upper()}{text[1:]}"


def provenance(proof: Proof) -> str:
    """Say where a proof comes from; "concluded" when from nowhere in particular."""
    if not proof.source:
        return "concluded"
    trust = "" if proof.trusted else "quoted"
    return ", ".join(filter(None, (proof.source, trust, clock(proof.at_s))))


def blind(spot: BlindSpot) -> str:
    """Say who could not see, from when to when, and why."""
    start, end = (readable(at_s) if at_s is not None else "" for at_s in (spot.from_s, spot.to_s))
    at = " ".join(filter(None, (start and f"from {start}", end and f"to {end}")))
    return f"{spot.source}{' ' if at else ''}{at}: {spot.why}"


def about_input(report: Report) -> Iterator[str]:
    """Say what a reader has to know of the input itself."""
    yield from report.notes
    for part in report.origin.missing:
        yield f"The input has no {part}."


def no_incident(report: Report) -> str:
    """Say what there is no incident for: the quiet input, or the pod that is in none."""
    asked: Asked | None = report.asked
    if asked and not asked.found:
        name = f"{asked.namespace}/{asked.pod}" if asked.namespace else asked.pod
        near = f" Did you mean {listed(asked.close_names)}?" if asked.close_names else ""
        return f"Pod {name} is in no incident found in {report.origin.name}.{near}"
    if report.quiet:
        seen = "recognised" if report.origin.quoted else "to report"
        return f"Nothing {seen}: no incident in {report.origin.name}."
    return ""


def asked_about(incident: IncidentView, asked: Asked | None) -> Iterator[str]:
    """Say what happened to the very pod that was asked about."""
    if not (asked and asked.found):
        return
    hurt = False
    for victim in incident.victims:
        if victim.pod == asked.pod and asked.namespace in ("", victim.namespace):
            hurt = True
            at = f" at {clock(victim.at_s)} UTC" if victim.at_s is not None else ""
            yield f"{victim.namespace or '?'}/{victim.pod}: {victim.harm or 'hurt'}{at}"
    if not hurt:
        yield f"{asked.pod}: not hurt itself, named as the offender"
