"""The agent inside the machine, and an API server outside that shows the machine's pods."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agents import explained
from tests.fake_api import FakeApi
from tests.lab.drill.node import NAME, PROGRAMS, Scene, shown_by, until
from tests.lab.vm.machine import HOST, Machine

UNIT = "knockon-agent"
_PORT = 9479
_CONFIG = "/etc/knockon.toml"
_ASK = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=20).read().decode())"


@dataclass(frozen=True, slots=True)
class Inside:
    """An agent that runs in the machine as a unit of its own."""

    machine: Machine
    api: FakeApi

    def get(self, path: str) -> str:
        """What it answers; raises RuntimeError when it does not."""
        return self.machine.check(f"knockon-python -c '{_ASK}' http://127.0.0.1:{_PORT}{path}", 60)

    def ready(self) -> bool:
        """Whether everything is watched."""
        if self.api.open_watches["events"] == 0:
            return False
        try:
            return 'knockon_source_up{source="journal"} 1.0' in self.get("/metrics")
        except RuntimeError:
            return False

    def incidents(self) -> list[dict[str, Any]]:
        """Every incident it knows, in full."""
        listed = json.loads(self.get("/incidents"))["incidents"]
        pages = [json.loads(self.get(f"/incidents/{one['id']}")) for one in listed]
        return [told for page in pages for told in page["incidents"]]

    def explained(self, pods: int, patience_s: float) -> set[str]:
        """Wait until so many pods were sent their reason; return their names."""
        until_s = time.monotonic() + patience_s
        while True:
            names = {one["involvedObject"]["name"] for one in explained(self.api)}
            if len(names) >= pods or time.monotonic() > until_s:
                return names
            time.sleep(1.0)


def inhabited(machine: Machine) -> Scene:
    """Start the drill's pods in the machine: Postgres and its three neighbours."""
    machine.check(f"printf %s '{json.dumps(PROGRAMS)}' > /etc/pod-keeper.json")
    scene = Scene(machine)
    scene.start_pods(300.0)
    return scene


@contextmanager
def watching(scene: Scene, machine: Machine, check_s: float) -> Iterator[Inside]:
    """Run the agent until the end, against an API server that shows the machine's pods."""
    with FakeApi() as api, shown_by(api, scene, 1.0):
        lines = json.dumps(_kubeconfig(f"http://{HOST}:{api.port}"))
        machine.check(f"printf %s '{lines}' > /etc/knockon.kubeconfig")
        machine.check(f"printf %s '{_settings(check_s)}' > {_CONFIG}")
        machine.check(f"systemd-run -q --unit={UNIT} knockon agent --config {_CONFIG}")
        one = Inside(machine, api)
        try:
            until(one.ready, "the agent is ready", 180.0)
            yield one
        finally:
            machine.sh(f"systemctl stop {UNIT}; systemctl reset-failed {UNIT}")


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "x",
    }


def _settings(check_s: float) -> str:
    docker = Path("/run/docker.sock")
    sections: dict[str, dict[str, object]] = {
        "node": {"name": NAME},
        "kube": {"access": "kubeconfig", "kubeconfig": "/etc/knockon.kubeconfig"},
        "probe": {"docker": str(docker), "killer_timeout_s": check_s},
        "incidents": {"settle_s": 15.0},
        "http": {"listen": f"127.0.0.1:{_PORT}"},
    }
    return "\n".join(
        "\n".join([f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in one.items())])
        for name, one in sections.items()
    )
