"""``python -m bench.fleet_size``: what 5,000 nodes cost the API server, and the cluster's replica.

Every node's agent runs its own code against a fake API server for an hour of simulated time, one
after the other; then, as a process, the replica lists 5,000 nodes and as many agents, and an
upgrade with incidents goes over a tenth of them.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.kube.announce import announcements
from agent.kube.http import Api
from agent.kube.pace import Clockwork
from agent.kube.publisher import Publisher
from agent.kube.source import watch_pods
from agent.model import Cause
from bench.rows import Row, machine_line, rows_table
from tests.agents import kubeconfig
from tests.fake_api import FakeApi, SimClock
from tests.fake_pods import Object, node, pod
from tests.fleet.nodes import events, incident
from tests.handmade import PODS

ROOT = Path(__file__).resolve().parent.parent
FULL_NODES, SMOKE_NODES = 5_000, 50
PODS_A_NODE = 30
_HOUR_S = 3600.0
_BALLAST = 64  # variables nobody reads, for pods of 4.8 kB
_IMAGES = 50  # a node's status lists its images
_LABELS = {"app.kubernetes.io/name": "knockon", "app.kubernetes.io/component": "agent"}
_PATIENCE_S = 300.0


@dataclass(slots=True)
class Cost:
    """What one agent, or all of them, cost the API server."""

    requests: int = 0
    sent_bytes: int = 0
    events: int = 0
    received_bytes: int = 0

    def add(self, other: Cost) -> None:
        """Add another's."""
        self.requests += other.requests
        self.sent_bytes += other.sent_bytes
        self.events += other.events
        self.received_bytes += other.received_bytes


def bench(smoke: bool) -> list[Row]:
    """Run both parts."""
    nodes = SMOKE_NODES if smoke else FULL_NODES
    return [*_agents(nodes), *_replica(nodes)]


# -- the agents ------------------------------------------------------------------------------------


def _agents(nodes: int) -> list[Row]:
    idle, told = Cost(), Cost()
    for seed in range(nodes):
        idle.add(_idle_hour(seed))
        told.add(_one_incident(seed))
    note = f"{nodes:,} agents, an hour each, {PODS_A_NODE} pods of 4.8 kB"
    each_s = idle.requests / nodes / _HOUR_S
    return [
        _row("agents idle: requests/s a node", f"{each_s:.4f}", "target 0.1", note),
        _row("agents idle: requests/s, all nodes", f"{idle.requests / _HOUR_S:.1f}", "", note),
        _row("agents idle: sent to a node in the hour", _kb(idle.sent_bytes / nodes), "", note),
        _row(
            "an incident on a node: Events, request bodies",
            f"{told.events / nodes:.1f}, {_kb(told.received_bytes / nodes)}",
            "1 a victim + 2",
            f"{len(incident('n').victims)} victims",
        ),
        _row(
            "an incident on every node: Events, bodies",
            f"{told.events:,}, {_kb(told.received_bytes)}",
        ),
    ]


def _idle_hour(seed: int) -> Cost:
    """A node's agent from its start on, while nothing happens."""
    clock = SimClock()
    end_s = clock.now_s() + _HOUR_S

    def wait(for_s: float) -> bool:
        clock.advance(for_s)
        return clock.now_s() >= end_s

    work = Clockwork(clock.now_s, wait, random.Random(seed).random)
    with FakeApi(clock=clock) as api, closing(Api(api.access())) as client:
        for index in range(PODS_A_NODE):
            api.store.put("pods", pod(f"pod-{index}", ballast=_BALLAST))
        for _ in watch_pods(client, "node-1", work):
            pass
        return Cost(len(api.seen), api.sent_bytes)


def _one_incident(seed: int) -> Cost:
    clock = SimClock()
    work = Clockwork(clock.now_s, lambda _: False, lambda: 0.5)
    with FakeApi(clock=clock) as api, closing(Api(api.access())) as client:
        publisher = Publisher(client, work)
        publisher.offer(announcements(incident(f"node-{seed}"), PODS))
        while len(publisher):
            clock.advance(publisher.step())
        return Cost(len(api.seen), api.sent_bytes, len(api.seen), api.received_bytes)


# -- the replica -----------------------------------------------------------------------------------


def _replica(nodes: int) -> list[Row]:
    with FakeApi() as api, tempfile.TemporaryDirectory() as folder:
        for index in range(nodes):
            api.store.put("nodes", _whole_node(f"node-{index}"))
            api.store.put("pods", _agent_on(f"node-{index}"))
        process, port = _started(Path(folder), api)
        try:
            _until(port, lambda page: f"knockon_fleet_agents_ready {float(nodes)}" in page)
            begun = _seen(api, process.pid)
            hit = max(3, nodes // 10)
            for index in range(hit):
                for one in events(incident(f"node-{index}", index, Cause.DISK_ERROR)):
                    api.store.put("events", one)
            _until(port, lambda page: f"joined_incident_nodes_max {float(hit)}" in page)
            ended = _seen(api, process.pid)
        finally:
            process.terminate()
            process.wait(timeout=30)
    note = f"{nodes:,} nodes and agents"
    return [
        _row("replica at the start: requests, received", f"{begun[0]}, {_kb(begun[1])}", "", note),
        _row("replica at the start: CPU", f"{begun[2]:.1f} s", "", note),
        _row(
            f"replica, incidents on {hit} nodes: received",
            _kb(ended[1] - begun[1]),
            "",
            f"{hit * 7:,} Events, joined into one",
        ),
        _row(f"replica, incidents on {hit} nodes: CPU", f"{ended[2] - begun[2]:.1f} s"),
        _row("replica: RSS", f"{ended[3] / 2**20:.0f} MiB", "limit 256 MiB", "after all of it"),
    ]


def _whole_node(name: str) -> Object:
    """A node with the parts that make it large; the replica asks for its metadata alone."""
    made = node(name)
    made["metadata"]["labels"] = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
    images = [{"names": [f"registry.example/app-{n}@sha256:{'0' * 64}"]} for n in range(_IMAGES)]
    return {**made, "status": {"images": images}}


def _agent_on(name: str) -> Object:
    made = pod(f"agent-{name}", node=name, namespace="knockon", ballast=8)
    return {**made, "metadata": {**made["metadata"], "labels": _LABELS}}


def _started(folder: Path, api: FakeApi) -> tuple[subprocess.Popen[str], int]:
    config = folder / "cluster.toml"
    config.write_text(
        f'[kube]\naccess = "kubeconfig"\nkubeconfig = "{kubeconfig(folder, api)}"\n'
        '[cluster]\nnamespace = "knockon"\n[http]\nlisten = "127.0.0.1:0"\n[log]\nform = "json"\n'
    )
    words = [sys.executable, "-m", "agent.fleet", str(config)]
    process = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    for line in process.stderr or ():
        said = json.loads(line)
        if "port" in said:
            return process, int(said["port"])
    raise RuntimeError(f"the replica ended with {process.wait()}")


def _until(port: int, holds: object) -> None:
    assert callable(holds)
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            if holds(answer.read().decode()):
                return
        time.sleep(1)
    raise RuntimeError("the replica did not get there")


def _seen(api: FakeApi, pid: int) -> tuple[int, int, float, int]:
    """Requests, bytes sent, CPU seconds and resident bytes so far."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    cpu_s = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return len(api.seen), api.sent_bytes, cpu_s, pages * resource.getpagesize()


def _kb(size: float) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def _row(what: str, value: str, against: str = "", note: str = "") -> Row:
    return Row("fleet_size", what, value, against, note)


def main() -> int:
    """Print the table."""
    rows = bench("--smoke" in sys.argv)
    print(f"{machine_line()}\n\n{rows_table(rows)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
