"""An API server for pods, nodes and events on a real socket, which fails as a script says.

``python -m tests.fake_api --port 8001`` serves plain HTTP until it is interrupted.
"""

from __future__ import annotations

import argparse
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from agent.kube.access import Access, Pem
from tests.fake_certs import Certs
from tests.fake_faults import Faults
from tests.fake_requests import Handler
from tests.fake_store import Store


class SimClock:
    """Time that passes only when somebody waits, or when an idle watch has run its course."""

    def __init__(self, start_s: float = 1_700_000_000.0) -> None:
        self._now_s, self._lock = start_s, threading.Lock()

    def now_s(self) -> float:
        with self._lock:
            return self._now_s

    def advance(self, by_s: float) -> None:
        with self._lock:
            self._now_s += by_s


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived."""

    verb: str
    resource: str
    path: str
    query: dict[str, str]


class FakeApi:
    """The server: start it with ``with``, script it through its attributes at any time."""

    def __init__(self, certs: Certs | None = None, clock: SimClock | None = None) -> None:
        self.store = Store()
        self.faults = Faults()
        self.seen: list[Seen] = []
        self.tokens: set[str] | None = None  # None: everybody is let in
        self.forbidden: set[tuple[str, str]] = set()  # verb and resource
        self.forbidden_everywhere: set[tuple[str, str]] = set()  # but allowed in a namespace
        self.clock = clock  # with one, an idle watch ends at once and its time has passed
        self.bookmark_every_s = 60.0
        self.open_watches: Counter[str] = Counter()
        self.most_watches: Counter[str] = Counter()  # open at the same time
        self.sent_bytes = self.received_bytes = 0  # of bodies
        self.stopping = threading.Event()
        self.certs = certs
        self.connections = 0  # ever opened
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self.port = 0

    def __enter__(self) -> Self:
        self.accept()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.refuse()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self.certs else 'http'}://127.0.0.1:{self.port}"

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """Requests so far by verb and resource."""
        return Counter((one.verb, one.resource) for one in tuple(self.seen))

    def access(self, token: str = "", *, with_certificate: bool = False) -> Access:
        """How a client of ours gets in."""
        if self.certs is None:
            return Access("127.0.0.1", self.port, tls=False)
        pair = self.certs.client if with_certificate else None
        return Access(
            host="127.0.0.1",
            port=self.port,
            token=token,
            authority=Pem(self.certs.authority),
            certificate=Pem(pair.certificate) if pair else None,
            key=Pem(pair.key) if pair else None,
        )

    def accept(self, port: int = 0) -> None:
        """Listen, on the same port as before if there was one."""
        self.stopping.clear()
        server = _Server(("127.0.0.1", port or self.port), self)
        self._server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def refuse(self) -> None:
        """Close everything: whoever comes now is refused."""
        self.stopping.set()
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
        with self.store.changed:
            self.store.changed.notify_all()
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def joined(self, connection: socket.socket) -> socket.socket:
        """Keep a connection in mind; with certificates it becomes a TLS one."""
        if self.certs is not None:
            connection = self._tls().wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        with self._lock:
            self._connections.add(connection)
            self.connections += 1
        return connection

    def left(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._lock:
            self._connections.discard(connection)

    def _tls(self) -> ssl.SSLContext:
        assert self.certs is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certs.server.certificate, self.certs.server.key)
        context.load_verify_locations(self.certs.authority)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def lets_in(self, authorization: str, connection: socket.socket) -> bool:
        """Whether a request is from somebody known: by token, or by certificate."""
        if self.tokens is None:
            return True
        if isinstance(connection, ssl.SSLSocket) and connection.getpeercert():
            return True
        return authorization.removeprefix("Bearer ") in self.tokens


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], api: FakeApi) -> None:
        self.api = api
        super().__init__(address, Handler)

    def get_request(self) -> tuple[socket.socket, object]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.api.joined(connection), address

    def shutdown_request(self, request: object) -> None:
        assert isinstance(request, socket.socket)
        self.api.left(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up, or failed the handshake, is no news."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; ``--load`` brings objects from files of JSON lists."""
    parser = argparse.ArgumentParser(prog="python -m tests.fake_api", description=__doc__)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--load", type=Path, action="append", default=[], metavar="FILE")
    options = parser.parse_args(argv)
    api = FakeApi()
    for path in options.load:
        from agent.model import BlindSpot
        from agent.sources.kubectl import kind_of, read_objects

        for thing in read_objects(path.read_bytes(), path.name):
            if not isinstance(thing, BlindSpot) and kind_of(thing):
                api.store.put(f"{kind_of(thing).lower()}s", thing)
    api.accept(options.port)
    sys.stdout.write(f"{api.url}\n")
    sys.stdout.flush()
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        api.refuse()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
