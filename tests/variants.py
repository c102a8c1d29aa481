"""Variants of a case that tell the same story: a verdict may lose confidence, never change sides.

Pure and seeded: the same case and seed give the same variants, and the case is never changed.
A line with ``essential: true`` carries the verdict and is never dropped.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from tests.synonyms import SYNONYMS, Synonym

Case = dict[str, Any]
Line = dict[str, Any]

DROPPED_SHARE = 0.3
REWRITTEN_SHARE = 0.8
# Whoever else speaks (pods, cloud controllers, the API) writes UTC whatever the node's zone is.
_NODE_LOCAL_SOURCES = ("journal", "kernel", "kubelet_log")
_NODE_LOCAL_SPEAKERS = ("apt-history", "needrestart")
_SINCE_BOOT = re.compile(r"\[ *\d+\.\d+\]")


def variants(case: Case, seed: int) -> Iterator[tuple[str, Case]]:
    """Yield each variant that differs from the case, with a name that says how."""
    makers: tuple[tuple[str, Callable[[Case, random.Random], Case]], ...] = (
        ("dropped_noise", dropped_noise),
        ("shuffled", shuffled),
        ("duplicated", duplicated),
        ("foreign_time_zone", foreign_time_zone),
        ("reworded", reworded),
    )
    for name, make in makers:
        variant = make(case, random.Random(f"{seed} {name} {case.get('id')}"))
        if variant != case:
            yield name, variant


def dropped_noise(case: Case, rng: random.Random) -> Case:
    """Drop up to 30 % of the lines that are not essential, but leave at least one."""
    places = [
        (part, index)
        for part in ("entries", "events")
        for index, line in enumerate(case[part])
        if not line.get("essential")
    ]
    total = len(case["entries"]) + len(case["events"])
    most = min(int(len(places) * DROPPED_SHARE), total - 1)
    gone = set(rng.sample(places, rng.randint(1, most))) if most >= 1 else set()
    return _with_lines(
        case,
        [line for index, line in enumerate(case["entries"]) if ("entries", index) not in gone],
        [line for index, line in enumerate(case["events"]) if ("events", index) not in gone],
    )


def shuffled(case: Case, rng: random.Random) -> Case:
    """Let lines arrive in another order; a line without any time stays behind its neighbour."""
    blocks: list[list[Line]] = []
    for line in case["entries"]:
        if blocks and not _has_time(line):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    rng.shuffle(blocks)
    events = rng.sample(case["events"], len(case["events"]))
    return _with_lines(case, [line for block in blocks for line in block], events)


def duplicated(case: Case, rng: random.Random) -> Case:
    """Repeat lines, at once (a rotated journal read twice) or at the end (a replayed stream)."""
    entries: list[Line] = []
    replayed: list[Line] = []
    for line in case["entries"]:
        entries.append(line)
        chance = rng.random()
        if chance < 0.25:
            entries.append(line)
        elif chance < 0.4 and _has_time(line):
            replayed.append(line)
    events = [line for line in case["events"] for _ in range(rng.choice((1, 1, 2)))]
    return _with_lines(case, entries + replayed, events)


def foreign_time_zone(case: Case, rng: random.Random) -> Case:
    """Move the node's clock to another zone by whole hours; what is in UTC stays as it is."""
    hours = rng.choice([*range(-11, 0), *range(1, 14)])
    shift = _Shift(hours, int(str(case.get("date", "2023"))[:4]))
    entries = [shift.line(line) if _is_node_local(line) else line for line in case["entries"]]
    return _with_lines(case, entries, case["events"])


def reworded(case: Case, rng: random.Random) -> Case:
    """Say the same in the words of another release of systemd, kernel, runtime or kubelet."""
    rewrite = _rewriter(rng)
    entries = [
        {**line, "text": rewrite(line.get("text")), "raw": rewrite(line.get("raw"))}
        for line in case["entries"]
    ]
    events = [{**line, "message": rewrite(line.get("message"))} for line in case["events"]]
    oom = rng.choice((_oom_in_two_lines, _oom_in_one_line))
    return _with_lines(case, oom(entries), events)


def _with_lines(case: Case, entries: list[Line], events: list[Line]) -> Case:
    rest = {key: value for key, value in case.items() if key not in {"entries", "events"}}
    return copy.deepcopy({**rest, "entries": entries, "events": events})


def _has_time(line: Line) -> bool:
    return line.get("ts") is not None or _SINCE_BOOT.match(line.get("raw") or "") is not None


def _is_node_local(line: Line) -> bool:
    return (
        line.get("source") in _NODE_LOCAL_SOURCES or line.get("identifier") in _NODE_LOCAL_SPEAKERS
    )


# --- another time zone ------------------------------------------------------------------------

_LANGUAGES = (
    "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
)
_MONTHS = tuple(tuple(names.split()) for names in _LANGUAGES)
_MONTH = "|".join(re.escape(name) for names in _MONTHS for name in names)
_SHORT = re.compile(rf"^(?P<mon>{_MONTH}) (?P<day>[ \d]?\d) (?P<time>\d\d:\d\d:\d\d)")
_DMESG = re.compile(
    rf"^\[\w{{3}} (?P<mon>{_MONTH}) (?P<day>[ \d]?\d) (?P<time>\d\d:\d\d:\d\d) (?P<year>\d{{4}})\]"
)
_KLOG = re.compile(r"(?:(?<=^)|(?<=\]: ))(?P<level>[IWEF])(?P<md>\d{4}) (?P<time>\d\d:\d\d:\d\d)")
_ISO = re.compile(
    r"(?P<before>time=\"|\"ts\":\"|current time )?"
    r"\b(?P<date>\d{4}-\d\d-\d\d)(?P<gap>[ T]+)(?P<time>\d\d:\d\d:\d\d)(?P<fraction>\.\d+)?"
    r"(?P<zone>Z|[+-]\d\d:?\d\d| [+-]\d{4}| UTC)?"
)


class _Shift:
    """Rewrites every node-local time of a line for a node ``hours`` further east."""

    def __init__(self, hours: int, year: int) -> None:
        self._delta = timedelta(hours=hours)
        self._year = year

    def line(self, line: Line) -> Line:
        ts, year = line.get("ts"), self._year
        if isinstance(ts, str):
            year = int(ts[:4])
        moved = {**line, "ts": _ISO.sub(self._iso, ts) if isinstance(ts, str) else ts}
        for key in ("text", "raw"):
            if isinstance(line.get(key), str):
                moved[key] = self._text(line[key], year)
        return moved

    def _text(self, text: str, year: int) -> str:
        text = _SHORT.sub(lambda found: self._short(found, year), text)
        text = _DMESG.sub(self._dmesg, text)
        text = _KLOG.sub(lambda found: self._klog(found, year), text)
        return _ISO.sub(self._iso, text)

    def _short(self, found: re.Match[str], year: int) -> str:
        names = next(names for names in _MONTHS if found["mon"] in names)
        at = self._at(f"{year}-{names.index(found['mon']) + 1}-{int(found['day'])}", found["time"])
        day = f"{at.day:2}" if found["day"].startswith(" ") else f"{at.day:02}"
        return f"{names[at.month - 1]} {day} {at:%H:%M:%S}"

    def _dmesg(self, found: re.Match[str]) -> str:
        month = _MONTHS[0].index(found["mon"]) + 1
        at = self._at(f"{found['year']}-{month}-{int(found['day'])}", found["time"])
        return f"[{at:%a} {_MONTHS[0][at.month - 1]} {at.day:2} {at:%H:%M:%S %Y}]"

    def _klog(self, found: re.Match[str], year: int) -> str:
        at = self._at(f"{year}-{found['md'][:2]}-{found['md'][2:]}", found["time"])
        return f"{found['level']}{at:%m%d %H:%M:%S}"

    def _iso(self, found: re.Match[str]) -> str:
        zone, before = found["zone"], found["before"] or ""
        if zone in {" UTC", " +0000"} or (zone == "Z" and not before):
            return found[0]
        at = self._at(found["date"], found["time"])
        day, time = f"{before}{at:%Y-%m-%d}", f"{at:%H:%M:%S}{found['fraction'] or ''}"
        return day + found["gap"] + time + (self._zone(zone) if zone else "")

    def _zone(self, zone: str) -> str:
        east = _offset(zone) + self._delta
        minutes = abs(east) // timedelta(minutes=1)
        colon = ":" if ":" in zone or zone == "Z" else ""
        return f"{'-' if east < timedelta() else '+'}{minutes // 60:02}{colon}{minutes % 60:02}"

    def _at(self, date: str, time: str) -> datetime:
        year, month, day = (int(part) for part in date.split("-"))
        hour, minute, second = (int(part) for part in time.split(":"))
        return datetime(year, month, day, hour, minute, second) + self._delta  # noqa: DTZ001


def _offset(zone: str) -> timedelta:
    digits = re.sub(r"\D", "", zone) or "0000"
    size = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -size if "-" in zone else size


# --- another release's words ------------------------------------------------------------------

_OOM = r"(?P<scope>Out of memory|Memory cgroup out of memory): "
_KILLED = re.compile(
    _OOM + r"Killed process (?P<pid>\d+) \((?P<comm>[^)]*)\) (?P<sizes>total-vm:\S+ anon-rss:\S+ "
    r"file-rss:\w+)(?:, shmem-rss:\w+)?(?:, UID:\d+ pgtables:\d+kB oom_score_adj:(?P<adj>-?\d+))?$"
)
_KILL = re.compile(
    _OOM + r"Kill process (?P<pid>\d+) \((?P<comm>[^)]*)\) score \d+ or sacrifice child$"
)
_VICTIM = re.compile(r"Killed process (?P<pid>\d+) \((?P<comm>[^)]*)\)(?:, UID \d+,)? total-vm:.*$")


def _rewriter(rng: random.Random) -> Callable[[Any], Any]:
    chosen: list[tuple[Synonym, int]] = [
        (synonym, rng.randrange(len(synonym.forms)))
        for synonym in SYNONYMS
        if rng.random() < REWRITTEN_SHARE
    ]

    def rewrite(text: Any) -> Any:
        if isinstance(text, str):
            for synonym, wanted in chosen:
                text = synonym.rewritten(text, wanted)
        return text

    return rewrite


def _oom_in_two_lines(entries: list[Line]) -> list[Line]:
    """Kernels before 5.0 announce the kill and report it on the next line."""
    lines: list[Line] = []
    for line in entries:
        found = _KILLED.search(line.get("text") or "")
        if found is None or line.get("source") != "kernel":
            lines.append(line)
            continue
        score = min(1000 + int(found["adj"] or 0), 1999)
        name = f"process {found['pid']} ({found['comm']})"
        kill = f"{found['scope']}: Kill {name} score {score} or sacrifice child"
        lines += [_saying(line, _KILLED, kill)]
        lines += [_saying(line, _KILLED, f"Killed {name} {found['sizes']}, shmem-rss:0kB")]
    return lines


def _oom_in_one_line(entries: list[Line]) -> list[Line]:
    """Kernels from 5.0 on say it in one line."""
    lines: list[Line] = []
    for line in entries:
        victim = _VICTIM.match(line.get("text") or "")
        kill = _KILL.search(lines[-1].get("text") or "") if lines else None
        if victim is None or kill is None or victim["pid"] != kill["pid"]:
            lines.append(line)
            continue
        said = f"{kill['scope']}: {victim[0]}, UID:0 pgtables:512kB oom_score_adj:0"
        essential = line.get("essential") or lines[-1].get("essential")
        merged = _saying(lines.pop(), _KILL, said)
        lines.append({**merged, "essential": True} if essential else merged)
    return lines


def _saying(line: Line, pattern: re.Pattern[str], text: str) -> Line:
    raw = line.get("raw")
    said = {**line, "text": pattern.sub(lambda _: text, line["text"])}
    return {**said, "raw": pattern.sub(lambda _: text, raw)} if isinstance(raw, str) else said
