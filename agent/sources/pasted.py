"""Reads logs as people paste them: journalctl, syslog, dmesg, kubectl tables, package histories.

Lines of many kinds may be mixed. Every line becomes a Record with what it claims; nothing in a
paste is trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice
from types import MappingProxyType

from agent.model import BlindSpot, Record, Trust
from agent.sources.describe import Describe, Said
from agent.sources.event_tables import Row, header_pattern, row_of
from agent.sources.line_shapes import Line, split_line
from agent.sources.paste_clock import is_broken, learn_clock, wrap_width
from agent.sources.quoted import (
    apt_date_s,
    quoted_record,
    record_from_event,
    record_from_line,
)
from agent.sources.stamps import Clock
from agent.sources.unwrap import MAX_MESSAGE_CHARS, unwrap

__all__ = ["read_pasted", "record_from_event", "record_from_line"]

_LOOKAHEAD_LINES = 2000
_MAX_JOINED = 8
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|[@-Z\\^_])")
_MANGLED_ANSI = re.compile(r"(?:#033|\^\[|\\x1b|\\u001b)\[[0-9;]{0,12}m")  # rsyslog, cat -v, JSON
_QUOTE = re.compile(r"(?: ?> ?)+(?=\S)|\| (?=\S)")
_BOOT = re.compile(r"-- (?:Reboot|Boot ([0-9a-f]{32}))(?: --|$)")
_APT = re.compile(r"(?:Start-Date|Commandline|Requested-By|Install|Upgrade|Remove|Purge|Reinstall"
                  r"|Downgrade|Error|End-Date): ")  # fmt: skip
_STACK = re.compile(
    r"\s|goroutine \d|panic\b|runtime[./]|created by |(?:[\w.-]+/)+[\w.()*-]+\(|r\w\w? +0x"
)
_JOURNALCTL = MappingProxyType({"SYSLOG_IDENTIFIER": "journalctl"})
_SPEAKER_FIELDS = (
    "SYSLOG_IDENTIFIER",
    "_PID",
    "_COMM",
    "_SYSTEMD_UNIT",
    "_TRANSPORT",
    "SYSLOG_FACILITY",
)
_FENCE = re.compile(r"(?:```|~~~|-- No entries --|-{3,}$|={3,}$)")


def read_pasted(lines: Iterable[str], where: str, *, now_s: float) -> Iterator[Record | BlindSpot]:
    """Every line as a Record; ages are taken relative to ``now_s``."""
    clean = enumerate(map(_clean, lines), start=1)
    head = list(islice(clean, _LOOKAHEAD_LINES))
    texts = [text for _, text in head]
    reader = _Paste(where, learn_clock(texts, now_s))
    for number, text in _joined(chain(head, clean), wrap_width(texts)):
        yield from reader.see(number, text)
    yield from reader.end()


def _clean(line: str) -> str:
    """A line without colours, quoting marks, NULs, line ends and what is beyond 64 k."""
    text = line[: MAX_MESSAGE_CHARS + 1].rstrip("\r\n")
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "[" in text and ("#033" in text or "^[" in text or "\\" in text):
        text = _MANGLED_ANSI.sub("", text)
    text = text.replace("\x00", "").replace("\ufeff", "").replace("\xa0", " ")
    match = _QUOTE.match(text)
    return (text[match.end() :] if match else text).rstrip()


def _joined(lines: Iterator[tuple[int, str]], width: int) -> Iterator[tuple[int, str]]:
    """The lines as they were before a ticket wrapped them."""
    held: tuple[int, str] | None = None
    end, parts = "", 0
    for number, text in lines:
        broken = (
            held is not None
            and parts < _MAX_JOINED
            and text
            and is_broken(end if width else held[1], width)
        )
        if held and broken and not _starts_anew(text):
            held, end, parts = (held[0], f"{held[1]} {text.strip()}"), text, parts + 1
            continue
        if held:
            yield held
        held, end, parts = (number, text), text, 1
    if held:
        yield held


def _starts_anew(text: str) -> bool:
    if split_line(text) is not None or _FENCE.match(text) or text.startswith("-- "):
        return True
    return unwrap(text).stamp != "" or row_of(text, None) is not None or bool(_APT.match(text))


class _Paste:
    """What is known while the lines of one paste go by."""

    def __init__(self, where: str, clock: Clock) -> None:
        self._where = where
        self._clock = clock
        self._boot = ""
        self._boots = 0
        self._boot_at_s: float | None = None  # wall clock at the kernel's second zero
        self._last: Record | None = None  # the stream an undated line may belong to
        self._blank = False
        self._table: re.Pattern[str] | None = None
        self._row: tuple[int, Row] | None = None  # its message may go on in the next line
        self._describe = Describe(clock)
        self._apt_at_s: float | None = None
        self._unreadable = 0

    def see(self, number: int, text: str) -> Iterator[Record | BlindSpot]:
        """What this line says, or completes."""
        if not text.strip():
            yield from self._flush()
            self._blank = True
            return
        if text.count("\ufffd") > len(text) // 4:
            self._unreadable += 1
            return
        header = header_pattern(text)
        row = None if header is not None else row_of(text, self._table)
        line = split_line(text) if header is None and row is None else None
        if self._row is not None and not (header or row or line) and text[0].isspace():
            self._row = self._row[0], self._row[1].with_more(text)
            return
        yield from self._flush()
        if header is not None:
            self._table = header
        elif row is not None:
            self._row = number, row
        elif line is not None:
            yield self._dated(line, text, number)
        else:
            yield from self._undated(text, number)
        self._blank = False

    def end(self) -> Iterator[Record | BlindSpot]:
        """What the last lines still had to say, and how many could not be read."""
        yield from self._flush()
        for said in self._describe.end():
            yield self._said(said, self._where)
        if self._unreadable:
            yield BlindSpot("text", f"{self._unreadable} lines are not text ({self._where})")

    def _flush(self) -> Iterator[Record]:
        """The event whose message is now known to be complete."""
        if self._row is None:
            return
        (number, row), self._row = self._row, None
        self._last = None
        about = self._describe
        kind, name = (row.kind, row.name) if row.kind or row.name else (about.kind, about.name)
        event = {
            "type": row.type,
            "reason": row.reason,
            "object": f"{kind}/{name}" if name else kind,
            "namespace": row.namespace or (about.namespace if name == about.name else ""),
            "source": row.source,
            "field_path": row.field_path,
            "message": row.message,
            "count": row.count,
            "age": f"first {row.first}, last {row.last}" if row.first else row.last,
        }
        yield record_from_event(event, now_s=self._clock.now_s, where=self._at(number))

    def _dated(self, line: Line, text: str, number: int) -> Record:
        record = self._booted(quoted_record(line, text, self._at(number), self._clock))
        if line.monotonic_s is not None:
            if record.at_s is not None:
                self._boot_at_s = record.at_s - line.monotonic_s
            elif self._boot_at_s is not None:
                record = replace(record, at_s=self._boot_at_s + line.monotonic_s)
        self._last = record
        return record

    def _undated(self, text: str, number: int) -> Iterator[Record]:
        boot = _BOOT.match(text)
        if boot is not None:
            yield self._new_boot(boot[1], text, number)
        elif _APT.match(text):
            yield self._apt(text, number)
        elif _FENCE.match(text):
            self._last = None
        elif (said := self._describe.see(text)) is not None:
            self._last = None
            yield from (self._said(one, self._at(number)) for one in said)
        else:
            yield self._continued(text, number)

    def _new_boot(self, boot_id: str | None, text: str, number: int) -> Record:
        self._boots += 1
        self._boot = boot_id or f"boot-{self._boots}"
        self._boot_at_s = self._last = None
        return Record(None, "text", text, _JOURNALCTL, Trust.QUOTED, self._at(number), self._boot)

    def _apt(self, text: str, number: int) -> Record:
        """A line of a stanza of apt's history.log, which is dated by its first line."""
        if text.startswith("Start-Date"):
            self._apt_at_s = apt_date_s(text, self._clock)
        at_s = apt_date_s(text, self._clock) or self._apt_at_s
        fields = {"SYSLOG_IDENTIFIER": "apt-history", "TIME": "local"}
        return Record(at_s, "text", text, fields, Trust.QUOTED, self._at(number), self._boot)

    def _continued(self, text: str, number: int) -> Record:
        """A line without a prefix: dated by its own envelope, by the stream it is in, or not."""
        record = self._booted(quoted_record(Line(text), text, self._at(number), self._clock))
        last = self._last
        if record.at_s is not None:
            self._last = record
        elif last is not None and _STACK.match(text):
            kept = {key: last.fields[key] for key in _SPEAKER_FIELDS if key in last.fields}
            record = replace(record, at_s=last.at_s, fields={**kept, **record.fields})
        elif last is not None and not self._blank:
            record = replace(record, at_s=last.at_s)
        else:
            self._last = None
        return record

    def _said(self, said: Said, where: str) -> Record:
        fields = {
            "EVENT_REASON": said.reason,
            "EVENT_COMPONENT": "kubelet",
            "OBJECT_KIND": said.kind,
            "OBJECT_NAME": said.name,
            "OBJECT_NAMESPACE": said.namespace,
            "NODE": said.node,
            **said.detail,
        }
        kept = {key: value for key, value in fields.items() if value}
        return Record(said.at_s, "text", said.message, kept, Trust.QUOTED, where)

    def _booted(self, record: Record) -> Record:
        return replace(record, boot=self._boot) if self._boot else record

    def _at(self, number: int) -> str:
        return f"{self._where}:{number}"
