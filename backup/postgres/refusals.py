"""What a Postgres server says when it refuses, as one line, a hint and an exit status.

Matched by SQLSTATE where there is one. While connecting libpq gives only text, which the server
may write in the language of `lc_messages`: then the text is shown, and the hint is general.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.printable import safe
from backup.exits import Exit, Failure

_GENERAL = "try the same with: psql 'DSN replication=true' -c IDENTIFY_SYSTEM"


@dataclass(frozen=True, slots=True)
class _Refusal:
    pattern: re.Pattern[str]
    message: str
    hint: str
    status: Exit


def _refusal(pattern: str, message: str, hint: str, status: Exit = Exit.USER_ERROR) -> _Refusal:
    return _Refusal(re.compile(pattern, re.IGNORECASE), message, hint, status)


_CONNECTING = (
    _refusal(
        r"no pg_hba\.conf entry for replication connection.*?user \"([^\"]*)\"",
        "pg_hba.conf lets nobody replicate from here as {0}",
        "add a line `host replication {0} THIS-ADDRESS scram-sha-256`, then pg_reload_conf()",
    ),
    _refusal(
        r"pg_hba\.conf rejects replication connection.*?user \"([^\"]*)\"",
        "pg_hba.conf rejects replication from here as {0}",
        "move a line `host replication {0} …` above the one that rejects, then pg_reload_conf()",
    ),
    _refusal(
        r"must be superuser or replication role|permission denied to start WAL sender",
        "this role may not replicate",
        "ALTER ROLE … REPLICATION; it needs neither superuser nor any other right",
    ),
    _refusal(
        r"password authentication failed for user \"([^\"]*)\"",
        "the password of {0} is wrong or has expired",
        "PGPASSWORD, ~/.pgpass or password= in the DSN; roles expire by VALID UNTIL",
    ),
    _refusal(
        r"no password supplied",
        "the server wants a password and there is none",
        "set PGPASSWORD or PGPASSFILE, rather than password= in a visible DSN",
    ),
    _refusal(
        r"role \"([^\"]*)\" does not exist",
        "there is no role {0}",
        "CREATE ROLE … LOGIN REPLICATION",
    ),
    _refusal(
        r"could not translate host name \"([^\"]*)\"",
        "the name {0} does not resolve",
        "host= of the DSN; in a cluster SERVICE.NAMESPACE.svc",
    ),
    _refusal(
        r"connection refused|no such file or directory",
        "nobody listens at this address",
        "host= and port= of the DSN; is Postgres up?",
        Exit.FAILED,
    ),
    _refusal(
        r"timeout expired|timed out|no route to host|network is unreachable",
        "the server cannot be reached",
        "a network policy or firewall between here and host= of the DSN?",
        Exit.FAILED,
    ),
    _refusal(
        r"the database system is (starting up|shutting down|in recovery mode|not yet accepting)",
        "the server is {0}",
        "run again when it is up; a standby needs hot_standby = on",
        Exit.FAILED,
    ),
    _refusal(
        r"exceeds max_wal_senders|too many clients|connection slots are reserved",
        "the server has no free WAL sender",
        "raise max_wal_senders (one for the backup, one more for --wal stream), or end others",
    ),
    _refusal(r"SSL|certificate", "the TLS handshake failed", "sslmode=, sslrootcert= of the DSN"),
)

_RUNNING = (
    _refusal(
        r"standby was promoted",
        "the standby was promoted while it was backed up",
        "run again: it is a primary now",
        Exit.FAILED,
    ),
    _refusal(
        r"checksum verification failure",
        "Postgres found damaged pages in its own files",
        "do not trust older copies blindly: pg_amcheck, the server's log names the files",
        Exit.NOT_VERIFIED,
    ),
    _refusal(
        r"could not find (any )?WAL file|requested WAL segment .* has already been removed",
        "the WAL this backup needs was recycled before it could be read",
        "--wal stream keeps it by a slot; or raise wal_keep_size",
        Exit.FAILED,
    ),
    _refusal(
        r"full_page_writes=off was replayed",
        "the primary runs with full_page_writes=off: its standbys cannot be backed up",
        "SET full_page_writes = on there, or back up the primary",
    ),
    _refusal(
        r"all replication slots are in use|max_replication_slots",
        "the server has no free replication slot",
        "raise max_replication_slots, or --wal fetch, which needs none",
    ),
    _refusal(
        r"WAL level not sufficient|wal_level",
        "wal_level is minimal: no online backup is possible",
        "wal_level = replica, then restart the server",
    ),
    _refusal(
        r"a backup is already in progress|backup is not in progress",
        "the server's own backup state is odd",
        "is another tool calling pg_backup_start?",
        Exit.FAILED,
    ),
    _refusal(
        r"terminating (connection|walsender)|server closed the connection|connection to server",
        "the server ended the connection",
        "it was shut down, or its tcp_user_timeout or wal_sender_timeout struck: see its log",
        Exit.FAILED,
    ),
    _refusal(
        r"connection timed out|no route to host|network is unreachable",
        "the connection to the server went silent",
        "nothing was published, and the server reads no further; is the network between up again?",
        Exit.FAILED,
    ),
    _refusal(
        r"canceling statement due to user request",
        "somebody cancelled the backup on the server",
        "pg_cancel_backend, or a client's cancel through a pooler",
        Exit.FAILED,
    ),
)


def connecting(text: str) -> Failure:
    """Return what a failed connection means."""
    return _first(_CONNECTING, text, "cannot connect for replication", Exit.USER_ERROR)


def running(text: str) -> Failure:
    """Return what an error in the middle of the backup means."""
    return _first(_RUNNING + _CONNECTING, text, "the server refused", Exit.FAILED)


def _first(table: tuple[_Refusal, ...], text: str, otherwise: str, status: Exit) -> Failure:
    said = safe(" ".join(text.split()), 300)
    for known in table:
        found = known.pattern.search(text)
        if found:
            groups = [safe(group or "", 80) for group in found.groups()]
            message = known.message.format(*groups)
            return Failure(
                f"{message} ({said})", known.hint.replace("{0}", (groups or [""])[0]), known.status
            )
    return Failure(f"{otherwise}: {said}", _GENERAL, status)
