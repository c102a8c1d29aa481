"""Which sources a configuration asks for, and what they share."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.daemon.config import Config
from agent.daemon.inbox import Inbox
from agent.daemon.loads import ProcessSource
from agent.daemon.log import Log
from agent.daemon.places import access_of, journal_place, node_name
from agent.daemon.pods import Pods
from agent.daemon.recording import make_recorder
from agent.daemon.sources import (
    Asked,
    CountedApi,
    EventSource,
    JournalSource,
    PodSource,
    RecorderSource,
    Requests,
)
from agent.daemon.state import Past
from agent.daemon.supervisor import Source
from agent.diagnosis.correlate import CONTEXT_BEFORE_S
from agent.journal.live import Begin
from agent.journal.matches import matches_for
from agent.kube.access import Access
from agent.kube.pace import Clockwork, real_clockwork
from agent.kube.publisher import Publisher
from agent.kube.source import SandboxEvents, Tuning
from agent.recorder.host import Host
from agent.recorder.loop import Looks
from agent.recorder.processes import Processes
from agent.rules.catalogue import Catalogue


@dataclass(slots=True)
class Wiring:
    """Makes the sources; ``recording`` and ``publisher`` are there once they were made."""

    config: Config
    log: Log
    stop: threading.Event
    inbox: Inbox = field(default_factory=Inbox)
    pods: Pods = field(default_factory=Pods)
    looks: Looks = field(default_factory=Looks)
    requests: Requests = field(default_factory=Requests)
    watches: Counter[str] = field(default_factory=Counter)
    recording: RecorderSource | None = None
    publisher: Publisher | None = None

    def sources(self, catalogue: Catalogue, past: Past) -> list[Source]:
        """Everything that is to be read, the journal behind what was read before."""
        since_s = time.time() - CONTEXT_BEFORE_S  # noqa: TID251 - the edge
        begin = Begin(past.cursor) if past.cursor else Begin(since_s=since_s)
        journal = JournalSource(
            journal_place(self.config), begin, matches_for(catalogue.rules), self.inbox
        )
        sources = [Source("journal", journal.work)]
        if self.config.recorder.enabled:
            self.recording = RecorderSource(
                lambda names: make_recorder(self.config, names, self.looks),
                self.inbox,
                self.pods.names(),
            )
            sources.append(Source("recorder", self.recording.work))
        if self.config.processes.enabled:
            sources.append(self._looking_at_processes())
        access = access_of(self.config)
        return [*sources, *(self._kube(access) if access else ())]

    def _looking_at_processes(self) -> Source:
        wanted, host = self.config.processes, Host(Path(self.config.node.root))
        looking = ProcessSource(
            Processes(host, wanted.top),
            wanted.every_s,
            self.looks.append,
            self.inbox,
            self.log,
        )
        return Source("processes", looking.work)

    def _kube(self, access: Access) -> list[Source]:
        node, asked = node_name(self.config), Asked()
        clockwork = real_clockwork(self.stop)
        pods = PodSource(
            self._api(access),
            self._api(access),
            node,
            clockwork,
            Tuning(counts=self.watches),
            self.inbox,
            asked,
            self.log,
        )
        sources = [Source("pods", pods.work, pods.interrupt)]
        if self.config.kube.events != "off":
            events = EventSource(
                self._api(access),
                node,
                clockwork,
                Tuning(watch_s=1800.0, counts=self.watches),
                self.inbox,
                asked,
                SandboxEvents(self.config.kube.events),
                self.log,
            )
            sources.append(Source("events", events.work, events.interrupt))
        if self.config.kube.publish:
            sources.append(self._publishing(access, clockwork))
        return sources

    def _publishing(self, access: Access, clockwork: Clockwork) -> Source:
        api = self._api(access)
        publisher = self.publisher = Publisher(api, clockwork)
        return Source("publisher", publisher.run, lambda: _wake(publisher, api))

    def _api(self, access: Access) -> CountedApi:
        return CountedApi(access, self.requests)


def _wake(publisher: Publisher, api: CountedApi) -> None:
    publisher.offer(())
    api.interrupt()
