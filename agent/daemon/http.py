"""The one port: metrics, health, and this node's incidents: JSON, reports, and a page to look at.

Nothing can be changed.

Health is the age of the loop's last heartbeat and nothing else: neither the API server nor a disk
can make the kubelet kill us while a node is in trouble.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from agent import __version__
from agent.daemon.certificates import Tls
from agent.daemon.config import HttpSettings
from agent.daemon.config_file import address
from agent.daemon.exposition import CONTENT_TYPE
from agent.daemon.listener import Answer, Answering, HttpServer
from agent.daemon.page.document import page
from agent.daemon.recent import Recent, number_asked
from agent.daemon.reports import Reports
from agent.daemon.store import Store
from agent.report.jsonform import SCHEMA

HEARTBEAT_S = 30.0
_JSON = "application/json"
_PACKED = "application/zlib"
_RING = "application/octet-stream"
_TEXT = "text/plain; charset=utf-8"
_NO_PAGE = Answer(404, _TEXT, b"there is no such page\n")


class Pulse:
    """When the loop was last seen alive, and whether a first sample was taken."""

    def __init__(self, steady: Callable[[], float] = monotonic) -> None:
        self._steady = steady
        self._beat_s = steady()
        self.ready = False

    def beat(self) -> None:
        """Say that the loop goes round."""
        self._beat_s = self._steady()

    @property
    def age_s(self) -> float:
        """Seconds since the last beat."""
        return self._steady() - self._beat_s


@dataclass(frozen=True, slots=True)
class About:
    """Whose page it is, and how long the killer of this node waits for an answer."""

    node: str = ""
    killer_timeout_s: float = 60.0
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Pages:
    """What there is to be seen."""

    metrics: Callable[[], bytes]
    pulse: Pulse
    store: Store
    recent: Recent = field(default_factory=Recent)
    about: About = field(default_factory=About)
    ring: Path | None = None
    reports: Reports | None = None

    def answer(self, path: str, query: str = "") -> Answer:
        """Give status, content type and body of one path."""
        if path == "/metrics":
            return Answer(200, CONTENT_TYPE, self.metrics())
        if path == "/healthz":
            age_s = self.pulse.age_s
            return _state(age_s < HEARTBEAT_S, f"the loop's last heartbeat is {age_s:.1f} s old")
        if path == "/readyz":
            ready = self.pulse.ready
            return _state(ready, "samples are taken" if ready else "no sample was taken so far")
        if path == "/incidents":
            return _json({"schema": SCHEMA, "incidents": self.store.summaries()})
        if path.startswith("/incidents/"):
            found = self._of_incident(*path.removeprefix("/incidents/").partition("/")[::2])
            return found or _NO_PAGE
        if path == "/recorder.ring" and self.ring and self.ring.is_file():
            return Answer(200, _RING, b"", file=self.ring)
        if path == "/live":
            return _json({**asdict(self.about), **self.recent.since(number_asked(query))})
        return page() if path == "/" else _NO_PAGE

    def _of_incident(self, name: str, part: str) -> Answer | None:
        if part == "report":
            return self.reports.answer(name) if self.reports else None
        if part == "" and (found := self.store.document(name)) is not None:
            return Answer(200, _JSON, found)
        if part == "diagnosis" and (found := self.store.diagnosis(name)) is not None:
            return Answer(200, _PACKED, found)
        return None


def serve(settings: HttpSettings, pages: Answering) -> HttpServer | None:
    """Begin to serve as the configuration says; nothing when it names no port."""
    where = address(settings.listen) if settings.listen else None
    if where is None:
        return None
    tls = None
    if settings.tls_certificate:
        authority = Path(settings.client_authority) if settings.client_authority else None
        tls = Tls(Path(settings.tls_certificate), Path(settings.tls_key), authority)
    server = HttpServer(where, pages, tls)
    server.start()
    return server


def _state(good: bool, says: str) -> Answer:
    return Answer(200 if good else 503, _TEXT, f"{says}\n".encode())


def _json(document: object) -> Answer:
    return Answer(200, _JSON, json.dumps(document).encode() + b"\n")
