"""`knockon why pod/NAME` when nobody answers for the node: what is left, and that it is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.behind import POD, agent_pod, asked, events_of, incident_of, listening, stored
from tests.command import is_one_line
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import ended, node, pod, sandbox_event
from tests.handmade import NODE, PODS, founding


def told_from_events(api: FakeApi, tmp_path: Path, why: str) -> dict[str, Any]:
    done = asked(api, tmp_path, *POD, "--json")
    assert done.returncode == 0
    assert is_one_line(done.stderr)
    assert "told from Events alone" in done.stderr
    assert why in done.stderr
    assert done.stderr.removeprefix("knockon: ").strip() in json.loads(done.stdout)["notes"]
    return incident_of(done.stdout)


def test_without_an_agent_its_events_are_read(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    incident = told_from_events(api, tmp_path, f"node {NODE}: no agent runs there")
    assert (incident["id"], incident["cause"]) == (founding().incident.id, "io_saturation")
    assert incident["confidence"] == 0.82
    assert incident["verdict"] == founding().verdict
    assert incident["killer"]["name"] == "kube-docker-monitor.service"
    assert incident["killer"]["at"].startswith("2018-05-21T18:02:41")
    assert incident["offender"]["name"] == "backup-7"
    assert {one["pod"] for one in incident["victims"]} == {one.name for one in PODS[:5]}
    assert incident["victims"][0]["harm"] == "sandbox re-created"
    assert "did not answer" in incident["evidence"]["for"][0]["says"]
    assert "the agent's own report" in incident["missing"][0]


def test_who_may_see_one_namespace_sees_its_victims(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    api.forbidden_everywhere.add(("list", "events"))
    incident = told_from_events(api, tmp_path, "no agent runs there")
    assert {one["namespace"] for one in incident["victims"]} == {"prod"}


@pytest.mark.parametrize(
    ("ready", "why"),
    [(True, "connection refused"), (False, "is not ready; its port cannot be reached")],
)
def test_an_agent_that_does_not_listen(ready: bool, why: str, api: FakeApi, tmp_path: Path) -> None:
    with listening(stored(tmp_path / "kept")) as port:
        pass
    api.store.put("pods", agent_pod(NODE, port, ready=ready))
    events_of(api)
    assert told_from_events(api, tmp_path, why)["cause"] == "io_saturation"


@pytest.mark.usefixtures("agent")
def test_who_may_not_use_the_proxy_is_told_which_right_is_missing(
    api: FakeApi, tmp_path: Path
) -> None:
    events_of(api)
    api.forbidden.add(("get", "pods/proxy"))
    told_from_events(api, tmp_path, "you may not get pods/proxy in namespace knockon")


def test_a_node_that_is_gone_or_not_ready_is_said_so(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    sick = node(NODE) | {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    api.store.put("nodes", sick)
    told_from_events(api, tmp_path, "the node is not ready")
    api.store.delete("nodes", "", NODE)
    told_from_events(api, tmp_path, "the node is gone")


@pytest.mark.usefixtures("agent")
def test_an_agent_that_does_not_answer_in_time(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    api.faults.add(Fault(Wrong.SILENCE, "get", "pods/proxy"))
    done = asked(api, tmp_path, *POD, "--timeout", "0.3")
    assert done.returncode == 0
    assert "no answer within 0.3 s" in done.stderr
    api.faults.add(Fault(Wrong.DRIP, "get", "pods/proxy"))
    done = asked(api, tmp_path, *POD, "--timeout", "0.2")
    assert done.returncode == 0
    assert "an answer that was not whole within 1.2 s" in done.stderr


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("wrong", [Wrong.NOT_JSON, Wrong.TORN, Wrong.RESET, Wrong.HUGE])
def test_a_broken_answer_is_no_answer(wrong: Wrong, api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    api.faults.add(Fault(wrong, "get", "pods/proxy"))
    told_from_events(api, tmp_path, f"node {NODE}: ")


def test_an_agent_of_another_version(api: FakeApi, tmp_path: Path) -> None:
    pages = stored(tmp_path / "kept", founding())
    document = pages.store.document(founding().incident.id)
    assert document
    pages.store.put(founding().incident.id, json.loads(document) | {"stage": "x"}, b"newer")
    events_of(api)
    with listening(pages) as port:
        api.store.put("pods", agent_pod(NODE, port))
        told_from_events(api, tmp_path, "of another version")


def test_without_agent_and_events_kubernetes_itself_is_read(api: FakeApi, tmp_path: Path) -> None:
    hog = pod("hog", node=NODE, restarts=1, last=ended(1_700_000_500.0, "OOMKilled", 137))
    api.store.put("pods", hog)
    done = asked(api, tmp_path, "why", "prod/hog", "--json")
    assert is_one_line(done.stderr)
    assert "Read from Kubernetes' own Events and status" in done.stderr
    assert incident_of(done.stdout)["cause"] == "container_oom"


def test_what_kubernetes_does_not_explain_stays_unknown(api: FakeApi, tmp_path: Path) -> None:
    api.store.put("events", sandbox_event("pg-0.1", "pg-0", node=NODE))
    done = asked(api, tmp_path, *POD)
    assert done.returncode == 3
    assert "Pod prod/pg-0 was re-created" in done.stdout
    assert "The input has no journal of the node." in done.stdout


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
def test_an_agent_that_wants_certificates_cannot_be_asked(api: FakeApi, tmp_path: Path) -> None:
    events_of(api)
    probe: dict[str, Any] = {"httpGet": None, "tcpSocket": {"port": "metrics"}}
    api.store.put("pods", agent_pod(NODE, 9479, **probe))
    told_from_events(api, tmp_path, "its port asks for client certificates")
