"""Runtimes behind a unix socket that answer as told: at once, late, half, nonsense, or never."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

Talk = Callable[[socket.socket, threading.Event], None]
CONTAINERS = b'[{"Id":"abc","Names":["/web"]}]'


@contextlib.contextmanager
def runtime(path: Path, talk: Talk) -> Iterator[threading.Event]:
    """Serve ``talk`` on a socket; the event ends every conversation."""
    end = threading.Event()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(8)
    server.settimeout(0.05)
    threads: list[threading.Thread] = []

    def serve() -> None:
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                caller, _ = server.accept()
                thread = threading.Thread(target=_converse, args=(caller, talk, end))
                thread.start()
                threads.append(thread)

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        yield end
    finally:
        end.set()
        serving.join()
        for thread in threads:
            thread.join()
        server.close()


def _converse(caller: socket.socket, talk: Talk, end: threading.Event) -> None:
    with caller, contextlib.suppress(OSError):
        talk(caller, end)


def http(answer: bytes) -> Talk:
    """Read a request, send these bytes, hang up."""

    def talk(caller: socket.socket, _: threading.Event) -> None:
        caller.recv(4096)
        caller.sendall(answer)

    return talk


def drop_by_drop(answer: bytes, pause_s: float) -> Talk:
    """Send one byte after another, with a pause after each."""

    def talk(caller: socket.socket, end: threading.Event) -> None:
        caller.recv(4096)
        for byte in answer:
            if end.wait(pause_s):
                return
            caller.sendall(bytes((byte,)))

    return talk


def silent(caller: socket.socket, end: threading.Event) -> None:
    """Take the question and never answer."""
    caller.recv(4096)
    end.wait(30)


def late(answer: bytes, after_s: float) -> Talk:
    """Read a request, think, send these bytes."""

    def talk(caller: socket.socket, end: threading.Event) -> None:
        caller.recv(4096)
        if not end.wait(after_s):
            caller.sendall(answer)

    return talk


def plain(status: str = "200 OK", body: bytes = CONTAINERS) -> bytes:
    """An answer with a length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    """An answer in chunks, as dockerd sends a long list."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))


def cri(versions: tuple[str, ...] = ("v1",), status: str = "0", body_bytes: int = 300_000) -> Talk:
    """A CRI runtime that knows these API versions; a long list needs flow control."""

    def talk(caller: socket.socket, end: threading.Event) -> None:
        connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        caller.sendall(connection.data_to_send())
        caller.settimeout(0.05)
        path, left = "", 0
        while not end.is_set():
            with contextlib.suppress(TimeoutError):
                data = caller.recv(65536)
                if not data:
                    return
                for event in connection.receive_data(data):
                    if isinstance(event, RequestReceived):
                        path = str(dict(event.headers).get(":path"))  # type: ignore[call-overload]
                    elif isinstance(event, StreamEnded):
                        known = any(f"runtime.{version}." in path for version in versions)
                        left = body_bytes if known else 0
                        _begin(connection, known)
                        if not known:
                            _end(connection, "12")
            if left:
                left = _more(connection, left)
                if not left:
                    _end(connection, status)
            caller.sendall(connection.data_to_send())

    return talk


def _begin(connection: H2Connection, known: bool) -> None:
    headers = [(":status", "200"), ("content-type", "application/grpc")]
    connection.send_headers(1, headers)
    if known:
        connection.send_data(1, b"")


def _more(connection: H2Connection, left: int) -> int:
    while left:
        size = min(
            left, connection.local_flow_control_window(1), connection.max_outbound_frame_size
        )
        if size <= 0:
            return left
        connection.send_data(1, b"x" * size)
        left -= size
    return 0


def _end(connection: H2Connection, status: str) -> None:
    connection.send_headers(1, [("grpc-status", status)], end_stream=True)
