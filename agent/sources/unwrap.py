"""Takes a log line out of its envelope once: klog, logfmt, JSON, etcd, Go's standard log.

Pure and quick: most lines are decided by their first character.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

MAX_MESSAGE_CHARS = 65536
_MAX_KEYS = 64
CAPNSLOG = "capnslog"  # stands for the source file: nothing but etcd logs this way

_KLOG = re.compile(
    r"(?:([IWEF])|(INFO|WARNING|ERROR|FATAL):)"
    r"(\d{4} \d\d:\d\d:\d\d\.\d{1,9})\s+\d+ ([^\s\]]{1,120}):\d+\] ?"
)
_ETCD = re.compile(
    r"(\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?)"
    r"(?: ([A-Z]) \| | (?:\[\w+\] )?(?=[^\W\d]))"
)
_PAIR = re.compile(r'([\w.@/-]{1,80})=("(?:[^"\\]|\\.)*"|[^\s"]*)(?:\s+|$)', re.DOTALL)
_TORN = re.compile(r'([\w.@/-]{1,80})="')
_TTY = re.compile(r"(INFO|WARN|ERRO|FATA|DEBU|PANI|TRAC)\[(\d{4,9}|[\dT:+Z.-]{10,40})\] ?")
_LOGFMT_STARTS = ("time=", "level=", "ts=", "t=")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_LEVELS = {
    "I": "info", "W": "warning", "E": "error", "F": "fatal", "D": "debug", "N": "notice",
    "C": "critical", "INFO": "info", "WARNING": "warning", "WARN": "warning", "ERROR": "error",
    "ERRO": "error", "FATAL": "fatal", "FATA": "fatal", "PANI": "panic", "DEBU": "debug",
    "TRAC": "debug",
}  # fmt: skip
_MESSAGE_KEYS = ("msg", "message", "MESSAGE", "log")
_TIME_KEYS = ("time", "ts", "timestamp", "t", "@timestamp")
_QUIET_KEYS = frozenset(
    (*_TIME_KEYS, *_MESSAGE_KEYS, "level", "severity", "lvl", "caller", "stream")
)


class Unwrapped(NamedTuple):
    """The inner message, and what the envelope said about level, time and source file."""

    message: str
    level: str = ""
    stamp: str = ""
    code_file: str = ""


def unwrap(text: str) -> Unwrapped:
    """The message inside one envelope; a line without a known envelope comes back as it is."""
    first = text[:1]
    found: Unwrapped | None = None
    if first == "{":
        found = _json(text)
    elif first in "IWEFDPT" and first:
        found = _klog(text) or _tty(text)
    elif first.isdigit():
        found = _etcd(text)
    elif text.startswith(_LOGFMT_STARTS):
        found = _logfmt(text)
    return found or Unwrapped(text)


def _klog(text: str) -> Unwrapped | None:
    match = _KLOG.match(text)
    if match is None:
        return None
    level = _LEVELS[match[1] or match[2]]
    return Unwrapped(text[match.end() :], level, match[3], match[4])


def _tty(text: str) -> Unwrapped | None:
    match = _TTY.match(text)
    if match is None:
        return None
    stamp = match[2] if "-" in match[2] else ""  # otherwise seconds since the program started
    return Unwrapped(text[match.end() :].rstrip(), _LEVELS[match[1]], stamp)


def _etcd(text: str) -> Unwrapped | None:
    match = _ETCD.match(text)
    if match is None:
        return None
    if match[2]:
        return Unwrapped(text[match.end() :], _LEVELS.get(match[2], ""), match[1], CAPNSLOG)
    return Unwrapped(text[match.end() :], "", match[1])


def _logfmt(text: str) -> Unwrapped | None:
    pairs, rest = _pairs(text)
    if "msg" not in pairs:
        return None
    others = [(key, value) for key, value in pairs.items() if key not in _QUIET_KEYS]
    message = _told(pairs["msg"], others) + (f" {rest}" if rest else "")
    stamp = next((pairs[key] for key in _TIME_KEYS if key in pairs), "")
    return Unwrapped(message, pairs.get("level", pairs.get("lvl", "")), stamp)


def _pairs(text: str) -> tuple[dict[str, str], str]:
    """Key-value pairs up to the first thing that is none, and what is left."""
    pairs: dict[str, str] = {}
    at = 0
    while at < len(text) and len(pairs) < _MAX_KEYS:
        match = _PAIR.match(text, at)
        if match is None:
            torn = _TORN.match(text, at)  # a quote that never closes: the line was cut
            if torn is not None and torn[1] not in pairs:
                pairs[torn[1]] = _unescape(text[torn.end() :])
                at = len(text)
            break
        key, value = match.groups()
        pairs.setdefault(key, _unescape(value[1:-1]) if value[:1] == '"' else value)
        at = match.end()
    return pairs, text[at:]


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), text)


def _json(text: str) -> Unwrapped | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    if isinstance(data.get("log"), str) and "stream" in data:  # docker's json-file log driver
        inner = data["log"].strip()
        return Unwrapped(inner) if inner.startswith("{") else unwrap(inner)
    message = next((data[key] for key in _MESSAGE_KEYS if isinstance(data.get(key), str)), None)
    if message is None:
        return None
    others = [(key, _shown(value)) for key, value in data.items() if key not in _QUIET_KEYS]
    level = data.get("level", data.get("severity", ""))
    stamp = next((data[key] for key in _TIME_KEYS if isinstance(data.get(key), str)), "")
    told = _told(message.rstrip("\n"), others[:_MAX_KEYS])
    return Unwrapped(told, level if isinstance(level, str) else "", stamp)


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        return "..."


def _told(message: str, others: list[tuple[str, str]]) -> str:
    tail = "".join(f' {key}="{value}"' for key, value in others)
    return (message + tail)[:MAX_MESSAGE_CHARS]
