"""Cancelling what a server does for us, from any thread, and not waiting for ever for it.

The loop that sends a base backup looks at no cancel; the server looks at one only when it reports
that a write failed, and each kind of failure in a row it reports once. Hence two ways. Over a unix
socket all failures are alike (EPIPE): the cancel must be there before the first, so it is sent, and
then the socket is closed. Over TCP a reset gives two kinds (ECONNRESET, then EPIPE), and the second
report already finds the connection lost: no cancel is that quick, and none must come first, since
the server fills its send buffer meanwhile, over loopback with up to 2 MB. The cancel still follows,
for whoever stands in between and makes an orderly end of our reset.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import threading
import time

from psycopg import Error as PgError
from psycopg import NotSupportedError, pq

_PATIENCE_S = 5.0


class Cancel:
    """The cancel key, taken while the connection is well; usable from another thread."""

    def __init__(self, pg: pq.abc.PGconn) -> None:
        self._over = False
        self._lock = threading.Lock()  # who comes second waits: nobody may close before it is sent
        # Our own descriptor: libpq closes its own on an error, and the number goes to the next.
        self._socket = socket.socket(fileno=socket.dup(pg.socket))
        self._plain = pg.get_cancel()
        self._modern: pq.abc.PGcancelConn | None = None
        with contextlib.suppress(NotSupportedError):  # libpq before 17
            self._modern = pg.cancel_conn()

    def pull(self) -> None:
        """Hang up where that helps, and send the cancel, once; returns when it was taken."""
        with self._lock:
            if self._over:
                return
            self._over = True
            _hang_up(self._socket)
            with contextlib.suppress(PgError):  # gone already, or the network is: MAX_RATE remains
                if self._modern is None:
                    self._plain.cancel()
                else:
                    _pull_within(self._modern, _PATIENCE_S)

    def retire(self) -> None:
        """Let go of the connection, which is about to end; nothing is cancelled any more."""
        with self._lock:
            self._over = True
            self._socket.close()


def _hang_up(connection: socket.socket) -> None:
    """Reset a TCP connection at once; whoever else holds it sees it end. Others stay as they are.

    ``connect(2)`` to no address dissolves the association.
    """
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        nowhere = struct.pack("=H14x", socket.AF_UNSPEC)
        ctypes.CDLL(None).connect(connection.fileno(), nowhere, len(nowhere))


def _pull_within(cancel: pq.abc.PGcancelConn, patience_s: float) -> None:
    """Cancel over the connection's own kind of transport, TLS included, and not for ever.

    libpq waits for ever where it is asked to go on before the socket is ready: a cut network.
    """
    until_s = time.monotonic() + patience_s
    cancel.start()
    wants: int = pq.PollingStatus.WRITING
    while wants not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
        poller = select.poll()  # the socket is another one for each address that is tried
        poller.register(
            cancel.socket, select.POLLOUT if wants == pq.PollingStatus.WRITING else select.POLLIN
        )
        if not poller.poll(max(0.0, until_s - time.monotonic()) * 1000):
            return
        wants = cancel.poll()
