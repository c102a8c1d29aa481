"""One keep-alive connection to the API server: a request, or a stream of lines. Retries nothing.

What the server or the network refuses is a value (``Refusal``), not an exception; only while a
body is being read may ``Broken`` carry one upwards.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote, urlencode

from agent.kube.access import Access
from agent.kube.answers import Broken, Call, Refusal, Trouble, network_refusal, refusal_of
from agent.kube.exchange import Answer, Exchange
from agent.kube.socket import PIECE_BYTES, Patience, connected

MAX_BODY_BYTES = 32 << 20
MAX_LINE_BYTES = 8 << 20  # etcd takes 1.5 MiB an object; JSON escapes may triple that
_MAX_ERROR_BYTES = 64 << 10
_CONNECT_S = 10.0
_METHODS = {"list": "GET", "get": "GET", "watch": "GET", "create": "POST", "update": "PUT"}


class Incoming:
    """The body of a 2xx answer, as it comes in."""

    def __init__(self, response: Answer, drop: Callable[[], None]) -> None:
        self._response, self._drop = response, drop

    def pieces(self, most_bytes: int | None = MAX_BODY_BYTES) -> Iterator[bytes]:
        """Yield the body in pieces; an unfinished body costs the connection."""
        size, whole_body = 0, False
        try:
            while piece := self._response.read(PIECE_BYTES):
                size += len(piece)
                if most_bytes is not None and size > most_bytes:
                    raise Broken(Refusal(Trouble.TOO_LARGE, f"more than {most_bytes} bytes"))
                yield piece
            whole_body = True
        except (OSError, ValueError) as error:
            raise Broken(network_refusal(error)) from error
        finally:
            if not whole_body:
                self._drop()

    def lines(self, longest_bytes: int = MAX_LINE_BYTES) -> Iterator[bytes]:
        """Yield whole lines of an endless body; half a line at the end is ``Broken``."""
        held: list[bytes] = []
        held_bytes = 0
        for piece in self.pieces(most_bytes=None):
            *ended, rest = piece.split(b"\n")
            for line in ended:
                yield b"".join((*held, line)) if held else line
                held, held_bytes = [], 0
            if rest:
                held.append(rest)
                held_bytes += len(rest)
            if held_bytes > longest_bytes:
                raise Broken(Refusal(Trouble.TOO_LARGE, f"a line beyond {longest_bytes} bytes"))
        if held:
            raise Broken(Refusal(Trouble.TORN, "the stream ended within a line"))

    def whole(self, most_bytes: int = MAX_BODY_BYTES) -> bytes:
        """Return the body in one piece."""
        return b"".join(self.pieces(most_bytes))


class Api:
    """One connection to one API server, used by one thread at a time."""

    def __init__(self, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self._access = access
        self._patience = Patience(clock)
        self._link: Exchange | None = None
        self._socket: socket.socket | None = None

    def request(self, call: Call, deadline_s: float = 30.0) -> Mapping[str, object] | Refusal:
        """Ask and read the whole answer, all of it before the deadline."""
        answer = self.open(call, deadline_s)
        if isinstance(answer, Refusal):
            return answer
        try:
            document = json.loads(answer.whole())
        except Broken as broken:
            return broken.refusal
        except (ValueError, RecursionError) as error:
            return Refusal(Trouble.TORN, f"the answer is not JSON: {error}")
        if not isinstance(document, Mapping):
            return Refusal(Trouble.TORN, "the answer is no object")
        return document

    def open(
        self, call: Call, deadline_s: float, silent_s: float | None = None
    ) -> Incoming | Refusal:
        """Ask; with ``silent_s`` the deadline ends with the headers, then no read may last longer.

        An idle connection that the server closed meanwhile is opened anew, once: every call here
        may be made twice (reads, creations under a name, and changes of a version, of which only
        one can succeed).
        """
        self._patience.whole(deadline_s)
        try:
            response = self._ask_again_if_stale(call)
        except (OSError, ValueError) as error:
            self.close()
            return network_refusal(error)
        if silent_s is not None:
            self._patience.each(silent_s)
        if 200 <= response.status < 300:
            return Incoming(response, self.close)
        return self._refused(response)

    def close(self) -> None:
        """Let go of the connection; the next call opens another."""
        link, self._link, self._socket = self._link, None, None
        if link is not None:
            link.close()

    def interrupt(self) -> None:
        """End whatever read another thread waits in; the only call allowed from outside."""
        sock = self._socket
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _ask_again_if_stale(self, call: Call) -> Answer:
        if self._link is not None and self._link.usable:
            with suppress(ConnectionError, ssl.SSLEOFError):
                return self._ask(self._link, call)
        self.close()
        self._link = self._connected()
        return self._ask(self._link, call)

    def _connected(self) -> Exchange:
        access = self._access
        self._socket = connected(access, min(_CONNECT_S, self._patience.left_s()))
        return Exchange(self._socket, self._patience)

    def _ask(self, link: Exchange, call: Call) -> Answer:
        target = self._access.prefix + quote(call.path)
        if call.query:
            target += "?" + urlencode(call.query)
        host = f"[{self._access.host}]" if ":" in self._access.host else self._access.host
        headers = {"Host": f"{host}:{self._access.port}"}
        headers |= {"Accept": call.accept, "User-Agent": "knockon"}
        token = self._access.bearer()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if call.body:
            headers["Content-Type"] = "application/json"
        return link.ask(_METHODS[call.verb], target, headers, call.body)

    def _refused(self, response: Answer) -> Refusal:
        try:
            body = Incoming(response, self.close).whole(_MAX_ERROR_BYTES)
        except Broken:
            body = b""
        return refusal_of(response.status, body, response.headers.get("retry-after", ""))
