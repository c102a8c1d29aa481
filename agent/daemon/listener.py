"""Answers GET and HEAD on one port: each connection on a thread, a bounded number at once.

A connection is one question. The whole of it is less than what ``http.server`` imports (2 MiB with
``email``, ``html`` and ``mimetypes``), and nothing a client sends is more than a path to look up.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.daemon.certificates import Renewing, Tls
from agent.errors import UserError

PATIENCE_S = 10.0  # for a question, and for its answer to be taken
MOST_AT_ONCE = 16
_MOST_HEAD_BYTES = 64 << 10
_QUEUE = 32
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    414: "URI Too Long",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_TEXT = "text/plain; charset=utf-8"

_ALWAYS = {  # what a stranger wrote is data, wherever it is opened
    "Server": "knockon",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class Answer(NamedTuple):
    """Status, content type and body of one page, and headers of its own.

    A file instead of a body is sent as it lies there, without ever being in our memory.
    """

    status: int
    kind: str
    body: bytes
    headers: Mapping[str, str] = {}
    file: Path | None = None


class Answering(Protocol):
    """Whatever has pages."""

    def answer(self, path: str, query: str = "") -> Answer:
        """Give the page of a path, which is without its query."""


class HttpServer:
    """Listens from the moment it is made, and serves once it is started."""

    def __init__(
        self,
        address: tuple[str, int],
        pages: Answering,
        tls: Tls | None = None,
    ) -> None:
        self._pages = pages
        self._certificates = Renewing(tls) if tls else None
        self._slots = threading.BoundedSemaphore(MOST_AT_ONCE)
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        try:
            self._listening = socket.create_server(address, family=family, backlog=_QUEUE)
        except OSError as error:
            what = f"cannot listen on {address[0]}:{address[1]}: {error.strerror or error}"
            raise UserError(what, "http.listen names another port") from error

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._listening.getsockname()[1])

    def start(self) -> None:
        """Serve from now on."""
        threading.Thread(target=self._accept, name="http", daemon=True).start()

    def close(self) -> None:
        """Listen no more; who is being answered is answered."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # ends the wait for the next one
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                if self._listening.fileno() < 0 or not _listens(self._listening):
                    return
                continue  # a client that hung up meanwhile, or no descriptor left
            if not self._slots.acquire(blocking=False):
                sock.close()
                continue
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.settimeout(PATIENCE_S)
            if self._certificates is not None:  # here, and not where others wait to be accepted
                sock = self._certificates.context().wrap_socket(sock, server_side=True)
            self._answer(_head(sock), sock)
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
                sock.recv(_MOST_HEAD_BYTES)  # else a reset may overtake the answer
        except OSError:
            pass  # a client that hung up is no news
        finally:
            sock.close()
            self._slots.release()

    def _answer(self, head: bytes, sock: socket.socket) -> None:
        words = head.split(maxsplit=1)
        with_body = bool(words) and words[0] != b"HEAD"
        answer = self._page(head)
        if answer.file is None:
            sock.sendall(_top(answer, len(answer.body)) + (answer.body if with_body else b""))
            return
        with answer.file.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            sock.sendall(_top(answer, size))
            if with_body:
                sock.sendfile(file, 0, size)

    def _page(self, head: bytes) -> Answer:
        first, ended, _ = head.partition(b"\n")
        words = first.decode("latin-1").split()
        if not ended and len(head) >= _MOST_HEAD_BYTES:
            return Answer(414, _TEXT, b"that is no path of ours\n")
        if len(words) != 3 or not words[2].startswith("HTTP/"):
            return Answer(400, _TEXT, b"that is no question\n")
        if words[0] not in ("GET", "HEAD"):
            return Answer(501, _TEXT, b"nothing can be changed here\n")
        path, _, query = words[1].partition("?")
        return self._pages.answer(path, query)


def _listens(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


def _head(sock: socket.socket) -> bytes:
    """Everything up to the empty line, or as much of it as anybody has a right to send."""
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data and len(data) < _MOST_HEAD_BYTES:
        piece = sock.recv(4096)
        if not piece:
            break
        data += piece
    return data


def _top(answer: Answer, length: int) -> bytes:
    about = {"Content-Type": answer.kind, "Content-Length": length}
    headers = {**about, **_ALWAYS, **answer.headers}
    lines = [f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode()
