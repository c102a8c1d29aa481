"""Write a file whole or not at all: who opens it never sees half of it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once; a pipe or a terminal is written to as it is."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    half = path.with_name(f".{path.name[:200]}.{os.getpid()}.half")
    try:
        half.write_text(text, encoding="utf-8")
        if path.exists():
            half.chmod(path.stat().st_mode & 0o777)
        half.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            half.unlink()
        raise
