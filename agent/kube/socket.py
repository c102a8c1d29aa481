"""Sockets whose reads end in time, also when the other side drips or has vanished."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable

from agent.kube.access import Access
from agent.kube.tls import tls_context

PIECE_BYTES = 64 << 10
# A peer that vanished without a word is noticed by the kernel: 30 s + 4 times 10 s.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 4))


class Patience:
    """How long a read may take: until a deadline that slow drops do not move, or each read anew."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._each_s: float | None = None
        self._until_s = 0.0

    def whole(self, for_s: float) -> None:
        """All reads together may last this long from now."""
        self._each_s, self._until_s = None, self._clock() + for_s

    def each(self, for_s: float) -> None:
        """Each read may last this long."""
        self._each_s = for_s

    def left_s(self) -> float:
        """Seconds the next read may take; ``TimeoutError`` when there are none left."""
        left_s = self._each_s if self._each_s is not None else self._until_s - self._clock()
        if left_s <= 0:
            raise TimeoutError("the answer took too long")
        return left_s


class PatientFile(io.RawIOBase):
    """The reading end of a socket that asks before each read how long it may take."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock, self._patience = sock, patience
        self._file = sock.makefile("rb", buffering=0)  # keeps the socket open until it is closed

    def readable(self) -> bool:
        """Yes: that is what it is for."""
        return True

    def readinto(self, buffer: object) -> int | None:
        """Read once, for no longer than patience lasts."""
        self._sock.settimeout(self._patience.left_s())
        return self._file.readinto(buffer)  # type: ignore[arg-type]

    def close(self) -> None:
        """Let go of the socket, whoever else still holds it."""
        self._file.close()
        super().close()


def _plain(host: str) -> str | bytes:
    """Bytes where they do: for text Python loads IDNA and all of Unicode, 0.3 MiB a node."""
    return host.encode() if host.isascii() else host


def connected(access: Access, timeout_s: float) -> socket.socket:
    """A socket to the API server, TLS done and the server's name proven."""
    where: tuple[str, int] = (_plain(access.host), access.port)  # type: ignore[assignment]
    sock = socket.create_connection(where, timeout_s)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        if access.tls:
            name = _plain(access.server_name or access.host)
            sock = tls_context(access).wrap_socket(sock, server_hostname=name)
    except BaseException:
        sock.close()
        raise
    return sock
