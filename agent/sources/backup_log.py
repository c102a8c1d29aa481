"""Reads what `knockon backup run` logs, one JSON object a line: the rate it was allowed, and had.

    {"at_s": 1795850799.9, "message": "backup: reading", "allowed_bytes_per_s": 120000000, …}

Times are Unix seconds. Lines of its own that name no rate, and whatever else stands between, are
passed over: a pod's log is often pasted with what its shell said.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 20_000  # lines with a rate: two weeks of a line a minute
_LONGEST_LINE = 4096


@dataclass(frozen=True, slots=True)
class Paced:
    """What the governor allowed a backup at one moment, and what the backup made of it."""

    at_s: float
    allowed_bytes_s: float
    achieved_bytes_s: float


def read_backup_log(lines: Iterable[str]) -> tuple[Paced, ...]:
    """Give the rates in order of time."""
    found: list[Paced] = []
    for line in lines:
        start = line.find("{")
        if start < 0 or len(line) > _LONGEST_LINE or '"allowed_bytes_per_s"' not in line:
            continue
        one = _paced(line[start:])
        if one and len(found) < MOST:
            found.append(one)
    return tuple(sorted(found, key=lambda one: one.at_s))


def _paced(text: str) -> Paced | None:
    try:
        said = json.loads(text)
        rates = [float(said[f"{name}_bytes_per_s"]) for name in ("allowed", "achieved")]
        at_s = float(said["at_s"])
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None
    if not all(map(math.isfinite, (at_s, *rates))) or min(rates) < 0:
        return None
    return Paced(at_s, *rates)
