"""What the cluster's replica shows on its port. Nothing can be changed there."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from agent.daemon.exposition import CONTENT_TYPE
from agent.daemon.http import HEARTBEAT_S, Pulse
from agent.daemon.listener import Answer
from agent.fleet.document import nodes_of, one_of, overview
from agent.fleet.metrics import FleetMetrics
from agent.fleet.state import Fleet

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class FleetPages:
    """The pages; the fleet is read under the lock of the one thread that changes it."""

    fleet: Fleet
    metrics: FleetMetrics
    pulse: Pulse
    leads: Callable[[], bool]
    absent: Callable[[], Mapping[str, float]]
    lock: threading.Lock

    def answer(self, path: str, query: str = "") -> Answer:
        """Give status, content type and body of one path."""
        del query
        if path == "/healthz":
            age_s = self.pulse.age_s
            return _state(age_s < HEARTBEAT_S, f"the loop's last heartbeat is {age_s:.1f} s old")
        with self.lock:
            return self._known(path)

    def _known(self, path: str) -> Answer:
        if path == "/metrics":
            return Answer(HTTPStatus.OK, CONTENT_TYPE, self.metrics.page())
        if path == "/readyz":
            waits = not self.leads()
            ready = waits or self.fleet.ready
            says = "another replica leads" if waits else "nodes, agents and Events are known"
            return _state(ready, says if ready else "not everything has been listed so far")
        if path.startswith(("/incidents", "/nodes")) and not self.leads():
            return _state(False, "another replica leads: ask that one")
        if path == "/incidents":
            return _json(overview(self.fleet, self.absent()))
        if path == "/nodes":
            return _json(nodes_of(self.fleet, self.absent()))
        if path.startswith("/incidents/"):
            found = one_of(self.fleet, self.absent(), path.removeprefix("/incidents/"))
            if found is not None:
                return _json(found)
        if path == "/":
            words = b"knockon fleet: /metrics /healthz /readyz /incidents /incidents/ID /nodes\n"
            return Answer(HTTPStatus.OK, _TEXT, words)
        return Answer(HTTPStatus.NOT_FOUND, _TEXT, b"there is no such page\n")


def _state(good: bool, says: str) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(status, _TEXT, f"{says}\n".encode())


def _json(document: object) -> Answer:
    return Answer(HTTPStatus.OK, _JSON, json.dumps(document).encode() + b"\n")
