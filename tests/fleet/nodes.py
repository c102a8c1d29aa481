"""Incidents of many nodes, told as their agents tell them."""

from __future__ import annotations

from dataclasses import replace

from agent.fleet.incident import Incidents
from agent.fleet.join import joined
from agent.fleet.roster import AgentLooks, NodeLooks
from agent.fleet.state import Fleet
from agent.fleet.told import told_of
from agent.kube.announce import announcements
from agent.model import BlindSpot, Cause, Diagnosis
from tests.fake_events import to_core
from tests.fake_pods import Object, node
from tests.handmade import PODS, founding

BEGAN_S = 1_700_000_000.0
ABSENT = {"lonely": BEGAN_S}  # nodes of `whole_fleet` without an agent


def incident(node: str, after_s: float = 0.0, cause: Cause | None = None) -> Diagnosis:
    """The founding incident on another node, so long after the first."""
    told = founding()
    at_s = BEGAN_S + after_s
    where = replace(told.incident, id=f"{node}-{after_s:.0f}", node=node, opened_at_s=at_s)
    killer = replace(told.killer, at_s=at_s) if told.killer else None
    victims = tuple(replace(one, at_s=at_s + 5) for one in told.victims)
    made = replace(told, incident=where, killer=killer, victims=victims)
    return made if cause is None else replace(made, cause=cause, offender=None)


def planned(node: str, after_s: float) -> Diagnosis:
    return replace(incident(node, after_s, Cause.NODE_REBOOT), planned=True)


def events(*told: Diagnosis) -> list[Object]:
    """What a cluster holds of them, as core/v1 shows it."""
    return [to_core(one.body) for each in told for one in announcements(each, PODS)]


def known(*told: Diagnosis) -> Incidents:
    made = Incidents()
    for one in events(*told):
        read = told_of(one)
        assert read is not None
        made.take(read)
    return made


def whole_fleet() -> Fleet:
    """Three nodes that went together, and one without an agent."""
    told = [incident(f"n{number}", number * 20, Cause.DISK_ERROR) for number in range(3)]
    told.append(incident("n9", 9000.0))
    made = Fleet(known(*told))
    made.groups = joined(made.incidents)
    made.blind = {"told": BlindSpot("told", "no answer", BEGAN_S)}
    made.roster.list_nodes((NodeLooks({})(node("lonely")),))
    made.roster.list_agents((AgentLooks({})({"metadata": {"name": "x"}}),))
    made.roster.orphaned("lonely", "prod", "pg-9", BEGAN_S)
    return made
