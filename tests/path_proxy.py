"""A proxy below a path, as the API server is one for pods: it strips its own part and asks on."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

PREFIX = "/api/v1/namespaces/knockon/pods/knockon-x7k2p:9479/proxy"


@dataclass(slots=True)
class PathProxy:
    """Where it is, and what was asked of it beside what it passes on."""

    url: str
    strays: list[str] = field(default_factory=list)


@contextmanager
def path_proxy(target: str) -> Iterator[PathProxy]:
    """Pass everything below PREFIX on to an address; remember what was asked elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == PREFIX:  # as the API server answers: relative addresses need the slash
                self.send_response(301)
                self.send_header("Location", f"{PREFIX}/")
                self.end_headers()
                return
            if not self.path.startswith(f"{PREFIX}/"):
                made.strays.append(self.path)
                self.send_error(404)
                return
            try:
                with urllib.request.urlopen(target + self.path.removeprefix(PREFIX)) as answer:
                    self._pass_on(answer.status, dict(answer.headers), answer.read())
            except urllib.error.HTTPError as error:
                self._pass_on(error.code, dict(error.headers), error.read())

        def _pass_on(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in ("connection", "server"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = PathProxy(f"http://127.0.0.1:{server.server_port}{PREFIX}")
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
