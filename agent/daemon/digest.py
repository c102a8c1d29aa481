"""What the loop makes of each thing a source put into the inbox: Facts, blind spots, numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from agent.daemon.inbox import Item
from agent.daemon.loads import Loads
from agent.daemon.metrics import Metrics
from agent.daemon.pods import Pods
from agent.daemon.rows import identity
from agent.daemon.seconds import Seconds
from agent.daemon.sources import Batch
from agent.diagnosis.unfolding import Live
from agent.kube.pod_changes import PodChange
from agent.model import BlindSpot, Fact, Record
from agent.recorder.loop import Second
from agent.recorder.top_processes import TopProcesses
from agent.rules.catalogue import Catalogue
from agent.rules.catalogue import Reading as Said

_MOST_KEYS = 10_000
_NOTHING = Said((), None)


@dataclass(slots=True)
class Reading:
    """How far the journal was read."""

    cursor: str = ""
    boot: str = ""
    caught_up: bool = False
    newest_s: float | None = None
    libsystemd: str = ""
    entries: int = 0
    spoofed: int = 0


@dataclass(slots=True)
class Digest:
    """Takes items; everything it changes belongs to the loop."""

    catalogue: Catalogue
    live: Live
    pods: Pods
    metrics: Metrics
    seconds: Seconds
    failed: Callable[[Record, Exception], None]  # told of entries that our code stumbles over
    loads: Loads = field(default_factory=Loads)
    reading: Reading = field(default_factory=Reading)
    blind: dict[str, BlindSpot] = field(default_factory=dict)  # sources that cannot see now
    _keys: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def take(self, items: Iterable[Item], now_s: float) -> list[Fact]:
        """Take everything in; return the Facts that were not known before."""
        found = (fact for item in items for fact in self._facts(item, now_s))
        return self.new(found)

    def new(self, facts: Iterable[Fact]) -> list[Fact]:
        """Leave out what was heard before: a list read anew says everything again."""
        fresh = []
        for fact in facts:
            key = hash(identity(fact))  # a number a Fact: there may be thousands
            if key not in self._keys:
                self._keys[key] = None
                fresh.append(fact)
        while len(self._keys) > _MOST_KEYS:
            self._keys.popitem(last=False)
        return fresh

    def _facts(self, item: Item, now_s: float) -> Iterator[Fact]:
        what = item.what
        if isinstance(what, Batch):
            yield from self._batch(what)
        elif isinstance(what, PodChange):
            self.pods.take(what, now_s)
            yield from what.facts
        elif isinstance(what, Record):
            yield from self._said(what).facts
        elif isinstance(what, Second):
            self.seconds.take(what)
            yield from what.facts
        elif isinstance(what, TopProcesses):
            named = what.with_names(self.pods.names())
            yield from self.loads.facts(named, strained=self.seconds.strained)
        elif isinstance(what, BlindSpot):
            self._cannot_see(item.source, what)

    def _batch(self, batch: Batch) -> Iterator[Fact]:
        reading, counts = self.reading, {"matched": 0, "ignored": 0, "spoofed": 0}
        for item in batch.items:
            if isinstance(item, BlindSpot):
                self._cannot_see("journal", item)
                continue
            said = self._said(item)
            if said.spoofed is not None:
                counts["spoofed"] += 1
            counts["matched" if said.facts else "ignored"] += said.spoofed is None
            reading.boot = item.boot or reading.boot
            yield from said.facts
        reading.cursor, reading.caught_up = batch.cursor, batch.caught_up
        reading.newest_s, reading.libsystemd = batch.newest_s, batch.libsystemd
        reading.entries += len(batch.items)
        reading.spoofed += counts["spoofed"]
        for result, count in counts.items():
            self.metrics.add("journal_entries_total", count, result)
        self.metrics.total("journal_restarts_total", batch.restarts)

    def _said(self, record: Record) -> Said:
        """Ask the rules; an entry that our own code stumbles over says nothing, and is passed.

        Were it raised instead, the next agent would meet the same entry behind the same cursor.
        """
        try:
            return self.catalogue.read(record)
        except Exception as error:  # noqa: BLE001 - one poisonous entry must not silence the node
            self.failed(record, error)
            return _NOTHING

    def _cannot_see(self, source: str, spot: BlindSpot) -> None:
        """A spot without an end goes on until the same source ends it."""
        self.live.add_blind(spot)
        if spot.to_s is None and spot.from_s is not None:
            self.blind[source] = spot
            return
        self.blind.pop(source, None)
        if spot.from_s is not None and spot.to_s is not None:
            self.metrics.add("blind_seconds_total", max(0.0, spot.to_s - spot.from_s), source)
