"""The replication connection, through `psycopg.pq`, and the ways out of it.

A client that dies lets the server read on with nobody to slow it, up to the end of a 1 GB segment.
So every way out of here cancels (`cancel`) *before* the socket closes, and drains nothing
afterwards: what was cancelled goes on at full speed for as long as somebody takes what it sends.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import Error as PgError
from psycopg import pq

from backup.abort import Abort
from backup.exits import Failure
from backup.postgres import refusals
from backup.postgres.cancel import Cancel
from backup.postgres.conninfo import conninfo
from backup.sensors.cpu_wait import cpu_wait_s

_TICK_S = 1.0
_END_PATIENCE_S = 5.0
_CONNECT_PATIENCE_S = 15.0
# What the kernels hold for us is read from the disk however hard we brake: 4-8 MB over TCP unless
# bounded. The kernel doubles this; 400 kB are enough for 200 MB/s at 2 ms.
_RECEIVE_BUFFER_BYTES = 200_000
_SESSION = {
    "replication": "true",
    "application_name": "knockon",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # what was sent and never acknowledged stops keepalives
}


@dataclass(frozen=True, slots=True)
class System:
    """Who the server is."""

    identifier: str
    timeline: int
    lsn: str


class Session:
    """One replication connection; leave it by ``close``, whatever happened."""

    def __init__(self, pg: pq.abc.PGconn, abort: Abort) -> None:
        self._pg = pg
        self._abort = abort
        self._idle = True
        self._waited_s = 0.0
        self._waiting_since_s: float | None = None
        self._cancel = Cancel(pg)
        self.pid = pg.backend_pid
        self.server_version = pg.server_version

    @classmethod
    def connect(cls, dsn: str, abort: Abort) -> Session:
        """Connect, or say in one line why not."""
        pg = pq.PGconn.connect_start(conninfo(dsn, _SESSION))
        try:
            _await(pg, abort)
        except Failure:
            pg.finish()
            raise
        pg.nonblocking = 1
        _bound_receive_buffer(pg.socket)
        return cls(pg, abort)

    @property
    def user(self) -> str:
        """The role we are."""
        return _text(self._pg.user)

    @property
    def host(self) -> str:
        """The host or socket folder we are connected to."""
        return _text(self._pg.host)

    @property
    def fileno(self) -> int:
        """The socket, to wait for."""
        return self._pg.socket

    @property
    def in_recovery(self) -> bool:
        """Is this a standby? Servers before 14 do not say so here."""
        return self._pg.parameter_status(b"in_hot_standby") == b"on"

    def show(self, name: str) -> str | None:
        """Return a setting, or None where this role or version has none."""
        try:
            return self.rows(f"SHOW {name}")[0][0]
        except Failure:
            return None

    def identify(self) -> System:
        """Ask who the server is."""
        row = self.rows("IDENTIFY_SYSTEM")[0]
        return System(row[0], int(row[1]), row[2])

    def rows(self, command: str) -> list[list[str]]:
        """Run a command that answers with one table, or with none."""
        self.send(command)
        found = self.table()
        self.settle()
        return found

    def send(self, command: str) -> None:
        """Send a command and no more."""
        self._abort.check()
        self._idle = False
        try:
            self._pg.send_query(command.encode())
            while self._pg.flush():
                self.wait()
        except PgError as error:
            raise self._lost(error) from None

    def table(self) -> list[list[str]]:
        """Return the next table of an answer that has several parts."""
        return _table(self._must())

    def settle(self) -> None:
        """Read an answer to its end; an error that the server kept for the end is raised here."""
        while (result := self._result()) is not None:
            _table(result)
        self._idle = True

    def copy(self) -> Iterator[bytes]:
        """Yield the messages of a copy; the next one is read only when it is asked for."""
        self.begin_copy()
        while (raw := self.receive()) is not None:
            if raw:
                yield raw
                self._abort.check()
            else:
                self._wait_for_data()

    def waited_s(self) -> float:
        """Return for how long a copy has waited for the server so far; from any thread."""
        since_s = self._waiting_since_s
        return self._waited_s + (time.monotonic() - since_s if since_s is not None else 0.0)

    def _wait_for_data(self) -> None:
        since_s = self._waiting_since_s = time.monotonic()
        excused_s = cpu_wait_s()
        try:
            self.wait()
        finally:
            self._waiting_since_s = None
            waited_s = time.monotonic() - since_s - (cpu_wait_s() - excused_s)
            self._waited_s += max(0.0, waited_s)

    def begin_copy(self) -> None:
        """Expect that a copy begins, in either direction."""
        result = self._must()
        if result.status not in (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH):
            raise strange(f"a copy was due, {pq.ExecStatus(result.status).name} came")

    def receive(self) -> bytes | None:
        """Return the next message of a copy without waiting: b'' none yet, None the copy ended."""
        try:
            size, data = self._pg.get_copy_data(1)
            if size == 0:
                self._pg.consume_input()
                size, data = self._pg.get_copy_data(1)
        except PgError as error:
            raise self._lost(error) from None
        return None if size < 0 else bytes(data) if size else b""

    def put(self, message: bytes) -> None:
        """Send a message within a copy."""
        try:
            self._pg.put_copy_data(message)
            while self._pg.flush():
                time.sleep(0.01)
        except PgError as error:
            raise self._lost(error) from None

    def end_copy(self) -> None:
        """Leave a copy from our side, and read the server's last words about it."""
        try:
            self._pg.put_copy_end(None)
            while self._pg.flush():
                time.sleep(0.01)
        except PgError as error:
            raise self._lost(error) from None
        until_s = time.monotonic() + _END_PATIENCE_S
        while self.receive() is not None and time.monotonic() < until_s:
            self.wait(0.1)
        self._drain_quietly()

    def wait(self, patience_s: float = _TICK_S) -> bool:
        """Wait until the socket has something; raises when the run is to stop."""
        return self._abort.wait_ready(self._pg.socket, patience_s)

    def cancel(self) -> None:
        """Tell the server to stop; from any thread. Over a unix socket it stops at ``close``."""
        if not self._idle:
            self._cancel.pull()

    def close(self) -> None:
        """Leave nothing running: cancel first, unless there is nothing to cancel."""
        if self._pg.status == pq.ConnStatus.OK:
            self.cancel()
        self._cancel.retire()
        self._pg.finish()

    def _must(self) -> pq.abc.PGresult:
        result = self._result()
        if result is None:
            raise strange("the answer ended early")
        return result

    def _result(self) -> pq.abc.PGresult | None:
        try:
            while self._pg.is_busy():
                self.wait()
                self._pg.consume_input()
            result = self._pg.get_result()
        except PgError as error:
            raise self._lost(error) from None
        if result is not None and result.status == pq.ExecStatus.FATAL_ERROR:
            text = _text(result.error_message)
            self._drain_quietly()
            raise refusals.running(text)
        return result

    def _drain_quietly(self) -> None:
        """After an error the server is idle: read its last words, so that no cancel is sent."""
        with contextlib.suppress(PgError):
            while True:
                while self._pg.is_busy():
                    self.wait()
                    self._pg.consume_input()
                if self._pg.get_result() is None:
                    break
        self._idle = True

    def _lost(self, error: PgError) -> Failure:
        return self._abort.asked or refusals.running(str(error))


def _await(pg: pq.abc.PGconn, abort: Abort) -> None:
    """Wait for the connection ourselves: libpq's own waiting can neither be stopped nor shared."""
    until_s = time.monotonic() + _CONNECT_PATIENCE_S
    wants: int = pq.PollingStatus.WRITING
    while pg.status != pq.ConnStatus.BAD and wants != pq.PollingStatus.OK:
        abort.wait_ready(pg.socket, 0.25, writing=wants == pq.PollingStatus.WRITING)
        wants = pg.connect_poll()
        if wants == pq.PollingStatus.FAILED:
            break
        if time.monotonic() > until_s:
            raise refusals.connecting(f"{_text(pg.error_message)} timeout expired")
    if pg.status != pq.ConnStatus.OK:
        raise refusals.connecting(_text(pg.error_message))


def _bound_receive_buffer(socket_fd: int) -> None:
    with contextlib.suppress(OSError):
        duplicate = socket.socket(fileno=socket.dup(socket_fd))
        try:
            duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        finally:
            duplicate.close()


def _table(result: pq.abc.PGresult) -> list[list[str]]:
    if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
        raise strange(f"a table was due, {pq.ExecStatus(result.status).name} came")
    return [
        [_text(result.get_value(row, column) or b"") for column in range(result.nfields)]
        for row in range(result.ntuples)
    ]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def strange(what: str) -> Failure:
    """Return the failure for an answer that is not what the protocol says."""
    return Failure(
        f"the server does not speak the replication protocol as known: {what}",
        "is there a pooler (pgbouncer) in between? connect to Postgres itself",
    )
