"""From a laptop to a real agent: live, as an Event and from a bundle the same is said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agents import (
    NODE,
    Site,
    changed_now,
    explained,
    kill_lines,
    now_us,
    site,
    until,
    victims,
)
from tests.cluster.behind import agent_pod, asked
from tests.command import knockon
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, make_certs
from tests.fake_pods import node
from tests.replay import entry, journal_writer, remote_tool

TOOL = remote_tool() or ""
POD = ("why", "pod/web-0", "-n", "prod")

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as server:
        for thing in victims(3):
            server.store.put("pods", thing)
        server.store.put("nodes", node(NODE))
        yield server


def happen(one: Site, api: FakeApi) -> None:
    """Docker is killed, three pods are re-created, and the agent has said so everywhere."""
    with journal_writer(TOOL, one.journal / "a.journal") as writer:
        writer.write([entry(now_us() - 10**6, "quiet", _SYSTEMD_UNIT="docker.service")])
        until(lambda: any(file.stat().st_size for file in one.journal.glob("*.journal")), one.said)
        one.start()
        one.ready()
        writer.write(kill_lines())
        for number in range(3):
            api.store.create("events", changed_now(f"web-{number}"))
        until(lambda: len(explained(api)) == 3, one.said)
        until(lambda: " settled: " in one.said(), one.said)


def only(said: str) -> dict[str, Any]:
    (found,) = json.loads(said)["incidents"]
    assert isinstance(found, dict)
    return found


def test_live_equals_event_equals_bundle(api: FakeApi, tmp_path: Path) -> None:
    with site(tmp_path, api) as one:
        happen(one, api)
        api.store.put("pods", agent_pod(NODE, one.port()))
        live = asked(api, tmp_path, *POD, "--json")
        assert (live.returncode, live.stderr) == (0, "")
        incident = only(live.stdout)

        kept = only(one.get(f"/incidents/{incident['id']}"))
        assert incident == kept, "what the agent serves and what is printed are one"

        (event,) = [each for each in explained(api) if each["involvedObject"]["name"] == "web-0"]
        marks = event["metadata"]["annotations"]
        assert marks["knockon.dev/incident"] == incident["id"]
        assert marks["knockon.dev/cause"] == incident["cause"]
        assert marks["knockon.dev/killer-name"] == incident["killer"]["name"]
        assert marks["knockon.dev/confidence"] == f"{incident['confidence']:.2f}"
        assert incident["verdict"] in event["message"]

        (listed,) = json.loads(asked(api, tmp_path, "incidents", "--json").stdout)["incidents"]
        assert {key: incident[key] for key in ("id", "node", "cause", "verdict")}.items() <= (
            listed.items()
        )
        bundle = tmp_path / "bundle"
        files = [f"--journal-dir={one.journal}", f"--ring={one.ring}"]
        config = f"--config={tmp_path / 'config.toml'}"
        done = knockon("bundle", "collect", "--out", bundle, config, *files)
        assert done.returncode == 0, done.stderr
    same = only(knockon("why", "--bundle", bundle, "prod/web-0", "--json").stdout)
    for key in ("id", "node", "cause", "confidence", "killer", "planned", "verdict", "advice"):
        assert same[key] == incident[key], key
    assert {one["pod"] for one in same["victims"]} == {"web-0", "web-1", "web-2"}


def test_an_agent_that_was_killed_has_told_its_events(api: FakeApi, tmp_path: Path) -> None:
    with site(tmp_path, api) as one:
        happen(one, api)
        api.store.put("pods", agent_pod(NODE, one.port()))
        live = only(asked(api, tmp_path, *POD, "--json").stdout)
        one.kill()
        done = asked(api, tmp_path, *POD, "--json")
        assert done.returncode == 0
        assert "its port cannot be reached" in done.stderr
        left = only(done.stdout)
        for key in ("id", "node", "cause", "planned", "verdict"):
            assert left[key] == live[key], key
        assert left["confidence"] == pytest.approx(live["confidence"], abs=0.005)
        assert {v["pod"] for v in left["victims"]} == {v["pod"] for v in live["victims"]}


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
def test_an_agent_that_serves_tls_is_asked_over_tls(api: FakeApi, tmp_path: Path) -> None:
    certs = make_certs(tmp_path)
    http: dict[str, object] = {
        "tls_certificate": str(certs.server.certificate),
        "tls_key": str(certs.server.key),
    }
    with site(tmp_path, api, http=http) as one:
        one.start()
        until(lambda: "Listening" in one.said(), one.said)
        port = one.port()
        api.store.put("pods", agent_pod(NODE, port, httpGet={"scheme": "HTTPS"}))
        done = asked(api, tmp_path, "why", "--node", NODE)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"Nothing to report: no incident in the agent of node {NODE}." in done.stdout
        assert f"/pods/https:knockon-{NODE}:{port}/proxy/incidents" in api.seen[-1].path
