"""Runs Postgres' own `pg_verifybackup` where it is: a second opinion, and the only one on WAL."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # noqa: TID251 - Postgres' own programs are processes; nothing here runs on a stalled node
from collections.abc import Sequence
from pathlib import Path

from agent.printable import safe
from backup.fields import Malformed

_MAJORS = Path("/usr/lib/postgresql")  # Debian and its images; others have it in PATH
_RED_HAT = "/usr/pgsql-{major}/bin"
_TIMEOUT_S = 24 * 3600.0


def program(name: str, major: int, folder: Path | None = None) -> Path | None:
    """Find a program of the server's own major version; another one would misread its files."""
    places = (
        [folder] if folder else [_MAJORS / str(major) / "bin", Path(_RED_HAT.format(major=major))]
    )
    for place in places:
        if os.access(place / name, os.X_OK):
            return place / name
    found = shutil.which(name)
    return Path(found) if found and not folder and _major_of(found) == major else None


def _major_of(path: str) -> int:
    told = subprocess.run(  # noqa: S603 - found by name in known places, no shell
        [path, "--version"], capture_output=True, text=True, check=False, timeout=30
    )
    version = re.search(r"\) (\d+)", told.stdout)
    return int(version[1]) if version else 0


def run_pg_verifybackup(data: Path, major: int, *, with_wal: bool, ignored: Sequence[str]) -> str:
    """Check a data directory with it; say that it passed or is not here, or raise Malformed."""
    tool = program("pg_verifybackup", major)
    if tool is None:
        return f"pg_verifybackup {major} is not installed here"
    no_wal = with_wal and program("pg_waldump", major) is None
    command = [str(tool), "--exit-on-error", "--quiet"]
    command += ["--no-parse-wal"] if not with_wal or no_wal else []
    command += [f"--ignore={path}" for path in ignored]
    told = subprocess.run(  # noqa: S603 - found by name in known places, no shell
        [*command, str(data)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=_TIMEOUT_S,
    )
    if told.returncode:
        lines = (told.stderr or told.stdout).strip().splitlines() or ["no reason given"]
        raise Malformed(f"pg_verifybackup refuses it: {safe(lines[0], 200)}")
    return f"pg_verifybackup {major} agrees" + (", WAL not parsed" if no_wal else "")
