"""What a file of a bundle is, by what it holds; its name decides only where content cannot."""

from __future__ import annotations

import re
from enum import StrEnum

from agent.recorder.ring_format import MAGIC


class FileKind(StrEnum):
    """The kinds of files a bundle is read from."""

    META = "meta"
    JOURNAL_EXPORT = "journal export"
    JOURNAL_JSON = "journal json"
    JOURNAL_BINARY = "journal binary"
    OBJECTS = "objects"
    PRESSURE = "pressure"
    PROBES = "probes"
    BACKUP_LOG = "backup log"
    RING = "ring"
    TEXT = "text"
    BINARY = "binary"
    EMPTY = "empty"


UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_EXPORT = re.compile(
    rb"\n*(?:__CURSOR|__REALTIME_TIMESTAMP|_BOOT_ID|_[A-Z_]+|[A-Z][A-Z_]{3,})(?:=|\n)"
)
_JOURNAL_KEY = re.compile(rb'"(?:__CURSOR|__REALTIME_TIMESTAMP|_BOOT_ID)"\s*:')
_OBJECT_KEY = re.compile(rb'"(?:apiVersion|kind|items|metadata|involvedObject|object)"\s*:')
_BACKUP_KEY = re.compile(rb'"allowed_bytes_per_s"\s*:')
_LOG_NAME = re.compile(
    r"(?:journal|syslog|messages|dmesg|kern|kubelet|docker|containerd|k3s|events|describe|history|dpkg|yum)"
    r"[\w.-]*$"
)


def kind_of_file(name: str, head: bytes) -> FileKind:
    """The kind of a file with this name and these first bytes."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not start:
        return FileKind.EMPTY
    if head[:2] in UTF16_MARKS:  # PowerShell's ">" writes UTF-16
        return FileKind.TEXT
    if head.startswith(MAGIC):
        return FileKind.RING
    if start.startswith(b"LPKSHHRH"):
        return FileKind.JOURNAL_BINARY
    if name == "meta.json":
        return FileKind.META
    if start[:1] in (b"{", b"[", b"\x1e") or start.startswith(b"data: {"):
        return _json_kind(start)
    first_line = start.partition(b"\n")[0]
    if b"," in first_line and b"_avg10" in first_line:
        return FileKind.PRESSURE
    if first_line.startswith((b"start,", b"ts,")) and b"seconds" in first_line:
        return FileKind.PROBES
    return _text_kind(start, head)


def _text_kind(start: bytes, head: bytes) -> FileKind:
    if _EXPORT.match(start) and b"=" in head:
        return FileKind.JOURNAL_EXPORT
    if _BACKUP_KEY.search(head):  # behind what its pod said first
        return FileKind.BACKUP_LOG
    return FileKind.BINARY if _is_binary(head) else FileKind.TEXT


def _json_kind(start: bytes) -> FileKind:
    if _JOURNAL_KEY.search(start):
        return FileKind.JOURNAL_JSON
    if _BACKUP_KEY.search(start):
        return FileKind.BACKUP_LOG
    return FileKind.OBJECTS if _OBJECT_KEY.search(start) else FileKind.TEXT


def _is_binary(head: bytes) -> bool:
    """Whether bytes are no text: too many control characters, or too little UTF-8."""
    odd = sum(byte < 9 or 13 < byte < 27 for byte in head)
    return odd * 20 > len(head) or head.decode("utf-8", "replace").count("\ufffd") * 4 > len(head)


def is_log_name(name: str) -> bool:
    """Whether a text file beside others is a log, and not a README or somebody's notes."""
    return _LOG_NAME.match(name.lower()) is not None
