"""What the replica exposes, whole: rules and dashboards may use nothing else of it."""

from __future__ import annotations

from agent.fleet.metrics import FleetMetrics
from tests.fleet.nodes import ABSENT, whole_fleet
from tests.golden_files import same_as_golden

REQUESTS = {("list", "events", "200"): 3, ("watch", "nodes", "410"): 1}


def test_the_page_is_golden() -> None:
    page = FleetMetrics(whole_fleet(), lambda: ABSENT, lambda: REQUESTS, lambda: True).page()
    same_as_golden(page.decode(), "fleet-metrics.prom")


def test_who_does_not_lead_says_nothing_of_the_cluster() -> None:
    page = FleetMetrics(whole_fleet(), lambda: ABSENT, lambda: REQUESTS, lambda: False).page()
    assert b"knockon_fleet_leader 0.0" in page
    assert b"knockon_fleet_nodes_without_agent" not in page
