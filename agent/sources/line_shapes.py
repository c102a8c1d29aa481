"""Takes the prefix off one pasted log line: when, which host, which program, which text.

The shapes are those of journalctl (short, short-iso, short-precise, short-full, short-monotonic),
syslog in many languages, dmesg, container and package logs, supervisord and Talos.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.sources.stamps import Stamp, iso_stamp, month_of, second_of_day, zone_s

_CLOCK = r"(\d\d):(\d\d):(\d\d(?:[.,]\d{1,9})?)"
_SYSLOG = re.compile(
    rf"([^\W\d_]{{3,9}}\.?|\d{{1,2}} ?[月월]) {{0,2}}(\d{{1,2}})(?:日|일)? +(?:(\d{{4}}) )?{_CLOCK}"
    r"(?: (\d{4}))? +(?=\S)"
)
_ISO = re.compile(
    rf"(?:[^\W\d_]{{1,4}}\.? )?(\d{{4}}[-/]\d\d[-/]\d\d[T ]{_CLOCK}(?: ?(?:Z\b|[+-]\d\d:?\d\d\b))?)"
    r"(?: ([A-Z]{3,5})(?= ))?\s+(?=\S)"
)
_UNIX = re.compile(r"(\d{10}\.\d{6}) (?=\S+ \S)")  # journalctl -o short-unix
_DMESG_T = re.compile(
    r"\[[^\W\d_]{1,4}\.? +([^\W\d_]{3,9}\.?|\d{1,2}[月월]) +(\d{1,2}) "
    rf"{_CLOCK} (\d{{4}})\] ?"
)
_MONOTONIC = re.compile(r"\[ {0,12}(\d{1,12}\.\d{3,9})\](?:\[ *[TC]\d+\])? ?")
_KERNEL_LEVEL = re.compile(
    r"<\d{1,3}>|(?:kern|user|daemon|syslog) {1,3}:"
    r"(?:emerg|alert|crit|err|warn|notice|info|debug) {1,3}: "
)
_TALOS = re.compile(
    r"(?:([\w.-]{1,253}): )?(kern|user|daemon|syslog|auth): +([a-z]{3,7}): +"
    r"\[([0-9T:.+Z-]{20,40})\]: ?"
)
_CRI = re.compile(r"std(?:out|err) [FP] ")
_SPEAKER = re.compile(
    r"(?:([^\s:\[\]]{1,253}) )?"  # host
    r"([^\s:\[\]]{1,128}?)(?:\[(\d{1,10})\])?: ?"
)
_STRICT_SPEAKER = re.compile(
    r"(?:([^\s:\[\]]{1,253}) )?"
    r"(?:([^\s:\[\]]{1,128})\[(\d{1,10})\]|(kernel|kubelet|systemd|k3s)): ?"
)
_BARE_SPEAKER = re.compile(  # a paste whose dates were cut off: "kernel: ...", "dockerd[12]: ..."
    r"(?:(?P<pid_speaker>[A-Za-z][\w.@/-]{1,40})\[(?P<pid>\d{1,10})\]"
    r"|(?P<speaker>kernel|systemd|systemd-logind|dockerd|containerd|crio|kubelet|k3s)): (?=\S)"
)
_LEVEL_WORD = re.compile(
    r"(?:debug|info|notice|warn|warning|error|err|crit|critical|fatal|trace)$", re.IGNORECASE
)
_DPKG = re.compile(r"(?:status|install|upgrade|configure|remove|purge|trigproc|startup|conffile) ")
_YUM = re.compile(r"(?:Installed|Updated|Erased|Upgraded|Downgraded): \S")
_DNF = re.compile(
    r"(?:SUBDEBUG|INFO|DDEBUG|DEBUG) (?=(?:Upgraded?|Installed|Erased|Removed|Downgraded): )"
)
_SUPERVISORD = re.compile(
    r"(?:CRIT|ERRO|WARN|INFO|DEBG) (?=(?:success|spawned|exited|stopped|waiting|gave up|reaped"
    r"|received|Included|RPC|daemonizing|supervisord|killing)\b)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its prefix; empty fields were not written."""

    text: str
    stamp: Stamp | None = None
    at_s: float | None = None  # when the prefix is in Unix seconds
    monotonic_s: float | None = None
    host: str = ""
    identifier: str = ""
    pid: str = ""


def split_line(text: str) -> Line | None:
    """The parts of a line with a known prefix; ``None`` for a line that has none."""
    bare = text.lstrip(" \t")
    first = bare[:1]
    if first == "[":
        return _dmesg(bare)
    if first.isdigit():
        return _dated(bare) or _syslog(bare) or _unix(bare)
    if first == "<":
        match = _KERNEL_LEVEL.match(bare)
        return split_line_after_level(bare[match.end() :]) if match else None
    return _syslog(bare) or _dated(bare) or _talos(bare) or _dmesg_levelled(bare) or _bare(bare)


def split_line_after_level(text: str) -> Line | None:
    """A line whose syslog priority was taken off."""
    return _dmesg(text) if text[:1] == "[" else _syslog(text) or _dated(text)


def _syslog(text: str) -> Line | None:
    match = _SYSLOG.match(text)
    month = month_of(match[1].replace(" ", "")) if match else None
    if match is None or month is None:
        return None
    year = match[3] or match[7]
    seconds = second_of_day(*match.group(4, 5, 6))
    stamp = Stamp(int(year) if year else None, month, int(match[2]), seconds)
    rest = text[match.end() :]
    if _YUM.match(rest):
        return Line(rest, stamp, identifier="yum")
    return _spoken(rest, stamp, _SPEAKER)


def _dated(text: str) -> Line | None:
    match = _ISO.match(text)
    stamp = iso_stamp(match[1]) if match else None
    if match is None or stamp is None:
        return None
    rest = text[match.end() :]
    if rest[1:4] == " | ":  # etcd's own envelope, which says more than a prefix
        return None
    if match[5]:
        zone = zone_s(match[5])
        stamp = Stamp(stamp.year, stamp.month, stamp.day, stamp.second_of_day, zone)
        if zone is None:  # not a zone: a level or an etcd line's letter
            rest = f"{match[5]} {rest}"
    for pattern, identifier, cut in _DATED_PROGRAMS:
        found = pattern.match(rest)
        if found is not None:
            return Line(rest[found.end() :] if cut else rest, stamp, identifier=identifier)
    return _spoken(rest, stamp, _STRICT_SPEAKER)


_DATED_PROGRAMS = (
    (_CRI, "", True),
    (_DPKG, "dpkg", False),
    (_DNF, "dnf", True),
    (_SUPERVISORD, "supervisord", False),
)


def _spoken(rest: str, stamp: Stamp, pattern: re.Pattern[str]) -> Line:
    match = pattern.match(rest)
    if match is None:
        return Line(rest, stamp)
    host = match[1] or ""
    identifier = match[2] or (match[4] if match.re.groups > 3 else "") or ""
    if _LEVEL_WORD.match(host):
        host = ""
    text, monotonic_s = _without_monotonic(rest[match.end() :]) if identifier == "kernel" else (
        rest[match.end() :], None)  # fmt: skip
    return Line(text, stamp, None, monotonic_s, host, identifier, match[3] or "")


def _without_monotonic(text: str) -> tuple[str, float | None]:
    """A kernel line that carries its own clock as well."""
    match = _MONOTONIC.match(text)
    return (text, None) if match is None else (text[match.end() :], float(match[1]))


def _dmesg(text: str) -> Line | None:
    match = _MONOTONIC.match(text)
    if match is not None:
        rest, monotonic_s = text[match.end() :], float(match[1])
        said = _STRICT_SPEAKER.match(rest)
        if said is not None:  # journalctl -o short-monotonic, or a program writing to /dev/kmsg
            identifier = said[2] or said[4]
            return Line(
                rest[said.end() :],
                None,
                None,
                monotonic_s,
                said[1] or "",
                identifier,
                said[3] or "",
            )
        return Line(rest, monotonic_s=monotonic_s, identifier="kernel")
    match = _DMESG_T.match(text)
    month = month_of(match[1]) if match else None
    if match is None or month is None:
        return None
    stamp = Stamp(int(match[6]), month, int(match[2]), second_of_day(*match.group(3, 4, 5)))
    return Line(text[match.end() :], stamp, identifier="kernel")


def _dmesg_levelled(text: str) -> Line | None:
    match = _KERNEL_LEVEL.match(text)
    return _dmesg(text[match.end() :]) if match else None


def _talos(text: str) -> Line | None:
    match = _TALOS.match(text)
    stamp = iso_stamp(match[4]) if match else None
    if match is None or stamp is None:
        return None
    identifier = "kernel" if match[2] == "kern" else "talos"
    return Line(text[match.end() :], stamp, host=match[1] or "", identifier=identifier)


def _bare(text: str) -> Line | None:
    match = _BARE_SPEAKER.match(text)
    if match is None:
        return None
    identifier = match["pid_speaker"] or match["speaker"]
    rest = text[match.end() :]
    if identifier == "kernel":
        rest, monotonic_s = _without_monotonic(rest)
        return Line(rest, monotonic_s=monotonic_s, identifier=identifier)
    return Line(rest, identifier=identifier, pid=match["pid"] or "")


def _unix(text: str) -> Line | None:
    match = _UNIX.match(text)
    if match is None:
        return None
    line = _spoken(text[match.end() :], Stamp(1970, 1, 1, 0.0), _SPEAKER)
    return Line(
        line.text, None, float(match[1]), line.monotonic_s, line.host, line.identifier, line.pid
    )
