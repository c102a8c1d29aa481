"""What the cluster's replica knows. One thread owns it; all of it can be read from the API again.

Nothing is stored: Events live for an hour, and a new leader lists them before it watches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agent.daemon.inbox import Item
from agent.fleet.incident import Incidents
from agent.fleet.join import FleetIncident, joined
from agent.fleet.roster import AgentLook, NodeLook, Roster
from agent.fleet.told import Told
from agent.kube.watch import Listed, Touched
from agent.model import BlindSpot, Record


@dataclass(slots=True)
class Fleet:
    """Incidents, nodes and agents of one cluster."""

    incidents: Incidents = field(default_factory=Incidents)
    roster: Roster = field(default_factory=Roster)
    groups: tuple[FleetIncident, ...] = ()
    blind: dict[str, BlindSpot] = field(default_factory=dict)  # streams that cannot see now
    heard: set[str] = field(default_factory=set)  # streams that have begun
    sandbox_changes: int = 0
    _waiting: dict[tuple[str, str, str], float | None] = field(default_factory=dict)

    def take(self, items: Iterable[Item], now_s: float) -> list[FleetIncident]:
        """Take everything in; return the groups that were not there before."""
        changed = False
        for item in items:
            changed |= self._take(item)
        self.roster.look(now_s)
        self._orphan()
        if not changed:
            return []
        known = {group.id for group in self.groups}
        self.groups = joined(self.incidents)
        return [group for group in self.groups if group.id not in known]

    @property
    def ready(self) -> bool:
        """Whether nodes, agents and Events have all been seen once."""
        return {"told", "nodes", "agents"} <= self.heard

    def _take(self, item: Item) -> bool:
        what = item.what
        if isinstance(what, BlindSpot):
            if what.to_s is None:
                self.blind[item.source] = what
            else:
                self.blind.pop(item.source, None)
            return False
        self.heard.add(item.source)
        if isinstance(what, Record):
            self._sandbox_changed(what)
        elif isinstance(what, Listed):
            return self._listed(item.source, what.items)
        elif isinstance(what, Touched):
            return self._touched(item.source, what.change, what.item)
        return False

    def _listed(self, source: str, items: tuple[object, ...]) -> bool:
        if source == "nodes":
            self.roster.list_nodes(tuple(one for one in items if isinstance(one, NodeLook)))
        elif source == "agents":
            self.roster.list_agents(tuple(one for one in items if isinstance(one, AgentLook)))
        told = [one for one in items if isinstance(one, Told)]
        for one in sorted(told, key=lambda one: one.at_s or 0.0):
            self.incidents.take(one)
        return bool(told)

    def _touched(self, source: str, change: str, item: object) -> bool:
        if isinstance(item, NodeLook):
            self.roster.touch_node(change, item)
        elif isinstance(item, AgentLook):
            self.roster.touch_agent(change, item)
        elif isinstance(item, Told) and change != "DELETED":  # gone after an hour: it was told
            self.incidents.take(item)
            return source == "told"
        return False

    def _sandbox_changed(self, record: Record) -> None:
        self.sandbox_changes += 1
        fields = record.fields
        where = (fields.get("NODE", ""), fields.get("OBJECT_NAMESPACE", ""))
        self._waiting[(*where, fields.get("OBJECT_NAME", ""))] = record.at_s

    def _orphan(self) -> None:
        """Keep what nobody will explain; where an agent runs, explaining is the agent's."""
        if not (self.roster.nodes_known and self.roster.agents_known):
            return
        waiting, self._waiting = self._waiting, {}
        for (node, namespace, pod), at_s in waiting.items():
            if self.roster.lacks_agent(node):
                self.roster.orphaned(node, namespace, pod, at_s)
