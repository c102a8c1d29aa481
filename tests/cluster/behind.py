"""Agents behind a fake API server: pods whose port is a real process or a page of the test's."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from agent.daemon.certificates import Tls
from agent.daemon.http import Pages, Pulse
from agent.daemon.listener import Answering, HttpServer
from agent.daemon.store import Store
from agent.model import Diagnosis
from agent.report.jsonform import document
from agent.report.view import Origin, report
from agent.sources.kept import kept, packed
from tests.agents import kubeconfig
from tests.command import knockon
from tests.daemons import AtOnce
from tests.fake_api import FakeApi
from tests.fake_pods import pod
from tests.fleet.nodes import events
from tests.handmade import PODS, founding

BIN = Path(sys.executable).parent  # with kubectl of the dev extra
POD = ("why", "pod/pg-0", "-n", "prod")
LABELS = {
    "app.kubernetes.io/name": "knockon",
    "app.kubernetes.io/component": "agent",
    "app.kubernetes.io/instance": "knockon",
}


def agent_pod(node: str, port: int, *, ready: bool = True, **more: Any) -> dict[str, Any]:
    """The agent of a node, as its DaemonSet makes it."""
    made = pod(f"knockon-{node}", node=node, namespace="knockon")
    made["metadata"] |= {"labels": LABELS | more.pop("labels", {}), **more.pop("meta", {})}
    container = made["spec"]["containers"][0]
    container["ports"] = [{"name": "metrics", "containerPort": port}]
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "scheme": "HTTP"}, **more}
    made["status"]["conditions"][0]["status"] = str(ready)
    made["status"]["podIP"] = "127.0.0.1"
    return made


def stored(folder: Path, *told: Diagnosis) -> Pages:
    """The pages of an agent that has kept these incidents, the oldest first."""
    store = Store(folder, AtOnce(), 50, 1 << 24)
    for one in told:
        whole = kept(one, PODS)
        made = document(report([one], Origin("here", pods=whole.pods)))
        store.put(one.incident.id, {**made, "stage": "settled"}, packed(whole))
    return Pages(lambda: b"", Pulse(), store, ring=folder.parent / "recorder.ring")


@contextmanager
def listening(pages: Answering, tls: Tls | None = None) -> Iterator[int]:
    """Serve pages on a port of this machine."""
    server = HttpServer(("127.0.0.1", 0), pages, tls)
    server.start()
    try:
        yield server.port
    finally:
        server.close()


def asked(
    api: FakeApi, folder: Path, *words: str, env: Mapping[str, str] | None = None
) -> CompletedProcess[str]:
    """Run the command as on a laptop that knows the fake API server."""
    known = {
        "KUBECONFIG": str(kubeconfig(folder, api)),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
    }
    return knockon(*words, env={**known, **(env or {})})


def events_of(api: FakeApi) -> None:
    """What its agent wrote of the incident, while it was there."""
    for one in events(founding()):
        api.store.put("events", one)


def incident_of(said: str) -> dict[str, Any]:
    """The one incident of a printed document."""
    (found,) = json.loads(said)["incidents"]
    assert isinstance(found, dict)
    return found
