"""HTTP/1.1 as an API server speaks it: a request out, a head and a body in, over one socket.

``http.client`` reads headers with the ``email`` package, 1.1 MiB on every node; what is needed here
is a status, a few headers and the three ways in which a body can end.
"""

from __future__ import annotations

import io
import socket
from enum import IntEnum
from typing import TYPE_CHECKING

from agent.kube.socket import PIECE_BYTES, Patience, PatientFile

_LONGEST_LINE_BYTES = 64 << 10
_MOST_HEADERS = 100
_HEX = frozenset(b"0123456789abcdefABCDEF")

if TYPE_CHECKING:
    Input = io.BufferedReader[PatientFile]


class NotHttp(ValueError):
    """What came is not what the protocol says, or ended in the middle."""


class HungUp(ConnectionError):
    """The other side closed before it said a word: an idle connection that had run out."""


class Exchange:
    """A connection, and whose turn it is."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock, self._patience = sock, patience
        self.input = io.BufferedReader(PatientFile(sock, patience), PIECE_BYTES)
        self.usable = True  # no answer is outstanding, and the other side wants to go on

    def ask(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send one request and read the head of its answer."""
        if body:
            headers = {**headers, "Content-Length": str(len(body))}
        lines = [f"{method} {target} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
        if not all(line.isprintable() and line.isascii() for line in lines):
            raise ValueError("a request that would hold control characters is not sent")
        self.usable = False
        self._sock.settimeout(self._patience.left_s())
        self._sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return Answer(self)

    def close(self) -> None:
        """Let go of the socket."""
        self.usable = False
        self.input.close()
        self._sock.close()


class Body(IntEnum):
    """How a body says where it ends."""

    READ = 0  # to its end
    LENGTH = 1
    CHUNKS = 2
    CLOSE = 3  # with the connection


class Answer:
    """One answer: its head is read when it is made, its body by ``read``."""

    def __init__(self, link: Exchange) -> None:
        self._link = link
        version, self.status = "", 100
        while self.status == 100:  # "go on", before the answer proper
            version, self.status = _status(link.input)
            self.headers = _headers(link.input)
        asked_to_close = self.headers.get("connection", "").lower() == "close"
        self._keep = version == "HTTP/1.1" and not asked_to_close
        self._body, self._left = _body(self.headers, self.status)
        self._in_chunks = False
        if self._body is Body.LENGTH and not self._left:
            self._end()

    def read(self, most_bytes: int) -> bytes:
        """What has come of the body; empty at its end, ``NotHttp`` where it was torn off."""
        if self._body is Body.CHUNKS and not self._left:
            self._next_chunk()
        if self._body is Body.READ:
            return b""
        if self._body is Body.CLOSE:
            return self._link.input.read1(most_bytes)
        piece = self._link.input.read1(min(most_bytes, self._left))
        if not piece:
            raise NotHttp("the connection closed within the body")
        self._left -= len(piece)
        if self._body is Body.LENGTH and not self._left:
            self._end()
        return piece

    def _next_chunk(self) -> None:
        source = self._link.input
        if self._in_chunks and _line(source):
            raise NotHttp("a chunk is longer than it said")
        self._in_chunks = True
        size = _line(source).partition(b";")[0].strip()
        if not _HEX.issuperset(size) or not 0 < len(size) <= 8:
            raise NotHttp("a chunk has no size")
        self._left = int(size, 16)
        if not self._left:
            _headers(source)  # trailers
            self._end()

    def _end(self) -> None:
        """The body is whole: the connection may serve again."""
        self._body = Body.READ
        self._link.usable = self._keep


def _status(source: Input) -> tuple[str, int]:
    line = _line(source, first=True).decode("latin-1")
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit()):
        raise NotHttp(f"not HTTP: {line[:40]!r}")
    return version, int(code)


def _headers(source: Input) -> dict[str, str]:
    """Names in lower case; the lines up to the empty one."""
    found: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = _line(source)
        if not line:
            return found
        name, _, value = line.decode("latin-1").partition(":")
        found[name.strip().lower()] = value.strip()
    raise NotHttp("too many headers")


def _body(headers: dict[str, str], status: int) -> tuple[Body, int]:
    """How the body ends, and its length where that is known."""
    if status in (204, 304):
        return Body.LENGTH, 0
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Body.CHUNKS, 0
    said = headers.get("content-length")
    if said is None:
        return Body.CLOSE, 0
    if not (said.isascii() and said.isdigit() and len(said) < 16):
        raise NotHttp(f"a length of {said[:20]!r}")
    return Body.LENGTH, int(said)


def _line(source: Input, *, first: bool = False) -> bytes:
    line = source.readline(_LONGEST_LINE_BYTES)
    if not line.endswith(b"\n"):
        if first and not line:
            raise HungUp("the API server hung up before it answered")
        raise NotHttp("a line is too long" if line[_LONGEST_LINE_BYTES - 1 :] else "cut short")
    return line.rstrip(b"\r\n")
