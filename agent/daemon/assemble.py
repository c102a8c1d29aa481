"""Puts the agent together from its configuration, runs it, and takes it apart again."""

from __future__ import annotations

import random
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from agent import __version__
from agent.daemon.affairs import Affairs
from agent.daemon.aftermath import Aftermath
from agent.daemon.backups import Backups
from agent.daemon.blindness import Blindness
from agent.daemon.checks import Checks, Counts
from agent.daemon.config import Config
from agent.daemon.digest import Digest
from agent.daemon.gauges import Gauges
from agent.daemon.herald import Herald
from agent.daemon.http import About, Pages, Pulse, serve
from agent.daemon.lean import few_arenas, settle_down
from agent.daemon.listener import HttpServer
from agent.daemon.log import Log
from agent.daemon.loop import Loop, Parts
from agent.daemon.metrics import Metrics
from agent.daemon.minutes import Minutes, minutes_before
from agent.daemon.notify import notify
from agent.daemon.places import node_name, questions_of, ring_path, rule_files
from agent.daemon.recent import Recent
from agent.daemon.reports import Reports, rendered
from agent.daemon.rounds import run
from agent.daemon.seconds import Seconds
from agent.daemon.spare import spare_bytes
from agent.daemon.state import MOST_FACTS, Memory, Past, load_past
from agent.daemon.store import Store
from agent.daemon.stumbles import Stumbles
from agent.daemon.supervisor import Source, Supervisor
from agent.daemon.wiring import Wiring
from agent.daemon.writer import Writer
from agent.diagnosis.openers import POD_OPENERS
from agent.diagnosis.unfolding import Live
from agent.journal.health import journal_folders, machine_id_of
from agent.model import Incident
from agent.recorder.host import Host
from agent.recorder.memlock import lock_memory
from agent.rules.catalogue import Catalogue

_SOURCES_END_IN_S = 1.0
_WRITER_ENDS_IN_S = 0.5


@dataclass(slots=True)
class Agent:
    """Everything that was made for one run."""

    config: Config
    log: Log
    stop: threading.Event = field(default_factory=threading.Event)
    writer: Writer = field(default_factory=Writer)
    pulse: Pulse = field(default_factory=Pulse)
    recent: Recent = field(default_factory=Recent)
    server: HttpServer | None = None
    wiring: Wiring = field(init=False)

    def __post_init__(self) -> None:
        self.wiring = Wiring(self.config, self.log, self.stop)

    def run(self) -> int:
        """Run until told to stop."""
        few_arenas()
        config = self.config
        metrics = Metrics(__version__)
        state = Path(config.state.directory)
        past = load_past(state)
        catalogue = Catalogue.load(rule_files(config)).without_samples()
        supervisor = Supervisor(self.log, random.random)
        store = self._store(state)
        sources = self.wiring.sources(catalogue, past)
        memory = Memory(state, self.writer, fsync=config.state.fsync)
        loop = self._loop(catalogue, metrics, supervisor, (store, memory))
        self._serve(metrics, store)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        self.log.say(f"knockon {__version__} on node {node_name(config)}.")
        self.log.say(loop.resume(past, time.time()))  # noqa: TID251 - the edge
        past = Past()  # all of it was taken over
        settle_down()
        self.writer.start()
        self._start(supervisor, sources)
        try:
            run(loop, self.stop, self.log)
        finally:
            self._end(supervisor, memory)
        return 0

    def _ask_to_stop(self, *_: object) -> None:
        self.stop.set()

    # -- making ----------------------------------------------------------------------------------

    def _store(self, state: Path) -> Store:
        kept = self.config.incidents
        store = Store(state / "incidents", self.writer, kept.keep, kept.keep_mib << 20)
        store.load()
        return store

    def _loop(
        self,
        catalogue: Catalogue,
        metrics: Metrics,
        supervisor: Supervisor,
        kept: tuple[Store, Memory],
    ) -> Loop:
        config, (store, memory) = self.config, kept
        stumbles = Stumbles(metrics, self.log)
        live = Live(
            settle_s=config.incidents.settle_s,
            node=node_name(config),
            pods=self.wiring.pods.all,
            most_facts=MOST_FACTS,
            late=POD_OPENERS,
            failed=stumbles.over_facts,
        )
        seconds = Seconds(metrics, ring_path(config), self.recent)
        digest = Digest(catalogue, live, self.wiring.pods, metrics, seconds, stumbles.over_entry)
        gauges = Gauges(metrics)
        gauges.begin()
        for runtime in (q.words.split()[0] for q in questions_of(config)):
            known = "docker" if runtime == "docker" else "cri"
            metrics.show("runtime_probe_duration_seconds", known)
            metrics.add("runtime_probe_unanswered_total", 0, known)
        backups = Backups(Host(Path(config.node.root)))
        counts = self._counted(supervisor, store, memory)
        affairs = Affairs(
            config.incidents, self._minutes, self.wiring.pods.all, stumbles.over_incident
        )
        return Loop(
            Parts(
                inbox=self.wiring.inbox,
                live=live,
                digest=digest,
                affairs=affairs,
                aftermath=Aftermath(self.wiring.pods),
                blindness=Blindness(node_name(config)),
                herald=Herald(self.wiring.publisher, lambda: memory.safe),
                gauges=gauges,
                backups=backups,
                checks=self._checks(metrics, digest, backups, counts),
                memory=memory,
                store=store,
                metrics=metrics,
                pulse=self.pulse,
                name_pods=self._name_pods,
            )
        )

    def _checks(self, metrics: Metrics, digest: Digest, backups: Backups, counts: Counts) -> Checks:
        config, root = self.config, Path(self.config.node.root)
        folder = config.journal.directory
        kube = ("pods", "events")[: 1 + (config.kube.events != "off")]
        probing = ("probe",) if config.probe.docker or config.probe.cri else ()
        return Checks(
            metrics=metrics,
            digest=digest,
            inbox=self.wiring.inbox,
            backups=backups,
            pulse=self.pulse,
            log=self.log,
            counts=counts,
            folders=(Path(folder),) if folder else tuple(journal_folders(root)),
            machine_id="" if folder else machine_id_of(root),
            sources=(
                "journal",
                *(("recorder",) if config.recorder.enabled else ()),
                *(("processes",) if config.processes.enabled else ()),
                *(kube if config.kube.access != "off" else ()),
                *probing,
            ),
        )

    def _counted(self, supervisor: Supervisor, store: Store, memory: Memory) -> Counts:
        publisher = self.wiring.publisher
        heard = tuple if publisher is None else publisher.news  # one with nothing to do is falsy
        return Counts(
            restarts=lambda: supervisor.restarts,
            down=lambda: supervisor.down,
            requests=lambda: self.wiring.requests.counts,
            watches=lambda: self.wiring.watches,
            published=lambda: {} if publisher is None else publisher.counts,
            troubles=lambda: (
                store.trouble,
                memory.trouble,
                *(spot.why for spot in heard() if not spot.to_s),
            ),
            on_disk=self.writer.put,
        )

    def _minutes(self, incident: Incident) -> Minutes:
        if self.wiring.recording is None:
            return Minutes()
        return minutes_before(ring_path(self.config), incident, self.wiring.pods.names())

    def _name_pods(self) -> None:
        if self.wiring.recording is not None:
            self.wiring.recording.names = self.wiring.pods.names()

    def _serve(self, metrics: Metrics, store: Store) -> None:
        about = About(node_name(self.config), self.config.probe.killer_timeout_s)
        ring = ring_path(self.config) if self.config.recorder.enabled else None
        reports = Reports(
            Path(self.config.state.directory) / "reports",
            store,
            rendered(ring),
            spare_bytes,
            lambda result: metrics.add("reports_total", 1, result),
        )
        pages = Pages(metrics.page, self.pulse, store, self.recent, about, ring, reports)
        self.server = serve(self.config.http, pages)
        if self.server is not None:
            self.log.say(f"Listening on port {self.server.port}.", port=self.server.port)

    # -- running ---------------------------------------------------------------------------------

    def _start(self, supervisor: Supervisor, sources: list[Source]) -> None:
        if self.config.recorder.enabled and self.config.recorder.lock_memory:
            why_not = lock_memory()
            if why_not:
                self.log.say(f"{why_not[0].upper()}{why_not[1:]}.")
        for source in sources:
            supervisor.start(source)

    def _end(self, supervisor: Supervisor, memory: Memory) -> None:
        notify("STOPPING=1")
        late = supervisor.stop(_SOURCES_END_IN_S)
        written = self.writer.stop(_WRITER_ENDS_IN_S)
        if written:
            memory.close()
        if self.server is not None:
            self.server.close()
        rest = f"; {', '.join(late)} did not end in time" if late else ""
        kept = "" if written else "; the disk did not take the last changes"
        self.log.say(f"Stopped{rest}{kept}.")
