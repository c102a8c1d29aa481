"""Puts the cluster's replica together from its configuration, and runs it while it leads."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from agent import __version__
from agent.daemon.config import Config
from agent.daemon.http import Pulse, serve
from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.daemon.places import access_of
from agent.daemon.sources import CountedApi, Requests
from agent.daemon.supervisor import Source, Supervisor
from agent.errors import UserError
from agent.fleet.election import Election
from agent.fleet.leases import Leases
from agent.fleet.metrics import FleetMetrics
from agent.fleet.pages import FleetPages
from agent.fleet.state import Fleet
from agent.fleet.watches import SOURCES, Choice, Stream
from agent.kube.access import Access
from agent.kube.pace import real_clockwork

LOST = 1
_LOOK_S = 0.5
_TAKE = 2_000
_END_S = 1.0


def labels_of(selector: str, name: str = "cluster.agents") -> dict[str, str]:
    """Read ``key=value,…``; raises UserError."""
    pairs = [part.partition("=") for part in selector.split(",") if part]
    if not all(key and equals for key, equals, _ in pairs):
        raise UserError(f"{name} is {selector!r:.200}", "write key=value,key=value")
    return {key: value for key, _, value in pairs}


@dataclass(slots=True)
class Replica:
    """Everything that was made for one run."""

    config: Config
    log: Log
    stop: threading.Event = field(default_factory=threading.Event)
    fleet: Fleet = field(default_factory=Fleet)
    inbox: Inbox = field(default_factory=Inbox)
    pulse: Pulse = field(default_factory=Pulse)
    requests: Requests = field(default_factory=Requests)
    watches: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    election: Election | None = None

    def run(self) -> int:
        """Stand for election, lead, and end when told to stop or when the Lease is lost."""
        access = access_of(self.config)
        if access is None:
            raise UserError('kube.access is "off"', "the fleet is seen through the API server")
        told = self.config.cluster
        choice = Choice(
            namespace=told.namespace or access.namespace,
            agents=labels_of(told.agents),
            nodes=labels_of(told.nodes, "cluster.nodes"),
        )
        election = self.election = self._candidacy(access)
        server = serve(self.config.http, self._pages())
        if server is not None:
            self.log.say(f"Listening on port {server.port}.", port=server.port)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        try:
            return self._elected(election, self._streams(access, choice))
        finally:
            if server is not None:
                server.close()

    def _ask_to_stop(self, *_: object) -> None:
        self.stop.set()

    def _candidacy(self, access: Access) -> Election:
        told = self.config.cluster
        name = os.environ.get("POD_NAME") or f"{os.uname().nodename}-{os.getpid()}"
        return Election(
            leases=Leases(
                api=CountedApi(access, self.requests),
                namespace=told.namespace or access.namespace,
                name=told.lease,
            ),
            identity=name,
            lease_s=told.lease_s,
            steady_s=time.monotonic,
            now_s=time.time,  # noqa: TID251 - the edge
        )

    def _streams(self, access: Access, choice: Choice) -> list[Stream]:
        clockwork = real_clockwork(self.stop)
        return [
            Stream(
                name,
                CountedApi(access, self.requests),
                clockwork,
                self.inbox,
                self.watches,
                choice,
            )
            for name in SOURCES
        ]

    def _pages(self) -> FleetPages:
        metrics = FleetMetrics(
            self.fleet, self._absent, lambda: dict(self.requests.counts), self._leads
        )
        return FleetPages(self.fleet, metrics, self.pulse, self._leads, self._absent, self.lock)

    def _leads(self) -> bool:
        return self.election is not None and self.election.leads

    def _absent(self) -> dict[str, float]:
        now_s = time.time()  # noqa: TID251 - the edge
        return self.fleet.roster.without(now_s, self.config.cluster.absent_after_s)

    # -- running ---------------------------------------------------------------------------------

    def _elected(self, election: Election, streams: list[Stream]) -> int:
        self.log.say(f"knockon {__version__} for the cluster, as {election.identity}.")
        while not election.step():
            self.pulse.beat()
            if election.why:
                self.log.complain(f"the Lease cannot be had: {election.why}")
            if self.stop.wait(election.lease_s / 5 * (0.5 + random.random())):
                return 0
        lease = f"{election.leases.namespace}/{election.leases.name}"
        self.log.say(f"Leading: the Lease {lease} is ours.")
        supervisor = Supervisor(self.log, random.random)
        for stream in streams:
            supervisor.start(Source(stream.name, stream.work, stream.api.interrupt))
        threading.Thread(target=self._renew, args=(election,), name="lease", daemon=True).start()
        try:
            return self._lead(election)
        finally:
            self.stop.set()
            supervisor.stop(_END_S)

    def _renew(self, election: Election) -> None:
        """On a thread of its own: neither a slow list nor a slow page may cost the Lease."""
        while election.leads and not self.stop.wait(election.lease_s / 5):
            if not election.step() and election.why:
                self.log.complain(f"the Lease was not renewed: {election.why}")
        self.stop.set()

    def _lead(self, election: Election) -> int:
        while not self.stop.is_set():
            self.inbox.wait(_LOOK_S)
            self._cycle()
        if election.leads:
            election.resign()
            self.log.say("Stopped, and let go of the Lease.")
            return 0
        self.log.say("The Lease is lost: another replica goes on.", "warning")
        return LOST

    def _cycle(self) -> None:
        items = self.inbox.take(_TAKE)
        with self.lock:
            fresh = self.fleet.take(items, time.time())  # noqa: TID251 - the edge
        self.pulse.beat()
        for group in fresh:
            self.log.say(group.verdict, incident=group.id, kind=str(group.kin))
