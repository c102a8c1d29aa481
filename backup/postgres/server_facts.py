"""What a Postgres server says about itself that decides which levers bite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

_CONNECT_S = "5"
_SETTINGS = ("wal_sender_timeout", "tcp_user_timeout")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The timeouts that a stopped client can run into, or why they are not known."""

    wal_sender_timeout_s: float = 0.0
    tcp_user_timeout_s: float = 0.0
    over_unix_socket: bool = False
    trouble: str = ""


Ask = Callable[[str], ServerFacts]


def ask(dsn: str) -> ServerFacts:
    """Ask the server; every failure is an answer, because a doctor has to go on."""
    try:
        import psycopg
    except ImportError:
        return ServerFacts(trouble="psycopg is not installed: pip install 'knockon[backup]'")
    try:
        with psycopg.connect(dsn, connect_timeout=_CONNECT_S, application_name="knockon") as link:
            rows = link.execute(
                "SELECT name, setting::float8 / 1000 FROM pg_settings WHERE name = ANY(%s)",
                [list(_SETTINGS)],
            ).fetchall()
            found = {str(name): float(value) for name, value in rows}
            host = link.info.host or ""
    except psycopg.Error as error:
        return ServerFacts(trouble=str(error).strip().splitlines()[0] or "no connection")
    return ServerFacts(
        wal_sender_timeout_s=found.get(_SETTINGS[0], 0.0),
        tcp_user_timeout_s=found.get(_SETTINGS[1], 0.0),
        over_unix_socket=host.startswith(("/", "@")),
    )
