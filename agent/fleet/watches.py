"""The four streams of the cluster's replica: one watch each, however many nodes there are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.daemon.inbox import Inbox
from agent.fleet.roster import AgentLooks, NodeLooks
from agent.fleet.told import told_of
from agent.kube.event_body import CONTROLLER
from agent.kube.http import Api
from agent.kube.pace import Clockwork
from agent.kube.source import Tuning, watch_sandbox_events
from agent.kube.watch import Feed, Follower

_EVENT_WATCH_S = 1800.0  # without bookmarks each new watch may cost a list, so they are long
SOURCES = ("told", "sandboxes", "nodes", "agents")


@dataclass(frozen=True, slots=True)
class Choice:
    """Where the agents' pods are, and by which labels pods and nodes are told from others."""

    namespace: str
    agents: Mapping[str, str]
    nodes: Mapping[str, str]


@dataclass(slots=True)
class Stream:
    """One of the four; puts what it reads into the inbox."""

    name: str
    api: Api
    clockwork: Clockwork
    inbox: Inbox
    counts: Counter[str]
    choice: Choice

    def work(self, stop: threading.Event) -> None:
        """Follow until told to stop."""
        for one in self.told():
            if not self.inbox.put_patiently(self.name, one, stop.is_set) or stop.is_set():
                return

    def told(self) -> Iterable[object]:
        """Give what comes, as long as it comes."""
        if self.name == "sandboxes":
            tuning = Tuning(watch_s=_EVENT_WATCH_S, counts=self.counts)
            return watch_sandbox_events(self.api, "", self.clockwork, tuning)
        return Follower(self.api, self._feed(), self.clockwork, self.counts)

    def _feed(self) -> Feed[object]:
        if self.name == "told":
            chosen = f"reportingComponent={CONTROLLER}"
            return Feed("events", "/api/v1/events", chosen, told_of, False, _EVENT_WATCH_S)
        if self.name == "nodes":
            return Feed(
                "nodes", "/api/v1/nodes", "", NodeLooks(self.choice.nodes), metadata_only=True
            )
        path = f"/api/v1/namespaces/{self.choice.namespace}/pods"
        return Feed("pods", path, "", AgentLooks(self.choice.agents))
