"""A real Prometheus, Alertmanager and node_exporter on loopback, and who listens to them."""

from __future__ import annotations

import json
import shutil
import smtplib
import socket
import socketserver
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

PATIENCE_S = 90.0
HOST = "127.0.0.1"


def program(*names: str) -> str:
    """Return the first of these that is installed; skip the test when none is."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.skip(
        f"{names[0]} is not installed "
        "(apt: prometheus, prometheus-alertmanager, prometheus-node-exporter)"
    )


def free_port() -> int:
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running(*command: str, log: Path) -> Iterator[None]:
    """Run a program while in this block; it ends with us, also when we are killed."""
    guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with log.open("wb") as output:
        process = subprocess.Popen([*guard, *command], stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def watchers(
    programs: tuple[str, str], ports: tuple[int, int], folder: Path, made: Path
) -> list[list[str]]:
    """How Alertmanager and Prometheus are started, on what is configured in ``made``."""
    prometheus, alertmanager = programs
    return [
        [
            alertmanager,
            f"--config.file={made / 'alertmanager.yaml'}",
            f"--storage.path={folder / 'am'}",
            "--cluster.listen-address=",
            f"--web.listen-address={HOST}:{ports[1]}",
        ],
        [
            prometheus,
            f"--config.file={made / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={HOST}:{ports[0]}",
        ],
    ]


def ask(url: str) -> Any:
    """Return the JSON at an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def eventually(what: Callable[[], Any], why: str) -> Any:
    """Return what becomes true within our patience."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if found := what():
                return found
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.2)
    pytest.fail(f"never happened: {why}")


@dataclass(slots=True)
class Desk:
    """Serves metric pages, and receives what Alertmanager sends to Slack."""

    pages: dict[str, Callable[[], bytes]] = field(default_factory=dict)
    received: list[dict[str, Any]] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)
    port: int = 0
    smtp_port: int = 0

    def messages(self, title: str) -> list[dict[str, Any]]:
        """Return the Slack attachments whose title begins so."""
        shown = [one["attachments"][0] | {"channel": one["channel"]} for one in self.received]
        return [one for one in shown if one["title"].startswith(title)]


@contextmanager
def desk() -> Iterator[Desk]:
    """Open the desk on loopback."""
    mine = Desk()
    web = ThreadingHTTPServer((HOST, 0), _web(mine))
    mail = socketserver.ThreadingTCPServer((HOST, 0), _smtp(mine))
    web.daemon_threads = mail.daemon_threads = True
    mine.port, mine.smtp_port = web.server_address[1], mail.server_address[1]
    threads = [Thread(target=one.serve_forever, daemon=True) for one in (web, mail)]
    try:
        for thread in threads:
            thread.start()
        yield mine
    finally:
        for server in (web, mail):
            server.shutdown()
            server.server_close()


def _web(mine: Desk) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = mine.pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.end_headers()
            self.wfile.write(page() if page else b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            mine.received.append(json.loads(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _smtp(mine: Desk) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        """As much of RFC 5321 as Alertmanager speaks."""

        def handle(self) -> None:
            self.say("220 desk")
            for line in self.rfile:
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.say("354 go on")
                    self.take()
                    self.say("250 taken")
                elif verb == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}{smtplib.CRLF}".encode())

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line.removeprefix(b".").decode("utf-8", "replace"))
            mine.mails.append(message_from_string("".join(lines)))

    return Handler


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running Prometheus."""

    url: str

    def instant(self, query: str) -> list[Any]:
        """Return what a query gives now."""
        asked = urllib.parse.urlencode({"query": query})
        result: list[Any] = ask(f"{self.url}/api/v1/query?{asked}")["data"]["result"]
        return result

    def span(self, query: str, seconds: float = 60.0) -> list[Any]:
        """Return what a query gave in the last seconds."""
        now_s = time.time()
        asked = urllib.parse.urlencode(
            {"query": query, "start": now_s - seconds, "end": now_s, "step": "1s"}
        )
        result: list[Any] = ask(f"{self.url}/api/v1/query_range?{asked}")["data"]["result"]
        return result
