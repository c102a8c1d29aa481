"""Compare an answer with its golden file; with KNOCKON_REFRESH=1 write it instead."""

from __future__ import annotations

import os
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def same_as_golden(answer: str, name: str) -> None:
    """Fail with a readable diff when ``answer`` is not what the file holds."""
    path = GOLDEN / name
    if os.environ.get("KNOCKON_REFRESH"):
        path.write_text(answer, encoding="utf-8")
    assert answer == path.read_text(encoding="utf-8")
