"""Times as people and machines read them: RFC 3339, a short UTC form, spans and offsets."""

from __future__ import annotations

from datetime import UTC, datetime


def _utc(at_s: float | None) -> datetime | None:
    """Return the time, or None when there is none or it is outside the calendar."""
    if at_s is None:
        return None
    try:
        return datetime.fromtimestamp(at_s, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def rfc3339(at_s: float | None) -> str | None:
    """Format as RFC 3339 in UTC with microseconds; None when unknown."""
    at = _utc(at_s)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def readable(at_s: float | None) -> str:
    """Format for a person: "2018-05-21 18:02:41 UTC", or "time unknown"."""
    at = _utc(at_s)
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "time unknown"


def clock(at_s: float | None) -> str:
    """Format the time of day only: "18:02:41"; empty when unknown."""
    at = _utc(at_s)
    return f"{at:%H:%M:%S}" if at else ""


def span(seconds_s: float) -> str:
    """Format a length of time in two units at most: "0.4 s", "2 min 10 s", "3 h 5 min"."""
    if seconds_s < 59.95:
        return f"{seconds_s:.1f} s"
    whole = round(seconds_s)
    for unit_s, unit, part_s, part in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit}" + (f" {rest} {part}" if rest else "")
    return f"{whole} s"


def offset(seconds_s: float) -> str:
    """Format a distance from the kill with its sign: "-12.3 s", "+0.4 s", "0.0 s"."""
    if abs(seconds_s) < 0.05:
        return "0.0 s"
    return f"{'-' if seconds_s < 0 else '+'}{span(abs(seconds_s))}"


def parse(text: str) -> float:
    """Read RFC 3339, or Unix seconds, as UTC seconds; raise ValueError otherwise."""
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
