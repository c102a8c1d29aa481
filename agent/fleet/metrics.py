"""The fleet's metrics, made anew at each scrape. No label grows with the nodes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from agent import __version__
from agent.fleet.join import Kin
from agent.fleet.state import Fleet
from agent.fleet.watches import SOURCES

PREFIX = "knockon_fleet_"
Requests = Mapping[tuple[str, str, str], int]
Labels = tuple[str, ...]


class FleetMetrics(Collector):
    """Reads the fleet under the lock of whoever owns it."""

    def __init__(
        self,
        fleet: Fleet,
        absent: Callable[[], Mapping[str, float]],
        requests: Callable[[], Requests],
        leads: Callable[[], bool],
    ) -> None:
        self._fleet, self._absent, self._requests, self._leads = fleet, absent, requests, leads
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def page(self) -> bytes:
        """Give the page that Prometheus reads."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Give everything; the numbers of the cluster only while we lead, or two would add up."""
        yield _gauge("build_info", "1, and the version that runs.", {(__version__,): 1}, "version")
        yield _gauge("leader", "1 while this replica holds the Lease.", {(): int(self._leads())})
        yield _requests(self._requests())
        if self._leads():
            yield from self._numbers()

    def _numbers(self) -> Iterator[Metric]:
        fleet = self._fleet
        roster = fleet.roster
        absent = self._absent()
        groups = Counter((str(group.kin),) for group in fleet.groups)
        causes: Counter[Labels] = Counter(
            (str(one.cause), str(one.planned).lower()) for one in fleet.incidents
        )
        sees: dict[Labels, float] = {
            (name,): int(name in fleet.heard and name not in fleet.blind) for name in SOURCES
        }
        sees["sandboxes",] = int("sandboxes" not in fleet.blind)  # it may have nothing to tell
        yield _gauge("nodes", "Nodes on which an agent should run.", {(): roster.nodes})
        yield _gauge("agents_ready", "Agents that are ready.", {(): roster.agents})
        yield _gauge(
            "nodes_without_agent", "Nodes without a ready agent for too long.", {(): len(absent)}
        )
        yield _gauge(
            "incidents",
            "Incidents told by the nodes within the life of an Event, an hour.",
            causes,
            "cause",
            "planned",
        )
        yield _gauge(
            "joined_incidents",
            "Incidents of several nodes that belong together.",
            {(str(kin),): groups[str(kin),] for kin in Kin},
            "kind",
        )
        widest = max((len(group.nodes) for group in fleet.groups), default=0)
        yield _gauge("joined_incident_nodes_max", "Nodes of the widest of them.", {(): widest})
        yield _gauge("source_up", "1 when this watch is healthy.", sees, "source")
        changes = CounterMetricFamily(
            f"{PREFIX}sandbox_changes", "SandboxChanged seen in the whole cluster."
        )
        changes.add_metric((), fleet.sandbox_changes)
        yield changes


def _requests(counts: Requests) -> Metric:
    family = CounterMetricFamily(
        f"{PREFIX}kube_requests",
        "Requests to the API server.",
        labels=("verb", "resource", "code"),
    )
    for labels, count in sorted(counts.items()):
        family.add_metric(labels, count)
    return family


def _gauge(name: str, says: str, values: Mapping[Labels, float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, says, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
