"""`knockon incidents` from a laptop: the replica, else every agent; who is silent is named."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.commands.cluster.server import MOST_AT_ONCE
from agent.daemon.listener import Answer, Answering
from agent.model import Cause, Diagnosis
from tests.cluster.behind import agent_pod, asked, listening, stored
from tests.command import is_one_line, killed_bundle, knockon
from tests.fake_api import FakeApi
from tests.fake_faults import Fault, Wrong
from tests.fake_pods import node
from tests.fleet.nodes import incident

LIST = ("incidents",)


@dataclass(frozen=True)
class Page:
    """A replica: leads, and shows this."""

    leads: bool = True

    def answer(self, path: str, query: str = "") -> Answer:
        del query
        if not self.leads:
            return Answer(503, "text/plain", b"another replica leads: ask that one\n")
        if path == "/nodes":
            absent = [{"node": "node-9", "since": None}]
            without = json.dumps({"without_agent": absent})
            return Answer(200, "application/json", without.encode())
        group = {"id": "f1", "verdict": "Storage failed 3 nodes.", "hurt": 15, "incidents": ["a"]}
        one = {"id": "a", "node": "node-1", "cause": "disk_error", "confidence": 0.8, "hurt": 5}
        shown = {"incidents": [one], "fleet": [group], "blind": []}
        return Answer(200, "application/json", json.dumps(shown).encode())


class Slow:
    """Pages that take a moment; counts how many are asked for at the same time."""

    def __init__(self, pages: Answering) -> None:
        self._pages, self._lock = pages, threading.Lock()
        self._now = self.most = 0

    def answer(self, path: str, query: str = "") -> Answer:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.1)
        with self._lock:
            self._now -= 1
        return self._pages.answer(path, query)


def named(name: str, one: Diagnosis) -> Diagnosis:
    return replace(one, incident=replace(one.incident, id=name))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as made:
        for name in ("node-0", "node-1", "node-2"):
            made.store.put("nodes", node(name))
        yield made


@pytest.fixture
def agents(api: FakeApi, tmp_path: Path) -> Iterator[FakeApi]:
    """Three nodes; on two something happened, an hour apart."""
    told = {
        "node-0": [named("aaaa", incident("node-0", 0.0, Cause.DISK_ERROR))],
        "node-1": [named("bbbb", incident("node-1", 3600.0))],
        "node-2": [],
    }
    with ExitStack() as stack:
        for name, some in told.items():
            port = stack.enter_context(listening(stored(tmp_path / name, *some)))
            api.store.put("pods", agent_pod(name, port))
        yield api


def test_all_agents_are_asked(agents: FakeApi, tmp_path: Path) -> None:
    done = asked(agents, tmp_path, *LIST)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert "2023-11-14 22:13:20 UTC  node-0  5 pods  disk_error 0.82  The health" in first
    assert "  node-1  5 pods  io_saturation 0.82  " in second


def test_many_are_asked_at_once(api: FakeApi, tmp_path: Path) -> None:
    pages = Slow(stored(tmp_path / "kept", named("aaaa", incident("n"))))
    with ExitStack() as stack:
        ports = [stack.enter_context(listening(pages)) for _ in range(8)]
        for number in range(48):
            api.store.put("nodes", node(f"node-{number}"))
            api.store.put("pods", agent_pod(f"node-{number}", ports[number % 8]))
        done = asked(api, tmp_path, *LIST)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 48
    assert api.counts["get", "pods/proxy"] == 48
    assert 2 < pages.most <= MOST_AT_ONCE


def test_one_node_alone_is_asked(agents: FakeApi, tmp_path: Path) -> None:
    done = asked(agents, tmp_path, *LIST, "--node", "node-1")
    (line,) = done.stdout.splitlines()
    assert "node-1" in line
    assert agents.counts["get", "pods/proxy"] == 1


def test_a_node_that_is_not_there(agents: FakeApi, tmp_path: Path) -> None:
    done = asked(agents, tmp_path, *LIST, "--node", "node-7")
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert "there is no node node-7" in done.stderr


def test_what_is_long_ago_is_left_out(agents: FakeApi, tmp_path: Path) -> None:
    said = asked(agents, tmp_path, *LIST, "--since", "24h").stdout
    assert said == "Nothing to report, says 3 agents, asked one by one.\n"


def test_silent_nodes_are_named_and_not_hidden(agents: FakeApi, tmp_path: Path) -> None:
    agents.store.put("nodes", node("node-4"))
    agents.store.put("pods", agent_pod("node-3", 1))
    agents.faults.add(Fault(Wrong.SILENCE, "get", "pods/proxy"))
    done = asked(agents, tmp_path, *LIST, "--timeout", "1", "--since", "24h")
    assert done.returncode == 0
    head, *named = done.stdout.splitlines()[2:]
    assert head == "3 nodes did not answer; what happened there is unknown:"
    assert sum("no answer within 1 s" in line for line in named) == 1
    assert any("  node-3: its port cannot be reached: " in line for line in named)
    assert "  node-4: no agent runs there" in named


def test_when_nobody_answers_nothing_is_known(api: FakeApi, tmp_path: Path) -> None:
    api.store.put("pods", agent_pod("node-0", 1))
    done = asked(api, tmp_path, *LIST)
    assert done.returncode == 3
    assert "Nothing to report" not in done.stdout
    assert "3 nodes did not answer" in done.stdout


def test_as_json_the_keys_are_those_of_an_agents_own_list(agents: FakeApi, tmp_path: Path) -> None:
    agents.store.put("nodes", node("node-4"))
    document = json.loads(asked(agents, tmp_path, *LIST, "--json").stdout)
    assert document["schema"] == "knockon/v1"
    assert [one["node"] for one in document["incidents"]] == ["node-1", "node-0"]
    assert document["blind"] == [
        {"source": "node/node-4", "why": "no agent runs there", "from": None}
    ]


def test_the_replica_that_leads_is_asked_first(agents: FakeApi, tmp_path: Path) -> None:
    label = {"app.kubernetes.io/component": "cluster"}
    with listening(Page(leads=False)) as waits, listening(Page()) as leads:
        for name, port in (("a", waits), ("b", leads)):
            agents.store.put("pods", agent_pod(f"replica-{name}", port, labels=label))
        done = asked(agents, tmp_path, *LIST)
        assert done.stdout.splitlines() == [
            "a  time unknown  node-1  5 pods  disk_error 0.80",
            "f1  Storage failed 3 nodes. 15 pods hurt.",
            "",
            "1 node did not answer; what happened there is unknown:",
            "  node-9: no ready agent runs there",
        ]
        assert agents.counts["get", "pods/proxy"] == 3
        older = asked(agents, tmp_path, *LIST, "--since", "9999d").stdout
        assert len(older.splitlines()) == 2, "only agents know more than the last hour"


def test_without_the_right_to_list_nodes_it_says_so(agents: FakeApi, tmp_path: Path) -> None:
    agents.forbidden.add(("list", "nodes"))
    done = asked(agents, tmp_path, *LIST)
    assert done.returncode == 0
    *_, last = done.stdout.splitlines()
    assert last == "Nodes without an agent are not named here: you may not list nodes."


@pytest.mark.parametrize(
    ("forbidden", "says"),
    [
        (("list", "pods"), "the agents cannot be found: you may not list pods in namespace"),
        (None, "there is no agent in namespace elsewhere"),
    ],
)
def test_agents_that_cannot_be_found_are_one_line(
    forbidden: tuple[str, str] | None, says: str, api: FakeApi, tmp_path: Path
) -> None:
    api.forbidden |= {forbidden} if forbidden else {("list", "nodes")}
    done = asked(api, tmp_path, *LIST, "--agents", "elsewhere")
    assert done.returncode == 2
    assert is_one_line(done.stderr)
    assert says in done.stderr


def test_a_bundle_is_listed_by_the_same_keys(tmp_path: Path) -> None:
    made = killed_bundle(tmp_path / "b")
    document = json.loads(knockon("incidents", "--bundle", made, "--json").stdout)
    (one,) = document["incidents"]
    assert (one["hurt"], len(one["victims"])) == (2, 2)
    done = knockon("incidents", "--bundle", made, "--since", "2h")
    assert done.returncode == 2
    assert "--since goes with a cluster" in done.stderr
