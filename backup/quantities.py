"""Rates and durations as people write them."""

from __future__ import annotations

import re

from agent.errors import UserError
from agent.printable import safe

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?(?:/s|ps)?", re.IGNORECASE)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?")
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3}
_LEAST_RATE = 32 * 1024


def bytes_per_s(text: str) -> float:
    """Read a rate.

    >>> bytes_per_s("200MB/s"), bytes_per_s("1MiB")
    (200000000.0, 1048576.0)
    """
    found = _RATE.fullmatch(text.strip())
    if not found:
        raise UserError(f"{safe(text)!r} is no rate", "write 200MB/s or 64MiB/s")
    amount = float(found[1]) * (1024.0 if found[3] else 1000.0) ** _POWERS[found[2].lower()]
    if amount < _LEAST_RATE:
        raise UserError(f"{safe(text)} is too slow for any backup", "32 KiB/s is the least")
    return amount


def seconds(text: str) -> float:
    """Read a duration.

    >>> seconds("6h"), seconds("90m")
    (21600.0, 5400.0)
    """
    found = _DURATION.fullmatch(text.strip())
    if not found or float(found[1]) <= 0:
        raise UserError(f"{safe(text)!r} is no duration", "write 6h, 90m or 3600s")
    return float(found[1]) * _SECONDS[found[2]]
