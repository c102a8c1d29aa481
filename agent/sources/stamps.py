"""Times as people and programs write them: ISO 8601, syslog in many languages, klog, ages.

A stamp may lack its year (syslog, klog) or its zone (syslog, klog, dpkg). What is written is kept
in ``Stamp``; a ``Clock`` supplies what is not.
"""

from __future__ import annotations

import re
from calendar import timegm
from dataclasses import dataclass
from functools import lru_cache

DAY_S = 86400.0
_LATEST_YEAR = 9998

# Month abbreviations as glibc's locales print them with %b (en fr de es it pt nl pl ru sv …).
_MONTHS = (
    "jan janv january enero ene gen jän stycznia sty янв led oca tammi ocak",
    "feb févr fevr february febr fev lut фев úno şub helmi",
    "mar mars mär mär märz mrz mrt march maart marzo мар марта bře maalis",
    "apr avr avril abr april kwi апр dub nis huhti",
    "may mai mag mei maj мая май kvě touko",
    "jun juin june giu cze июн июня čen haz kesä juni",
    "jul juil july lug lip июл июля čec črc tem heinä juli",
    "aug août aout ago august sie авг srp ağu elo agosto",
    "sep sept set september wrz сен сент zář eyl syys",
    "oct okt ott out october paź окт říj eki loka octobre",
    "nov november noiembre lis ноя нояб kas marras novembre",
    "dec déc dez dic dicembre december des gru дек pro ara joulu",
)
MONTH_BY_NAME = {
    name: number for number, names in enumerate(_MONTHS, start=1) for name in names.split()
}

# Only abbreviations that mean one thing; CST and IST are three zones each and stay unknown.
_ZONE_HOURS = {
    "Z": 0, "UTC": 0, "GMT": 0, "WET": 0, "CET": 1, "CEST": 2, "BST": 1, "WEST": 1,
    "EET": 2, "EEST": 3, "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MST": -7, "MDT": -6,
    "PST": -8, "PDT": -7, "JST": 9, "KST": 9, "SGT": 8, "HKT": 8, "AEST": 10, "AEDT": 11,
    "NZST": 12, "NZDT": 13,
}  # fmt: skip
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)?$")

ISO = re.compile(
    r"(\d{4})[-/](\d\d)[-/](\d\d)[T _](\d\d):(\d\d):(\d\d(?:[.,]\d{1,9})?)"
    r" ?(Z\b|[+-]\d\d:?\d\d\b|UTC\b|GMT\b)?"
)
KLOG_STAMP = re.compile(r"(\d\d)(\d\d) (\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)$")
MAIL = re.compile(  # kubectl describe: "Sun, 15 Dec 2019 23:40:19 +0000"
    r"[A-Z][a-z]{2}, (\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) ([+-]\d{4}|[A-Z]{3,4})"
)
_AGE_PART = re.compile(r"(\d+)(ms|[smhdwy])")
AGE = r"(?:(?:\d{1,9}(?:ms|[smhdwy])){1,6}|<unknown>|<invalid>)"
_UNIT_S = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": DAY_S,
    "w": 7 * DAY_S,
    "y": 365 * DAY_S,
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """A time as written; ``None`` where the writer left the year or the zone out."""

    year: int | None
    month: int
    day: int
    second_of_day: float
    zone_s: int | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """What a stamp without year or zone is read against."""

    now_s: float
    near_s: float | None = None  # a full date seen in the same text
    zone_s: int | None = None


@lru_cache(maxsize=4096)
def _day_start_s(year: int, month: int, day: int) -> float | None:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = (
        29 if month == 2 and leap else 28 if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    )
    if not (1970 <= year <= _LATEST_YEAR and 1 <= month <= 12 and 1 <= day <= longest):
        return None
    return float(timegm((year, month, day, 0, 0, 0)))


@lru_cache(maxsize=1024)
def _year_of(at_s: float) -> int:
    return 1970 + int(at_s // (365.2425 * DAY_S))


def wall_s(stamp: Stamp, clock: Clock) -> float | None:
    """The stamp's wall-clock reading as if it were UTC, with its year worked out if needed."""
    if stamp.year is not None:
        start_s = _day_start_s(stamp.year, stamp.month, stamp.day)
        return None if start_s is None else start_s + stamp.second_of_day
    anchor_s = clock.now_s if clock.near_s is None else clock.near_s
    here = _year_of(max(0.0, anchor_s // DAY_S * DAY_S))
    # Eight years back reach the last 29 February, also across 1900-like centuries.
    starts = (_day_start_s(year, stamp.month, stamp.day) for year in range(here + 1, here - 9, -1))
    found = [start_s + stamp.second_of_day for start_s in starts if start_s is not None]
    if clock.near_s is not None:
        return min(found, key=lambda at_s: abs(at_s - anchor_s), default=None)
    return next((at_s for at_s in found if at_s <= anchor_s + DAY_S), None)


def unix_s(stamp: Stamp, clock: Clock) -> float | None:
    """Unix seconds of a stamp; without any zone it is taken as UTC."""
    at_s = wall_s(stamp, clock)
    zone_s = stamp.zone_s if stamp.zone_s is not None else clock.zone_s
    return None if at_s is None else at_s - (zone_s or 0)


@lru_cache(maxsize=64)
def zone_s(text: str | None) -> int | None:
    """Seconds east of UTC for ``+0530``, ``+05:30``, ``Z`` or an unambiguous abbreviation."""
    if not text:
        return None
    if text in _ZONE_HOURS:
        return _ZONE_HOURS[text] * 3600
    match = _OFFSET.match(text)
    if match is None or int(match[2]) > 14:
        return None
    seconds = int(match[2]) * 3600 + int(match[3] or 0) * 60
    return -seconds if match[1] == "-" else seconds


def second_of_day(hour: str, minute: str, second: str) -> float:
    """Seconds since midnight of three groups a pattern found; a comma may be the decimal point."""
    return int(hour) * 3600 + int(minute) * 60 + float(second.replace(",", "."))


def month_of(name: str) -> int | None:
    """The month's number for an abbreviation in any language known here, or ``12月``."""
    bare = name.rstrip(".").lower()
    if bare[-1:] in ("月", "월"):
        bare = bare[:-1]
        return int(bare) if bare.isascii() and bare.isdigit() and 1 <= int(bare) <= 12 else None
    return MONTH_BY_NAME.get(bare)


def iso_stamp(text: str) -> Stamp | None:
    """The ISO 8601 time at the start of a text."""
    match = ISO.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    seconds = second_of_day(hour, minute, second)
    return Stamp(int(year), int(month), int(day), seconds, zone_s(zone))


def iso_s(text: object) -> float | None:
    """Unix seconds of an API object's time (RFC 3339); ``None`` for anything else."""
    stamp = iso_stamp(text) if isinstance(text, str) else None
    return None if stamp is None else unix_s(stamp, Clock(0.0))


def klog_stamp(text: str) -> Stamp | None:
    """``1123 11:45:46.099628`` as klog and glog write it, without year and zone."""
    match = KLOG_STAMP.match(text)
    if match is None:
        return None
    return Stamp(None, int(match[1]), int(match[2]), second_of_day(*match.group(3, 4, 5)))


def mail_stamp(text: str) -> Stamp | None:
    """``Sun, 15 Dec 2019 23:40:19 +0000`` as ``kubectl describe`` prints times."""
    match = MAIL.match(text)
    month = month_of(match[2]) if match else None
    if match is None or month is None:
        return None
    seconds = second_of_day(*match.group(4, 5, 6))
    return Stamp(int(match[3]), month, int(match[1]), seconds, zone_s(match[7]))


def age_s(text: str) -> float | None:
    """Seconds of a kubectl age such as ``5d1h`` or ``25m``; ``None`` for ``<unknown>``."""
    parts = _AGE_PART.findall(text)
    return sum(int(number) * _UNIT_S[unit] for number, unit in parts) if parts else None
