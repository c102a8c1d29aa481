"""What the tests of pasted logs share."""

from __future__ import annotations

from datetime import UTC, datetime

from agent.model import Record
from agent.sources.pasted import read_pasted

NOW_S = 1577836800.0  # 2020-01-01T00:00:00Z


def paste(text: str, now_s: float = NOW_S) -> list[Record]:
    found = read_pasted(text.splitlines(keepends=True), "log", now_s=now_s)
    return [one for one in found if isinstance(one, Record)]


def one(text: str) -> Record:
    (record,) = paste(text)
    return record


def utc(record: Record) -> str:
    assert record.at_s is not None
    return datetime.fromtimestamp(record.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0.")
