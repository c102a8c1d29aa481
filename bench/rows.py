"""Plain text tables, and the one line that says which machine a number was measured on."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One number of one bench, and what it is compared with."""

    bench: str
    what: str
    value: str
    against: str = ""
    note: str = ""


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns under a ruled head; the last column is not padded."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(row, widths) for row in (head, rule, *rows))


def rows_table(rows: Sequence[Row]) -> str:
    """Return the table that ``python -m bench`` prints."""
    cells = [(row.bench, row.what, row.value, row.against, row.note) for row in rows]
    return text_table(("bench", "what", "value", "against", "note"), cells)


def machine_line(now: datetime | None = None) -> str:
    """Name the processor, the interpreter and the date: without them a number means little."""
    at = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {at}"
    )


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.machine()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join(padded).rstrip()
