"""Streams the journals and pasted logs of a bundle, whatever form each is in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from agent.model import BlindSpot, Record
from agent.sources.bundle_files import Member
from agent.sources.export import ExportReader
from agent.sources.file_kinds import UTF16_MARKS, FileKind
from agent.sources.journal_fields import Interesting, Watch
from agent.sources.journal_json import JsonReader
from agent.sources.pasted import read_pasted

_LINE_BYTES = 1 << 20

Span = tuple[float | None, float | None]
Reading = tuple[Interesting | None, float, list[Span]]
"""Test on raw entries, the time ages are relative to, and where first and last times go."""


def read_log(member: Member, kind: FileKind, reading: Reading) -> Iterator[Record | BlindSpot]:
    """The records of one journal or log; its first and last time go into the reading's spans."""
    interesting, now_s, spans = reading
    stream, careful = member.open()
    with stream:
        if kind is FileKind.TEXT:
            lines = _text_lines(stream.readline)
            yield from _spanned(read_pasted(lines, member.name, now_s=now_s), spans)
        else:
            reader: ExportReader | JsonReader
            if kind is FileKind.JOURNAL_EXPORT:
                reader = ExportReader(stream, member.name, interesting)
            else:
                reader = JsonReader(stream, member.name, interesting)
            yield from reader
            spans.append((reader.watch.first_s, reader.watch.last_s))
            yield from _many_hosts(reader.watch, member.name)
        if careful.fault:
            yield BlindSpot("journal", f"{member.name} is cut short: {careful.fault}")


def _spanned(
    records: Iterator[Record | BlindSpot], spans: list[Span]
) -> Iterator[Record | BlindSpot]:
    first_s = last_s = None
    for record in records:
        at_s = record.at_s if isinstance(record, Record) else None
        if at_s is not None:
            first_s = at_s if first_s is None else min(first_s, at_s)
            last_s = at_s if last_s is None else max(last_s, at_s)
        yield record
    spans.append((first_s, last_s))


def _many_hosts(watch: Watch, name: str) -> Iterator[BlindSpot]:
    if len(watch.hosts) > 1:
        yield BlindSpot("journal", f"{name} mixes hosts: {', '.join(sorted(watch.hosts))}")


def widest(spans: list[Span]) -> Span:
    """The span from the first to the last of several."""
    firsts = [first_s for first_s, _ in spans if first_s is not None]
    lasts = [last_s for _, last_s in spans if last_s is not None]
    return min(firsts, default=None), max(lasts, default=None)


def _text_lines(readline: Callable[[int], bytes]) -> Iterator[str]:
    encoding = ""
    while line := readline(_LINE_BYTES):
        if not encoding:
            encoding = "utf-16" if line[:2] in UTF16_MARKS else "utf-8"
            if encoding == "utf-16":
                yield from _utf16_lines(line, readline)
                return
        yield line.decode("utf-8", "replace")


def _utf16_lines(first: bytes, readline: Callable[[int], bytes]) -> Iterator[str]:
    """Lines of a small UTF-16 file; a paste that long is no paste."""
    rest = b"".join(iter(lambda: readline(_LINE_BYTES), b""))
    yield from (first + rest).decode("utf-16", "replace").splitlines()


def first_record(logs: Iterable[tuple[Member, FileKind]]) -> Record | None:
    """Give the first entry that any of these holds."""
    for member, kind in logs:
        for found in read_log(member, kind, (None, 0.0, [])):
            if isinstance(found, Record):
                return found
    return None
