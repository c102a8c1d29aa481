"""Makes Records of quoted lines and events: what they claim, at QUOTED trust."""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.model import Record, Trust
from agent.sources.claims import claimed_fields, says_pid1, speaker_by_file
from agent.sources.event_tables import object_of
from agent.sources.line_shapes import Line, split_line
from agent.sources.stamps import Clock, Stamp, age_s, iso_s, iso_stamp, klog_stamp, unix_s
from agent.sources.unwrap import MAX_MESSAGE_CHARS, Unwrapped, unwrap

_FIRST_LAST = re.compile(r"first (\S+), last (\S+)")
_TIMES_OVER = re.compile(r"(\S+)(?: \(x(\d{1,9}) over (\S+)\))?")
_SOURCE = re.compile(r"\{?([^\s,}]+)(?:,? ([^\s,}]+))?")
_APT_DATE = re.compile(r"(?:Start|End)-Date: +(?=\d)")

# Event lists that people paste often lost the reason column; these messages have one reason each.
_REASON_BY_START = (
    ("Pod sandbox changed, it will be killed", "SandboxChanged"),
    ("Failed create pod sandbox", "FailedCreatePodSandBox"),
    ("Failed to create pod sandbox", "FailedCreatePodSandBox"),
    ("Successfully assigned ", "Scheduled"),
    ("Created container", "Created"),
    ("Started container", "Started"),
    ("Stopping container ", "Killing"),
    ("Killing container ", "Killing"),
    ("Back-off restarting failed container", "BackOff"),
    ("Liveness probe failed", "Unhealthy"),
    ("Readiness probe failed", "Unhealthy"),
    ("Error syncing pod", "FailedSync"),
    ("The node was low on resource", "Evicted"),
    ("The node had condition", "Evicted"),
    ("System OOM encountered", "SystemOOM"),
    ("Error: ", "Failed"),
)


def inner_stamp(inner: Unwrapped) -> Stamp | None:
    """The time inside a message's envelope."""
    if not inner.stamp:
        return None
    return klog_stamp(inner.stamp) or iso_stamp(inner.stamp)


def zone_name(seconds: int) -> str:
    """``+05:30`` for seconds east of UTC."""
    sign = "-" if seconds < 0 else "+"
    return f"{sign}{abs(seconds) // 3600:02}:{abs(seconds) % 3600 // 60:02}"


def quoted_record(line: Line, raw: str, where: str, clock: Clock) -> Record:
    """One line whose prefix was taken off, as a Record."""
    inner = unwrap(line.text)
    fields = _speaker_fields(line, inner)
    stamp = line.stamp or inner_stamp(inner)
    at_s = line.at_s
    if at_s is None and stamp is not None:
        at_s = unix_s(stamp, clock)
        if stamp.zone_s is None:
            fields["TIME"] = "local"
            if clock.zone_s is not None:
                fields["ZONE"] = zone_name(clock.zone_s)
    if line.host:
        fields["_HOSTNAME"] = line.host
    if line.monotonic_s is not None:
        fields["_SOURCE_MONOTONIC_TIMESTAMP"] = str(int(line.monotonic_s * 1e6))
    if inner.level:
        fields["LEVEL"] = inner.level
    return _finished(inner.message, raw, fields, where, at_s)


def _finished(
    message: str, raw: str, fields: dict[str, str], where: str, at_s: float | None
) -> Record:
    if raw != message:
        fields["RAW"] = raw[:MAX_MESSAGE_CHARS]
    source = "kernel" if fields.get("_TRANSPORT") == "kernel" else "text"
    return Record(at_s, source, message[:MAX_MESSAGE_CHARS], fields, Trust.QUOTED, where)


def _speaker_fields(line: Line, inner: Unwrapped) -> dict[str, str]:
    identifier, pid = line.identifier, line.pid
    if not identifier and says_pid1(line.text):
        identifier = "systemd"
    if not identifier and inner.code_file:
        identifier = speaker_by_file(inner.code_file)
    return claimed_fields(identifier, pid, inner.message)


def record_from_line(  # noqa: PLR0913 - one entry of a corpus file, by its keys
    text: str,
    *,
    raw: str | None = None,
    at_s: float | None = None,
    source: str | None = None,
    unit: str | None = None,
    identifier: str | None = None,
) -> Record:
    """One quoted line of which somebody already wrote down who said it and when."""
    line = split_line(text if raw is None else raw) or Line(text)
    if raw is not None and not text.endswith(line.text):
        line = Line(
            text, line.stamp, line.at_s, line.monotonic_s, line.host, line.identifier, line.pid
        )
    speaker = _speaker(line, source, unit, identifier)
    line = Line(line.text, line.stamp, at_s if at_s is not None else line.at_s, line.monotonic_s,
                line.host, speaker, line.pid)  # fmt: skip
    record = quoted_record(line, text if raw is None else raw, "", Clock(at_s or _FAR_S, at_s))
    fields = dict(record.fields)
    _add_unit(fields, source, unit)
    time_s = record.at_s if record.at_s is not None else apt_date_s(text, Clock(_FAR_S))
    return Record(time_s, record.source, record.message, fields, Trust.QUOTED)


_FAR_S = 4102444800.0  # 2100: a line without a year is then of the last year it can be


def _speaker(line: Line, source: str | None, unit: str | None, identifier: str | None) -> str:
    if source == "kernel" or unit == "kernel" or identifier == "kernel":
        return "kernel"
    if source == "kubelet_log" and not identifier and not line.identifier:
        return "kubelet"
    return identifier or line.identifier


def _add_unit(fields: dict[str, str], source: str | None, unit: str | None) -> None:
    """Put the unit an entry names where it belongs: the speaker's own, or the one spoken about."""
    speaker = fields.get("SYSLOG_IDENTIFIER", "")
    if not unit or speaker == "kernel":
        return
    if speaker == "systemd" and unit == "init.scope":
        fields.setdefault("_PID", "1")  # the scope PID 1 itself runs in, not what it speaks about
    elif speaker == "systemd":
        if fields.get("_PID") == "1":
            fields["UNIT"] = unit
    elif not speaker or source in ("journal", "kubelet_log"):
        fields["_SYSTEMD_UNIT"] = unit
    elif fields.get("_SYSTEMD_UNIT") != unit:
        fields["UNIT"] = unit


def apt_date_s(text: str, clock: Clock) -> float | None:
    """The time in a ``Start-Date:`` line of apt's history.log."""
    match = _APT_DATE.match(text)
    if match is None:
        return None
    stamp = iso_stamp(" ".join(text[match.end() :].split()))
    return None if stamp is None else unix_s(stamp, clock)


def record_from_event(
    event: Mapping[str, object], *, now_s: float | None = None, where: str = ""
) -> Record:
    """One quoted event: ``ts type reason object source message count age``, any of them missing."""
    text = {key: value for key, value in event.items() if isinstance(value, str)}
    last, count, first = _ages(text.get("age", ""))
    at_s = iso_s(text.get("ts", ""))
    fields: dict[str, str] = {}
    since_s = None
    if at_s is None and now_s is not None:
        at_s, since_s = _before(now_s, last), _before(now_s, first)
        fields["TIME"] = "relative"
    elif at_s is not None and first and last:
        since_s = _before(at_s + (age_s(last) or 0.0), first)
    message = text.get("message", "")
    _add_event_fields(fields, text, message)
    given = event.get("count")
    times = given if isinstance(given, int) and not isinstance(given, bool) and given > 0 else count
    return Record(
        at_s, "events", message[:MAX_MESSAGE_CHARS], fields, Trust.QUOTED, where, "", times, since_s
    )


def _ages(age: str) -> tuple[str, int, str]:
    """Last age, count and first age of ``25m (x3 over 46m)`` or ``first 19h, last 1s``."""
    both = _FIRST_LAST.match(age)
    if both is not None:
        return both[2], 1, both[1]
    match = _TIMES_OVER.match(age)
    return (match[1], int(match[2] or 1), match[3] or "") if match else ("", 1, "")


def _before(now_s: float, age: str) -> float | None:
    ago_s = age_s(age)
    return None if ago_s is None else now_s - ago_s


def _add_event_fields(fields: dict[str, str], text: Mapping[str, str], message: str) -> None:
    kind, name = object_of(text.get("object", ""))
    component, node = event_source(text.get("source", ""))
    if kind == "Node":
        name = name or node
        node = node or name
    known = {
        "EVENT_REASON": text.get("reason") or _reason_of(message),
        "EVENT_TYPE": text.get("type", ""),
        "EVENT_COMPONENT": component,
        "OBJECT_KIND": kind,
        "OBJECT_NAME": name,
        "OBJECT_NAMESPACE": text.get("namespace", ""),
        "OBJECT_FIELD_PATH": text.get("field_path", ""),
        "NODE": node,
    }
    fields.update((key, value) for key, value in known.items() if value)


def event_source(text: str) -> tuple[str, str]:
    """Component and node of ``kubelet, host-a`` or the older ``{kubelet host-a}``."""
    match = _SOURCE.match(text)
    return (match[1], match[2] or "") if match else ("", "")


def _reason_of(message: str) -> str:
    return next((reason for start, reason in _REASON_BY_START if message.startswith(start)), "")
