"""The cluster's replica as a process, beside an API server that counts what it is asked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.kube.announce import announcements
from agent.kube.http import Api
from agent.kube.pace import real_clockwork
from agent.kube.publisher import Publisher
from agent.model import Cause, Diagnosis
from tests.agents import ROOT, kubeconfig
from tests.fake_api import FakeApi
from tests.fake_pods import Object, node, pod, sandbox_event
from tests.fleet.nodes import events, incident
from tests.handmade import PODS

PATIENCE_S = 30.0
SPACE = "knockon"
LABELS = {"app.kubernetes.io/name": "knockon", "app.kubernetes.io/component": "agent"}


def agent_on(name: str) -> Object:
    made = pod(f"agent-{name}", node=name, namespace=SPACE)
    return {**made, "metadata": {**made["metadata"], "labels": LABELS}}


@dataclass(slots=True)
class Running:
    """One replica that runs."""

    process: subprocess.Popen[str]
    port: int

    def page(self, path: str) -> str:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return str(error.read().decode())

    def json(self, path: str) -> dict[str, Any]:
        return dict(json.loads(self.page(path)))

    def leads(self) -> bool:
        return "knockon_fleet_leader 1.0" in self.page("/metrics")

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert self.process.poll() is None, "it ended"
            assert time.monotonic() < deadline_s, what
            time.sleep(0.1)


@contextmanager
def replica(folder: Path, api: FakeApi, lease_s: float = 15.0) -> Iterator[Running]:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "cluster.toml"
    config.write_text(
        f'[kube]\naccess = "kubeconfig"\nkubeconfig = "{kubeconfig(folder, api)}"\n'
        f'[cluster]\nnamespace = "{SPACE}"\nlease_s = {lease_s}\nabsent_after_s = 0.0\n'
        '[http]\nlisten = "127.0.0.1:0"\n[log]\nform = "json"\n'
    )
    words = [sys.executable, "-m", "agent", "agent", "--cluster", "--config", str(config)]
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            said = json.loads(line)
            if "port" in said:
                yield Running(process, said["port"])
                break
        else:
            pytest.fail("it never listened")
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as made:
        for n in range(5):
            made.store.put("nodes", node(f"node-{n}"))
        for n in range(4):
            made.store.put("pods", agent_on(f"node-{n}"))
        yield made


def posted(api: FakeApi, told: Diagnosis) -> None:
    """Let an agent's own publisher say it, over the newer of the two Event APIs."""
    with closing(Api(api.access())) as client:
        publisher = Publisher(client, real_clockwork(threading.Event()))
        publisher.offer(announcements(told, PODS))
        while len(publisher):
            publisher.step()
        assert publisher.counts == {"created": 6}  # the node and five victims


def ready(one: Running) -> bool:
    return one.leads() and "are known" in one.page("/readyz")


def test_it_joins_what_the_nodes_tell_and_names_the_node_nobody_watches(
    api: FakeApi, tmp_path: Path
) -> None:
    for one in events(*(incident(f"node-{n}", n * 20, Cause.DISK_ERROR) for n in range(2))):
        api.store.put("events", one)  # before it came: an hour of Events is read at the start
    with replica(tmp_path, api) as running:
        running.until(lambda: ready(running), "it leads and has seen everything")
        assert running.json("/incidents")["fleet"] == []
        posted(api, incident("node-2", 40, Cause.DISK_ERROR))
        api.store.put("events", sandbox_event("e", "pg-9", node="node-4"))
        running.until(lambda: bool(running.json("/incidents")["fleet"]), "three nodes are joined")
        told = running.json("/incidents")
        (group,) = told["fleet"]
        assert (group["kind"], group["nodes"]) == (
            "storage_outage",
            ["node-0", "node-1", "node-2"],
        )
        joined = [one for one in told["incidents"] if one["fleet"] == group["id"]]
        assert {one["node"] for one in joined} == {"node-0", "node-1", "node-2"}
        whole = running.json(f"/incidents/{group['id']}")["incidents"]
        assert {len(one["victims"]) for one in whole} == {5}
        assert "agent of node node-0" in whole[0]["missing"][0]

        nodes = running.json("/nodes")
        assert (nodes["nodes"], nodes["agents"]) == (5, 4)
        assert [one["node"] for one in nodes["without_agent"]] == ["node-4"]

        def orphan() -> list[Any]:
            return [
                one for one in running.json("/incidents")["incidents"] if one["node"] == "node-4"
            ]

        running.until(lambda: bool(orphan()), "what nobody saw is told as unknown")
        (unseen,) = orphan()
        assert (unseen["cause"], unseen["confidence"], unseen["hurt"]) == ("unknown", 0.0, 1)
        (told_whole,) = running.json(f"/incidents/{unseen['id']}")["incidents"]
        assert told_whole["missing"] == ["no agent runs on node node-4, so nobody saw why"]

        metrics = running.page("/metrics")
        for line in (
            "knockon_fleet_nodes 5.0",
            "knockon_fleet_agents_ready 4.0",
            "knockon_fleet_nodes_without_agent 1.0",
            'knockon_fleet_joined_incidents{kind="storage_outage"} 1.0',
            "knockon_fleet_joined_incident_nodes_max 3.0",
            'knockon_fleet_incidents{cause="disk_error",planned="false"} 3.0',
            "knockon_fleet_sandbox_changes_total 1.0",
        ):
            assert line in metrics, line
        api.store.put("pods", agent_on("node-4"))
        running.until(lambda: not running.json("/nodes")["without_agent"], "the agent has come")
    watches = [seen for seen in api.seen if seen.verb == "watch"]
    assert len(watches) == 4, "one watch a stream, for the whole cluster"


def test_the_second_replica_waits_and_goes_on_where_the_first_one_died(
    api: FakeApi, tmp_path: Path
) -> None:
    for one in events(*(incident(f"node-{n}", n, Cause.DISK_ERROR) for n in range(3))):
        api.store.put("events", one)
    with replica(tmp_path / "a", api, 6.0) as first:
        first.until(lambda: ready(first), "the first leads")
        before = first.json("/incidents")
        with replica(tmp_path / "b", api, 6.0) as second:
            assert not second.leads()
            assert "another replica leads" in second.page("/incidents")
            assert "knockon_fleet_nodes " not in second.page("/metrics"), "two would add up"
            first.process.kill()
            second.until(lambda: ready(second), "the second takes over")
            after = second.json("/incidents")
            assert after["fleet"] == before["fleet"]
            assert after["incidents"] == before["incidents"]


def test_who_loses_the_lease_ends(api: FakeApi, tmp_path: Path) -> None:
    with replica(tmp_path, api, 5.0) as running:
        running.until(lambda: ready(running), "it leads")
        api.forbidden.add(("update", "leases"))
        running.process.wait(timeout=20)
        assert running.process.returncode == 1


def test_told_to_stop_it_lets_go_of_the_lease(api: FakeApi, tmp_path: Path) -> None:
    with replica(tmp_path, api) as running:
        running.until(running.leads, "it leads")
        running.process.terminate()
        running.process.wait(timeout=20)
        assert running.process.returncode == 0
    lease = api.store.get("leases", SPACE, "knockon-cluster")
    assert lease
    assert lease["spec"]["holderIdentity"] == ""


def test_a_mistake_in_its_settings_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[kube]\naccess = "off"\n')
    words = [sys.executable, "-m", "agent", "agent", "--cluster", "--config", str(config)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert (
        done.stderr == 'knockon: kube.access is "off" (the fleet is seen through the API server)\n'
    )
