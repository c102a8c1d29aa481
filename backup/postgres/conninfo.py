"""A DSN as libpq takes it, with our own settings joined in."""

from __future__ import annotations

from psycopg import Error as PgError
from psycopg import pq

from backup.exits import Exit, Failure


def conninfo(dsn: str, session: dict[str, str]) -> bytes:
    """Return the DSN with our settings; what the user wrote stays, but for `replication`."""
    try:
        given = {
            option.keyword.decode(): option.val.decode()
            for option in pq.Conninfo.parse(dsn.encode())
            if option.val is not None
        }
    except PgError as error:
        raise Failure(
            f"the DSN cannot be read: {str(error).strip()}",
            "host=… port=5432 user=… or postgresql://user@host:5432/",
            Exit.USER_ERROR,
        ) from None
    merged = session | given
    merged |= {key: session[key] for key in ("replication",) if key in session}
    return " ".join(f"{key}={_quoted(value)}" for key, value in merged.items()).encode()


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
