"""A loop with scripted sources and a clock of its own: no thread, no socket, one folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.daemon.affairs import Affairs
from agent.daemon.aftermath import Aftermath
from agent.daemon.backups import Backups
from agent.daemon.blindness import Blindness
from agent.daemon.checks import Checks, Counts
from agent.daemon.config import IncidentSettings
from agent.daemon.digest import Digest
from agent.daemon.gauges import Gauges
from agent.daemon.herald import Herald
from agent.daemon.http import Pulse
from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.daemon.loop import Loop, Parts
from agent.daemon.metrics import Metrics
from agent.daemon.minutes import Minutes
from agent.daemon.pods import Pods
from agent.daemon.seconds import Seconds
from agent.daemon.sources import Batch
from agent.daemon.state import MOST_FACTS, Memory, Past, load_past
from agent.daemon.store import Store
from agent.daemon.stumbles import Stumbles
from agent.daemon.writer import Writer
from agent.diagnosis.correlate import correlate
from agent.diagnosis.openers import POD_OPENERS
from agent.diagnosis.setting_aside import Correlating
from agent.diagnosis.unfolding import Live
from agent.kube.event_body import Announcement
from agent.kube.pod_changes import Change, PodChange
from agent.kube.publisher import Publisher
from agent.model import BlindSpot, Incident, Pod, Record
from agent.recorder.frame import PSI, Frame, Key, Row
from agent.recorder.host import Host
from agent.recorder.loop import Second
from agent.recorder.sampler import Taken
from agent.rules.catalogue import Catalogue
from agent.sources.journal_fields import record_of
from agent.sources.kubectl import event_record
from tests.fake_events import faults_of
from tests.fake_pods import sandbox_event, stamp
from tests.replay import Entry
from tests.test_journal_health import header

NODE = "node-1"
T0 = 1_795_000_000.0
CATALOGUE = Catalogue.load()


class Sayings(Log):
    """A log that keeps what was said."""

    def __init__(self) -> None:
        super().__init__("text")
        self.lines: list[str] = []

    def say(self, says: str, level: str = "info", **more: object) -> None:  # noqa: ARG002
        self.lines.append(says)


class Mouth(Publisher):
    """A publisher whose Events arrive at once, or not while the API server is away."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.said: dict[str, Announcement] = {}
        self.held: dict[str, Announcement] = {}
        self.away = False

    def offer(self, announcements: object) -> None:
        for one in announcements:  # type: ignore[attr-defined]
            if one.name in self.said:
                self.counts["existed"] += 1
                continue
            (self.held if self.away else self.said)[one.name] = one

    def come_back(self) -> None:
        self.away = False
        self.said |= self.held
        self.held.clear()

    def waiting(self) -> tuple[Announcement, ...]:
        return tuple(self.held.values())

    def news(self) -> list[BlindSpot]:
        return []

    def __len__(self) -> int:
        return len(self.held)


class AtOnce(Writer):
    """A writer that writes at once, or never while its disk is stalled."""

    def __init__(self) -> None:
        super().__init__()
        self.stalled = False

    def put(self, job: object) -> bool:
        if self.stalled:
            return False
        job()  # type: ignore[operator]
        return True


@dataclass(slots=True)
class Daemon:
    """One agent's loop; ``pass_time`` goes round once a second of its own clock."""

    folder: Path
    mouth: Mouth = field(default_factory=Mouth)
    writer: AtOnce = field(default_factory=AtOnce)
    now_s: float = T0
    steady_s: float = 0.0
    sentences: list[str] = field(default_factory=list)
    inbox: Inbox = field(default_factory=Inbox)
    log: Sayings = field(default_factory=Sayings)
    pods: Pods = field(default_factory=Pods)
    minutes: Minutes = field(default_factory=Minutes)
    watches_pods: bool = True
    reads_journal: bool = True  # what lies on the disk can be read
    records: bool = False
    catalogue: Catalogue = CATALOGUE
    correlating: Correlating = correlate
    poison: str = ""  # an incident with this in its lines cannot be looked at
    _cursor: int = 0
    loop: Loop | None = None

    def _minutes_of(self, incident: Incident) -> Minutes:
        if self.poison and any(self.poison in repr(fact) for fact in incident.facts):
            raise ZeroDivisionError("nobody thought of this")
        return self.minutes

    def start(self) -> Daemon:
        metrics, pulse = Metrics("0"), Pulse()
        stumbles = Stumbles(metrics, self.log)
        live = Live(
            settle_s=60.0,
            node=NODE,
            pods=self.pods.all,
            most_facts=MOST_FACTS,
            late=POD_OPENERS,
            failed=stumbles.over_facts,
            correlating=self.correlating,
        )
        seconds = Seconds(metrics, self.folder / "ring")
        digest = Digest(self.catalogue, live, self.pods, metrics, seconds, stumbles.over_entry)
        memory = Memory(self.folder / "state", self.writer)
        store = Store(self.folder / "state/incidents", self.writer, 5, 1 << 20)
        store.load()
        backups = Backups(Host(self.folder))
        counts = Counts(
            dict, dict, dict, dict, lambda: self.mouth.counts, lambda: (), self.writer.put
        )
        journal = self.folder / "journal"
        if self.reads_journal:
            journal.mkdir(exist_ok=True)
            (journal / "system.journal").write_bytes(header())
        watched = {"pods": self.watches_pods, "recorder": self.records}
        sources = ("journal", *(name for name, wanted in watched.items() if wanted))
        checks = Checks(
            metrics, digest, self.inbox, backups, pulse, self.log, counts, (journal,), "", sources
        )
        affairs = Affairs(
            IncidentSettings(), self._minutes_of, self.pods.all, stumbles.over_incident
        )
        herald = Herald(self.mouth, lambda: memory.safe)
        parts = Parts(
            inbox=self.inbox,
            live=live,
            digest=digest,
            affairs=affairs,
            aftermath=Aftermath(self.pods),
            blindness=Blindness(NODE),
            herald=herald,
            gauges=Gauges(metrics),
            backups=backups,
            checks=checks,
            memory=memory,
            store=store,
            metrics=metrics,
            pulse=pulse,
            name_pods=lambda: None,
        )
        self.loop = Loop(parts, steady=lambda: self.steady_s)
        self.sentences.append(self.loop.resume(self.past(), self.now_s))
        return self

    @property
    def parts(self) -> Parts:
        assert self.loop is not None
        return self.loop.parts

    def past(self) -> Past:
        return load_past(self.folder / "state")

    def cycle(self) -> str:
        assert self.loop is not None
        sentence = self.loop.cycle(self.now_s)
        if sentence:
            self.sentences.append(sentence)
        return sentence

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.now_s += 1.0
            self.steady_s += 1.0
            self.cycle()

    def says(self, words: str) -> list[str]:
        return [one for one in self.sentences if words in one]

    # -- what sources would have put -------------------------------------------------------------

    def journal(self, entries: list[Entry], *, caught_up: bool = True) -> None:
        records: list[Record | BlindSpot] = []
        for one in entries:
            self._cursor += 1
            fields = {name.decode(): value.decode() for name, value in one.fields}
            records.append(record_of(fields, "journal"))
        newest_s = max((r.at_s or 0.0 for r in records if isinstance(r, Record)), default=None)
        batch = Batch(tuple(records), f"s={self._cursor}", caught_up, newest_s, 0, "")
        self.inbox.put("journal", batch)

    def knows(self, *names: str, uid: str = "", ready: bool | None = True) -> None:
        for name in names:
            known = uid or f"uid-prod-{name}"
            pod = Pod("prod", name, known, "StatefulSet/db", node=NODE, ready=ready)
            self.inbox.put("pods", PodChange(Change.ADDED, pod, (), "1"))

    def loses(self, name: str) -> None:
        pod = Pod("prod", name, f"uid-prod-{name}", "StatefulSet/db", node=NODE)
        self.inbox.put("pods", PodChange(Change.DELETED, pod, (), "2"))

    def is_sampled(self, io_waiting_pct: float | None = None) -> None:
        """Without a number the kernel counts no pressure."""
        rows: dict[Key, Row] = {}
        if io_waiting_pct is not None:
            rows[PSI, "io"] = (round(io_waiting_pct * 100), 0, 0, 0)
        frame = Frame(round(self.now_s * 1000), rows)
        self.inbox.put("recorder", Second(Taken(frame)))

    def sandboxes_change(self, *names: str) -> None:
        for name in names:
            thing = sandbox_event(f"{name}.1", name, node=NODE)
            at = stamp(self.now_s)
            event = {**thing, "firstTimestamp": at, "lastTimestamp": at}
            self.inbox.put("events", event_record(event, "events"))

    def told(self, reason: str = "RestartExplained") -> list[str]:
        return sorted(
            str(one.body["regarding"]["name"])  # type: ignore[index]
            for one in self.mouth.said.values()
            if one.body["reason"] == reason
        )

    def note(self, reason: str) -> str:
        """What the only Event of this reason says; empty when there is none."""
        found = [one for one in self.mouth.said.values() if one.body["reason"] == reason]
        assert len(found) <= 1
        assert all(faults_of(one.body, one.namespace) == [] for one in found)
        return str(found[0].body["note"]) if found else ""
