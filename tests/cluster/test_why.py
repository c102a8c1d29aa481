"""`knockon why pod/NAME` from a laptop: who is asked, and that his words arrive."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agent.daemon.certificates import Tls
from agent.model import Diagnosis
from agent.report.markdown import as_markdown
from agent.report.view import Asked, Origin, report
from tests.cluster.behind import POD, agent_pod, asked, events_of, incident_of, listening, stored
from tests.fake_api import FakeApi
from tests.fake_certs import HAS_OPENSSL, make_certs
from tests.fake_pods import pod
from tests.handmade import NODE, PODS, founding
from tests.rings import T0_MS, ring_of


@pytest.mark.usefixtures("agent")
def test_the_agents_own_words_arrive(api: FakeApi, tmp_path: Path) -> None:
    done = asked(api, tmp_path, *POD)
    assert (done.returncode, done.stderr) == (0, "")
    assert founding().verdict[:60] in done.stdout
    assert "Your pod    prod/pg-0: sandbox re-created" in done.stdout
    assert "io full 93 %" in done.stdout, "the chain"
    assert "PID 1 was not asked" not in done.stdout
    assert "PID 1 was not asked" in asked(api, tmp_path, *POD, "--explain").stdout, (
        "what it was not"
    )


@pytest.mark.usefixtures("agent")
def test_all_forms_are_those_of_a_bundle(api: FakeApi, tmp_path: Path) -> None:
    origin = Origin(f"the agent of node {NODE}", NODE, pods=PODS)
    same = report([founding()], origin, asked=Asked("prod", "pg-0", found=True))
    markdown = asked(api, tmp_path, *POD, "--markdown").stdout
    assert as_markdown(same).splitlines()[:30] == markdown.splitlines()[:30]
    page = tmp_path / "page.html"
    assert asked(api, tmp_path, *POD, "--html", str(page)).returncode == 0
    assert founding().advice[0] in page.read_text()
    incident = incident_of(asked(api, tmp_path, *POD, "--json").stdout)
    assert incident["impact"][0]["says"] == "outage: its only member"


def recent(second: float) -> Diagnosis:
    """The founding incident, so long after the ring of `tests.rings` began."""
    killer = founding().killer
    assert killer
    at_s = T0_MS / 1000 + second
    incident = replace(founding().incident, opened_at_s=at_s, closed_at_s=at_s + 20)
    return replace(founding(), incident=incident, killer=replace(killer, at_s=at_s))


def test_the_page_has_the_minutes_of_the_flight_recorder(api: FakeApi, tmp_path: Path) -> None:
    ring_of(tmp_path / "recorder.ring", 300)
    with listening(stored(tmp_path / "kept", recent(200))) as port:
        api.store.put("pods", agent_pod(NODE, port))
        done = asked(api, tmp_path, *POD, "--html", "-")
        assert (done.returncode, done.stderr) == (0, "")
        assert "Disk pressure" in done.stdout
        assert api.seen[-1].path.endswith("/proxy/recorder.ring")
        (tmp_path / "recorder.ring").unlink()
        without = asked(api, tmp_path, *POD, "--html", "-").stdout
        assert "Disk pressure" not in without
        assert "The flight recorder&#x27;s minutes cannot be had: 404" in without


def test_of_an_incident_of_yesterday_the_recorder_knows_nothing(
    api: FakeApi, tmp_path: Path
) -> None:
    ring_of(tmp_path / "recorder.ring", 300)
    with listening(stored(tmp_path / "kept", recent(90_000))) as port:
        api.store.put("pods", agent_pod(NODE, port))
        said = asked(api, tmp_path, *POD, "--html", "-").stdout
    assert "The flight recorder keeps an hour, and this is longer ago." in said


@pytest.mark.usefixtures("agent")
def test_it_asks_for_little(api: FakeApi, tmp_path: Path) -> None:
    asked(api, tmp_path, *POD)
    assert [(one.verb, one.resource) for one in api.seen] == [
        ("get", "pods"),
        ("list", "events"),
        ("list", "pods"),
        ("get", "pods/proxy"),
        ("get", "pods/proxy"),
    ]
    assert api.seen[2].query["fieldSelector"] == f"spec.nodeName={NODE}"


@pytest.mark.usefixtures("agent")
def test_the_namespace_of_the_context_is_meant(api: FakeApi, tmp_path: Path) -> None:
    done = asked(api, tmp_path, "why", "pg-0")
    assert done.returncode == 2
    assert "there is no pod default/pg-0, and no Event tells of one" in done.stderr


@pytest.mark.usefixtures("agent")
def test_a_node_can_be_asked_about(api: FakeApi, tmp_path: Path) -> None:
    done = asked(api, tmp_path, "why", "--node", NODE)
    assert (done.returncode, done.stderr) == (0, "")
    assert founding().verdict[:60] in done.stdout


def test_a_pod_in_no_incident_is_not_blamed_on_one(api: FakeApi, tmp_path: Path) -> None:
    api.store.put("pods", pod("calm", node=NODE))
    with listening(stored(tmp_path / "kept", founding())) as port:
        api.store.put("pods", agent_pod(NODE, port))
        done = asked(api, tmp_path, "why", "prod/calm")
    assert done.returncode == 3
    said = " ".join(done.stdout.split())
    assert f"Pod prod/calm is in no incident found in the agent of node {NODE}." in said
    assert f"1 other incident of this node: knockon incidents --node {NODE}." in said


def test_the_newest_incident_of_a_pod_comes_first(api: FakeApi, tmp_path: Path) -> None:
    old = founding()
    new = replace(old, incident=replace(old.incident, id="abcdef0123", opened_at_s=2e9))
    with listening(stored(tmp_path / "kept", old, new)) as port:
        api.store.put("pods", agent_pod(NODE, port))
        said = json.loads(asked(api, tmp_path, *POD, "--json").stdout)
    assert [one["id"] for one in said["incidents"]] == ["abcdef0123", old.incident.id]


def test_a_pod_that_moved_is_explained_by_the_node_it_was_on(api: FakeApi, tmp_path: Path) -> None:
    api.store.put("pods", pod("pg-0", node="elsewhere"))
    events_of(api)
    with (
        listening(stored(tmp_path / "a", founding())) as there,
        listening(stored(tmp_path / "b")) as here,
    ):
        api.store.put("pods", agent_pod(NODE, there))
        api.store.put("pods", agent_pod("elsewhere", here))
        done = asked(api, tmp_path, *POD, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert incident_of(done.stdout)["node"] == NODE


def test_a_pod_that_is_gone_is_explained_by_its_events_node(
    api: FakeApi, agent: int, tmp_path: Path
) -> None:
    assert agent
    api.store.delete("pods", "prod", "pg-0")
    events_of(api)
    done = asked(api, tmp_path, *POD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "io full 93 %" in done.stdout
    assert "There is no pod prod/pg-0 any more." in done.stdout


@pytest.mark.skipif(not HAS_OPENSSL, reason="openssl is not installed")
def test_an_agent_that_serves_tls(api: FakeApi, tmp_path: Path) -> None:
    certs = make_certs(tmp_path)
    tls = Tls(certs.server.certificate, certs.server.key)
    with listening(stored(tmp_path / "kept", founding()), tls) as port:
        api.store.put("pods", agent_pod(NODE, port, httpGet={"scheme": "HTTPS"}))
        done = asked(api, tmp_path, *POD)
    assert (done.returncode, done.stderr) == (0, "")
    assert "io full 93 %" in done.stdout
    assert f"/pods/https:knockon-{NODE}:{port}/proxy/incidents" in api.seen[-2].path
