"""A data directory that recovers from a WAL archive: Postgres' two files for that."""

from __future__ import annotations

from pathlib import Path

from agent.errors import UserError
from agent.printable import safe

SIGNALS = ("standby.signal", "recovery.signal")
_OURS = "# Added by knockon backup restore --restore-command"


def restore_command(text: str) -> str:
    """Return the command as Postgres can use it; empty: there is none.

    >>> restore_command("cp /archive/%f %p")
    'cp /archive/%f %p'
    """
    if text and not ("%f" in text and "%p" in text):
        raise UserError(
            f"{safe(text, 120)} fetches nothing",
            "it needs %f, the segment's name, and %p, where it goes: cp /archive/%f %p",
        )
    if any(not char.isprintable() for char in text):
        raise UserError(f"{safe(text, 120)} is more than one line", "put it into a script")
    return text


def prepare(data: Path, command: str) -> None:
    """Let it recover by this command; a copy that is a standby already stays one."""
    quoted = command.replace("\\", "\\\\").replace("'", "''")
    with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
        settings.write(f"{_OURS}\nrestore_command = '{quoted}'\n")
    if not any((data / name).exists() for name in SIGNALS):
        (data / "recovery.signal").touch(mode=0o600)
