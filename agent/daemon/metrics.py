"""The agent's metrics: one table of all there are, and the numbers behind it.

Every counter is there at 0 from the start; a label's words are listed where they are known.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, product

from agent.daemon.exposition import heading, histogram, series

PREFIX = "knockon_"
BUCKETS_S = (0.05, 0.25, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS_S), "+Inf")
SOURCES = ("journal", "pods", "events", "recorder", "probe", "processes")
_RESOURCES = ("cpu", "io", "memory")

Words = Mapping[str, tuple[str, ...]]
Labels = tuple[str, ...]
_NONE: Words = {}


@dataclass(frozen=True, slots=True)
class Told:
    """One metric: what it is called, what kind it is, its labels and their known words."""

    name: str
    kind: str  # counter, gauge, histogram
    labels: tuple[str, ...]
    says: str
    words: Words


def _counter(name: str, labels: str, says: str, words: Words = _NONE) -> Told:
    return Told(name, "counter", tuple(labels.split()), says, words)


def _gauge(name: str, labels: str, says: str) -> Told:
    return Told(name, "gauge", tuple(labels.split()), says, _NONE)


_BY_SOURCE: Words = {"source": SOURCES}
_BY_RESOURCE: Words = {"resource": _RESOURCES}

TABLE: tuple[Told, ...] = (
    _gauge("build_info", "version", "1, and the version that runs."),
    _counter("incidents_total", "cause killer planned", "Incidents settled."),
    _gauge("open_incidents", "cause", "Incidents open now."),
    _counter(
        "own_faults_total",
        "step",
        "Times our own code stumbled over an entry, over facts, or over an incident.",
        {"step": ("reading", "correlation", "diagnosis")},
    ),
    _gauge(
        "open_incident_info",
        "incident cause killer killer_name offender_kind offender_namespace offender_name planned",
        "1 while an incident is open and for 15 minutes after; at most 20 a node.",
    ),
    _gauge(
        "open_incident_victim",
        "incident victim_namespace victim_pod victim_owner_kind",
        "1 for each pod that an open incident hurt; at most 110 a node.",
    ),
    _gauge("last_incident_timestamp_seconds", "", "When the last incident opened."),
    _counter("incident_victims_total", "", "Pods hurt."),
    Told(
        "runtime_probe_duration_seconds",
        "histogram",
        ("runtime",),
        "How long the container runtime took to answer what a health monitor asks.",
        _NONE,
    ),
    _counter("runtime_probe_unanswered_total", "runtime", "Questions never answered."),
    _gauge(
        "runtime_probe_last_seconds",
        "runtime",
        "How long the last answer took, or the outstanding question's age.",
    ),
    _counter(
        "pressure_waiting_seconds_total",
        "resource",
        "Time in which something waited for this resource (PSI some).",
        _BY_RESOURCE,
    ),
    _counter(
        "pressure_stalled_seconds_total",
        "resource",
        "Time in which everything waited for this resource (PSI full).",
        _BY_RESOURCE,
    ),
    _counter("recorder_samples_total", "", "Samples recorded."),
    _gauge("recorder_gap_seconds_max", "", "The longest gap between two samples."),
    _gauge("recorder_bytes", "", "Size of the recorder's ring."),
    _gauge("recorder_last_sample_timestamp_seconds", "", "When the last sample was taken."),
    _gauge("journal_lag_seconds", "", "How far the agent is behind the journal."),
    _gauge("journal_unreadable_files", "", "Journal files this libsystemd cannot read."),
    _gauge("journal_last_entry_timestamp_seconds", "", "When the last entry was written."),
    _counter("journal_restarts_total", "", "Times the reader child was started again."),
    _counter(
        "journal_entries_total",
        "result",
        "Entries read: matched, ignored or spoofed (refused).",
        {"result": ("matched", "ignored", "spoofed")},
    ),
    _counter(
        "facts_dropped_total", "source", "Facts the bounded inbox had no room for.", _BY_SOURCE
    ),
    _counter(
        "reports_total",
        "result",
        "Whole reports asked for that were not kept: made, failed, or refused for want of memory.",
        {"result": ("made", "failed", "refused")},
    ),
    _counter("source_restarts_total", "source", "Times a source was started again.", _BY_SOURCE),
    _gauge("source_up", "source", "1 when the source is healthy."),
    _counter("kube_requests_total", "verb resource code", "Requests to the API server."),
    _counter("kube_watch_restarts_total", "reason", "Times a watch was opened again."),
    _counter(
        "events_published_total",
        "result",
        "Explanations written: created, exists, dropped or refused.",
        {"result": ("created", "exists", "dropped", "refused")},
    ),
    _counter("blind_seconds_total", "source", "Time in which a source could not see.", _BY_SOURCE),
    _gauge("announced_backups", "", "Backups that run on this node and say so."),
)
_BY_NAME = {one.name: one for one in TABLE}


class Metrics:
    """The numbers; any thread may change them, and a scrape sees all of them at once."""

    def __init__(self, version: str) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {one.name: {} for one in TABLE}
        self._buckets: dict[str, dict[Labels, list[int]]] = {}
        for one in TABLE:
            if one.kind == "counter":
                known = [one.words.get(label, ()) for label in one.labels]
                self._values[one.name] = dict.fromkeys(product(*known), 0.0)
        self.set("build_info", 1, version)

    def add(self, name: str, by: float = 1.0, *labels: str) -> None:
        """Count on; by 0 to show a counter before there is anything to count."""
        self._checked(name, "counter", labels)
        with self._lock:
            values = self._values[name]
            values[labels] = values.get(labels, 0.0) + by

    def total(self, name: str, at: float, *labels: str) -> None:
        """Set a counter that somebody else counts; it never goes back."""
        self._checked(name, "counter", labels)
        with self._lock:
            values = self._values[name]
            values[labels] = max(at, values.get(labels, 0.0))

    def set(self, name: str, to: float, *labels: str) -> None:
        """Set a gauge."""
        self._checked(name, "gauge", labels)
        with self._lock:
            self._values[name][labels] = to

    def replace(self, name: str, values: Mapping[Labels, float]) -> None:
        """Set all series of a gauge: what is not named is gone."""
        for labels in values:
            self._checked(name, "gauge", labels)
        with self._lock:
            self._values[name] = dict(values)

    def observe(self, name: str, value: float, *labels: str) -> None:
        """Add one observation to a histogram."""
        self._checked(name, "histogram", labels)
        with self._lock:
            self._show(name, labels)[bisect_left(BUCKETS_S, value)] += 1
            self._values[name][labels] += value

    def show(self, name: str, *labels: str) -> None:
        """Let a histogram be seen before there is anything in it."""
        self._checked(name, "histogram", labels)
        with self._lock:
            self._show(name, labels)

    def value(self, name: str, *labels: str) -> float:
        """Give one number as it stands; 0 where there is none."""
        with self._lock:
            return self._values[name].get(labels, 0.0)

    def page(self) -> bytes:
        """Give the page that Prometheus reads; what nobody can know yet is left out."""
        with self._lock:
            return "".join(map(self._written, TABLE)).encode()

    def _written(self, one: Told) -> str:
        name, values = PREFIX + one.name, self._values[one.name]
        if not values and one.kind != "counter":
            return ""
        lines = [heading(name, one.kind, one.says)]
        for words, value in sorted(values.items()):
            labels = tuple(zip(one.labels, words, strict=True))
            if one.kind == "histogram":
                counts = accumulate(self._buckets[one.name][words])
                lines.append(histogram(name, labels, zip(_BOUNDS, counts, strict=True), value))
            else:
                lines.append(series(name, labels, value))
        return "".join(lines)

    def _show(self, name: str, labels: Labels) -> list[int]:
        self._values[name].setdefault(labels, 0.0)
        known = self._buckets.setdefault(name, {})
        return known.setdefault(labels, [0] * (len(BUCKETS_S) + 1))

    def _checked(self, name: str, kind: str, labels: Labels) -> None:
        one = _BY_NAME[name]
        if one.kind != kind or len(labels) != len(one.labels):
            raise ValueError(f"{name} is a {one.kind} with the labels {one.labels}")
