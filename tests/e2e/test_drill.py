"""The founding incident in a node on one slow disk, explained by the agent as it runs in a pod."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents import Site, explained, site, until
from tests.fake_api import FakeApi
from tests.lab.drill.node import NAME, PODS, Node, node, shown_by
from tests.lab.image import LabUnavailable

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))
CHECK_S = 4.0
_PID = "systemctl show -p MainPID --value docker.service"

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.e2e


@pytest.fixture
def booted() -> Iterator[Node]:
    try:
        prepared = node(CACHE)
        with prepared as made:
            made.start_pods()
            yield made
    except LabUnavailable as missing:
        pytest.skip(str(missing))


def agent_settings(booted: Node) -> dict[str, dict[str, object]]:
    root = booted.box.root
    return {
        "node": {"name": NAME, "root": str(root)},
        "journal": {"directory": str(root / "var/log/journal")},
        "probe": {
            "docker": str(root / "run/docker.sock"),
            "mean_gap_s": 2.0,
            "killer_timeout_s": CHECK_S,
        },
    }


def test_a_hung_docker_is_killed_by_the_monitor_and_every_pod_is_told_why(
    booted: Node, tmp_path: Path
) -> None:
    with FakeApi() as api, shown_by(api, booted), site(tmp_path, api) as one:
        one.settings = agent_settings(booted)
        one.start()
        one.ready()
        before = booted.sandboxes()
        booted.start_monitor(CHECK_S)
        pid = booted.box.check(_PID).strip()
        booted.box.check(f"kill -STOP {pid}")  # injected: this test is about what comes after
        until(lambda: any(check.status for check in booted.checks()), one.said, 60)
        booted.box.check(f"kill -CONT {pid}")
        until(lambda: len(explained(api)) == PODS, one.said, 90)
        after = booted.sandboxes()
        assert [name for name in before if before[name] == after[name]] == []
        assert {event["involvedObject"]["name"] for event in explained(api)} == set(before)
        until(booted.answers, one.said, 60)
        _, answer = told(one)
        assert answer["cause"] == "runtime_hang"
        assert answer["killer"]["kind"] == "health_monitor"
        assert answer["planned"] is False


def told(one: Site) -> tuple[str, dict[str, Any]]:
    """The one incident there is, by its number and as the agent serves it."""
    (listed,) = json.loads(one.get("/incidents"))["incidents"]
    (incident,) = json.loads(one.get(f"/incidents/{listed['id']}"))["incidents"]
    return str(listed["id"]), incident
