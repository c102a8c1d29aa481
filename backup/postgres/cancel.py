"""Cancelling what a server does for us, from any thread, and not waiting for ever for it."""

from __future__ import annotations

import contextlib
import threading
import time

from psycopg import Error as PgError
from psycopg import NotSupportedError, pq

_PATIENCE_S = 5.0


class Cancel:
    """The cancel key, taken while the connection is well; usable from another thread."""

    def __init__(self, pg: pq.abc.PGconn) -> None:
        self._pulled = False
        self._lock = threading.Lock()  # who comes second waits: nobody may close before it is sent
        self._plain = pg.get_cancel()
        self._modern: pq.abc.PGcancelConn | None = None
        with contextlib.suppress(NotSupportedError):  # libpq before 17
            self._modern = pg.cancel_conn()

    def pull(self) -> None:
        """Send the cancel, once; returns when the server has taken it."""
        with self._lock:
            if self._pulled:
                return
            self._pulled = True
            with contextlib.suppress(PgError):  # gone already, or the network is: MAX_RATE remains
                if self._modern is None:
                    self._plain.cancel()
                else:
                    _pull_within(self._modern, _PATIENCE_S)


def _pull_within(cancel: pq.abc.PGcancelConn, patience_s: float) -> None:
    """Cancel over the connection's own kind of transport, TLS included, and not for ever."""
    until_s = time.monotonic() + patience_s
    cancel.start()
    pause_s = 0.0005
    while cancel.poll() not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
        if time.monotonic() > until_s:
            return
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.02)
