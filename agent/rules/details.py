"""The detail of a Fact: constants of the rule, named groups, and durations as plain seconds."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.model import NO_DETAIL

# Who said it, and what systemd knows of the end of a unit.
_FROM_FIELDS = (
    ("component", "EVENT_COMPONENT"),
    ("speaker", "_SYSTEMD_UNIT"),
    ("signal", "COREDUMP_SIGNAL_NAME"),
    ("core_of", "COREDUMP_UNIT"),
    ("result", "UNIT_RESULT"),
    ("job", "JOB_TYPE"),
    ("restarts", "N_RESTARTS"),
    ("invocation", "INVOCATION_ID"),
)
_GO_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ns|[uµμ]s|ms|h|m|s)")
_UNIT_S = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


def go_seconds(text: str) -> float | None:
    """Read a Go duration (``1m2.5s``, ``680ms``) or a plain number of seconds."""
    try:
        return float(text)
    except ValueError:
        parts = list(_GO_DURATION.finditer(text.replace(" ", "")))
    if not parts or "".join(part.group() for part in parts) != text.replace(" ", ""):
        return None
    return sum(float(part["number"]) * _UNIT_S[part["unit"]] for part in parts)


def groups_of(matched: re.Match[str]) -> dict[str, str]:
    """Give the named groups that took part; ``pid``, ``pid2``, ``pid3`` are one name."""
    found: dict[str, str] = {}
    for name, value in matched.groupdict().items():
        if value:
            found.setdefault(name.rstrip("0123456789"), value)
    return found


def detail_of(
    known: Mapping[str, str], fields: Mapping[str, str], since_s: float | None
) -> Mapping[str, str]:
    """Put together what a Fact carries; ``seconds`` is always a plain number there."""
    detail = dict(known)
    seconds = go_seconds(detail["seconds"]) if "seconds" in detail else None
    if seconds is not None:
        detail["seconds"] = f"{seconds:.6g}"
    if since_s is not None:
        detail["since_s"] = f"{since_s:.6f}"
    for name, field in _FROM_FIELDS:
        if field in fields:
            detail.setdefault(name, fields[field])
    return detail or NO_DETAIL
