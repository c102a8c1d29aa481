"""The one port: metrics, health, and the incidents of this node as JSON. Nothing can be changed.

Health is the age of the loop's last heartbeat and nothing else: neither the API server nor a disk
can make the kubelet kill us while a node is in trouble.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Protocol
from urllib.parse import urlsplit

from agent.daemon.certificates import Renewing, Tls
from agent.daemon.config import HttpSettings
from agent.daemon.config_file import address
from agent.daemon.metrics import CONTENT_TYPE
from agent.daemon.store import Store
from agent.errors import UserError

HEARTBEAT_S = 30.0
_PATIENCE_S = 10.0
_MOST_AT_ONCE = 16
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
Answer = tuple[HTTPStatus, str, bytes]


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


class Answering(Protocol):
    """Whatever has pages."""

    def answer(self, path: str) -> Answer:
        """Give status, content type and body of one path."""


@dataclass(frozen=True, slots=True)
class Pages:
    """What there is to be seen."""

    metrics: Callable[[], bytes]
    pulse: Pulse
    store: Store

    def answer(self, path: str) -> Answer:
        """Give status, content type and body of one path."""
        if path == "/metrics":
            return HTTPStatus.OK, CONTENT_TYPE, self.metrics()
        if path == "/healthz":
            age_s = self.pulse.age_s
            return _state(age_s < HEARTBEAT_S, f"the loop's last heartbeat is {age_s:.1f} s old")
        if path == "/readyz":
            ready = self.pulse.ready
            return _state(ready, "samples are taken" if ready else "no sample was taken so far")
        if path == "/incidents":
            return HTTPStatus.OK, _JSON, _json({"incidents": self.store.summaries()})
        if path.startswith("/incidents/"):
            found = self.store.document(path.removeprefix("/incidents/"))
            if found is not None:
                return HTTPStatus.OK, _JSON, found
        if path == "/":
            words = b"knockon agent: /metrics /healthz /readyz /incidents /incidents/ID\n"
            return HTTPStatus.OK, _TEXT, words
        return HTTPStatus.NOT_FOUND, _TEXT, b"there is no such page\n"


class _Handler(BaseHTTPRequestHandler):
    """One connection, one question."""

    server: HttpServer
    server_version = "knockon"
    sys_version = ""
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        """Answer."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without a body."""
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        """A scrape is no news."""

    def _answer(self, *, body: bool) -> None:
        status, kind, said = self.server.pages.answer(urlsplit(self.path).path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Connection", "close")
        self.end_headers()
        if body:
            self.wfile.write(said)


class HttpServer(ThreadingHTTPServer):
    """Serves the pages on threads of its own, a bounded number at once."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], pages: Answering, tls: Tls | None = None) -> None:
        self.pages = pages
        self._certificates = Renewing(tls) if tls else None
        self._slots = threading.BoundedSemaphore(_MOST_AT_ONCE)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            what = f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}"
            raise UserError(what, "http.listen names another port") from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve from now on."""
        threading.Thread(target=self.serve_forever, args=(0.5,), name="http", daemon=True).start()

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Take a connection up, or drop it when too many are open."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Shake hands here, not where others wait to be accepted."""
        try:
            if self._certificates is not None and isinstance(request, socket.socket):
                request.settimeout(_PATIENCE_S)
                request = self._certificates.context().wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is no news."""


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


def _state(good: bool, says: str) -> tuple[HTTPStatus, str, bytes]:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, _TEXT, f"{says}\n".encode()


def _json(document: object) -> bytes:
    return json.dumps(document).encode() + b"\n"
