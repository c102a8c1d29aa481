"""The machine's form of a report: the contract ``knockon/v1``. Keys may be added, never changed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from agent.model import BlindSpot, Killer, Link, Offender, Victim
from agent.report.damage import OwnerDamage
from agent.report.view import IncidentView, Origin, Proof, Report, Rival
from agent.times import rfc3339

SCHEMA = "knockon/v1"

JsonObject = dict[str, object]


def as_json(report: Report) -> str:
    """Return the report as one JSON document: ASCII only, same input same bytes."""
    return json.dumps(document(report), ensure_ascii=True, indent=2, allow_nan=False) + "\n"


def document(report: Report) -> JsonObject:
    """Return the report as plain dicts and lists, in the order of the contract."""
    asked = report.asked
    return {
        "schema": SCHEMA,
        "incidents": [_incident(incident) for incident in report.incidents],
        "quiet": report.quiet,
        "explained": report.explained,
        "asked": asked and {"namespace": asked.namespace, "pod": asked.pod, "found": asked.found},
        "other_incidents": [
            {"id": other.id, "opened_at": rfc3339(other.opened_at_s), "verdict": other.verdict}
            for other in report.others
        ],
        "input": _origin(report.origin),
        "notes": list(report.notes),
    }


def _incident(incident: IncidentView) -> JsonObject:
    return {
        "id": incident.id,
        "node": incident.node,
        "opened_at": rfc3339(incident.opened_at_s),
        "closed_at": rfc3339(incident.closed_at_s),
        "planned": incident.planned,
        "killer": _killer(incident.killer),
        "cause": str(incident.cause),
        "confidence": _number(incident.confidence),
        "hypotheses": [
            {"cause": str(cause), "confidence": _number(confidence)}
            for cause, confidence in incident.hypotheses
        ],
        "hurt": len({(victim.namespace, victim.pod) for victim in incident.victims}),
        "victims": [_victim(victim) for victim in incident.victims],
        "offender": _offender(incident.offender),
        "chain": [_link(link) for link in incident.chain],
        "missing": list(incident.missing),
        "blind": _blind(incident.blind),
        "explained": incident.explained,
        "verdict": incident.verdict,
        "impact": [_impact(owner) for owner in incident.owners],
        "evidence": {
            "for": [_proof(proof) for proof in incident.evidence_for],
            "against": [_proof(proof) for proof in incident.evidence_against],
        },
        "rivals": [_rival(rival) for rival in incident.rivals],
        "advice": list(incident.advice),
    }


_SHORT = ("id", "node", "opened_at", "closed_at", "planned", "cause", "confidence", "verdict")


def shortened(incident: Mapping[str, Any]) -> JsonObject:
    """Return one incident of a document as lists have it: the same keys, fewer of them."""
    victims = {(one["namespace"], one["pod"]): None for one in incident["victims"]}
    offender = incident.get("offender")
    return {
        **{name: incident.get(name) for name in _SHORT},
        "hurt": len(victims),
        "victims": [{"namespace": namespace, "pod": pod} for namespace, pod in victims],
        "offender": offender and {key: offender[key] for key in ("kind", "namespace", "name")},
    }


def _number(number: float) -> float:
    """Round to four digits, so that a sum made in another order prints the same."""
    return round(min(max(number, 0.0), 1.0), 4) if math.isfinite(number) else 0.0


def _killer(killer: Killer | None) -> JsonObject | None:
    if killer is None:
        return None
    return {"kind": str(killer.kind), "name": killer.name, "at": rfc3339(killer.at_s)}


def _victim(victim: Victim) -> JsonObject:
    return {
        "namespace": victim.namespace,
        "pod": victim.pod,
        "uid": victim.uid,
        "owner": victim.owner,
        "harm": victim.harm,
        "at": rfc3339(victim.at_s),
    }


def _offender(offender: Offender | None) -> JsonObject | None:
    if offender is None:
        return None
    return {
        "kind": offender.kind,
        "namespace": offender.namespace,
        "name": offender.name,
        "method": offender.method,
    }


def _link(link: Link) -> JsonObject:
    return {"at": rfc3339(link.at_s), "what": link.what, "source": link.source}


def _blind(spots: Sequence[BlindSpot]) -> list[JsonObject]:
    return [
        {
            "from": rfc3339(spot.from_s),
            "to": rfc3339(spot.to_s),
            "source": spot.source,
            "why": spot.why,
        }
        for spot in spots
    ]


def _impact(owner: OwnerDamage) -> JsonObject:
    return {
        "owner": owner.owner,
        "namespace": owner.namespace,
        "pods": list(owner.pods),
        "hurt": owner.hurt,
        "members": owner.members,
        "says": owner.impact,
    }


def _proof(proof: Proof) -> JsonObject:
    return {
        "says": proof.says,
        "weight": round(proof.weight, 4) if math.isfinite(proof.weight) else 0.0,
        "at": rfc3339(proof.at_s),
        "source": proof.source,
        "trust": "trusted" if proof.trusted else "quoted",
        "quotes": list(proof.quotes),
    }


def _rival(rival: Rival) -> JsonObject:
    return {
        "cause": str(rival.cause),
        "confidence": _number(rival.confidence),
        "lost_because": rival.lost_because,
        "against": [_proof(proof) for proof in rival.against_it],
    }


def _origin(origin: Origin) -> JsonObject:
    return {
        "name": origin.name,
        "node": origin.node,
        "from": rfc3339(origin.window[0]),
        "to": rfc3339(origin.window[1]),
        "quoted": origin.quoted,
        "spoofed": origin.spoofed,
        "missing": list(origin.missing),
        "blind": _blind(origin.blind),
    }
