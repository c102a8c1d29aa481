"""Incidents kept on the node: one file each, the oldest given up for the newest.

A file is one line of JSON, the incident as programs read it (`knockon/v1`), and behind it the whole
Diagnosis, packed, from which every report can be made anew. What was stored last is also held in
memory, so that it can be asked for while the disk stalls.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.daemon.writer import Writer
from agent.report.jsonform import shortened

_ID = re.compile(r"[0-9a-f]{4,64}")
_IN_MEMORY = 20
_MOST_IN_MEMORY_BYTES = 2 << 20
_LARGEST_BYTES = 4 << 20
_MOST_VICTIMS = 250  # of one incident, in a list of all of them

Document = Mapping[str, Any]


class Store:
    """A bounded number of incidents; ``put`` is for one thread, reading for any."""

    def __init__(self, directory: Path, writer: Writer, keep: int, keep_bytes: int) -> None:
        self._directory = directory
        self._writer = writer
        self._keep, self._keep_bytes = keep, keep_bytes
        self._lock = threading.Lock()
        self._summaries: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self.trouble = ""

    def load(self) -> None:
        """Take in what lies on the disk from an agent before us, the oldest first."""
        found: list[tuple[str, dict[str, Any], int]] = []
        with suppress(OSError):
            for path in self._directory.glob("*.json"):
                raw = _read(path)
                summary = _summary(_document(raw))
                if summary and summary.get("id") == path.stem:
                    found.append((str(summary.get("opened_at") or ""), summary, len(raw)))
        for _, summary, size in sorted(found, key=lambda one: one[0]):
            self._summaries[summary["id"]] = summary
            self._sizes[summary["id"]] = size

    def put(self, incident_id: str, document: Document, diagnosis: bytes = b"") -> None:
        """Keep an incident, or its newer state."""
        if not _ID.fullmatch(incident_id):
            return
        raw = json.dumps(document, separators=(",", ":")).encode() + b"\n" + diagnosis
        with self._lock:
            self._summaries[incident_id] = _summary(document) or {"id": incident_id}
            self._sizes[incident_id] = len(raw)
            self._recent[incident_id] = raw
            self._recent.move_to_end(incident_id)
            while len(self._recent) > 1 and (
                len(self._recent) > _IN_MEMORY
                or sum(map(len, self._recent.values())) > _MOST_IN_MEMORY_BYTES
            ):
                self._recent.popitem(last=False)
            gone = self._too_many()
        self._writer.put(lambda: self._write(incident_id, raw, gone))

    def drop(self, incident_id: str) -> None:
        """Forget an incident that turned out to be part of another one."""
        with self._lock:
            known = self._summaries.pop(incident_id, None) is not None
            self._sizes.pop(incident_id, None)
            self._recent.pop(incident_id, None)
        if known:
            self._writer.put(lambda: self._remove(incident_id))

    def _remove(self, incident_id: str) -> None:
        with suppress(OSError):
            (self._directory / f"{incident_id}.json").unlink(missing_ok=True)

    def summaries(self) -> list[dict[str, Any]]:
        """Give a few words on each incident, the newest first."""
        with self._lock:
            kept = list(reversed(self._summaries.values()))
        return [{**one, "victims": _named(one.get("victims", ()))} for one in kept]

    def document(self, incident_id: str) -> bytes | None:
        """Give one incident as programs read it."""
        raw = self._raw(incident_id)
        return raw and raw.partition(b"\n")[0] + b"\n"

    def diagnosis(self, incident_id: str) -> bytes | None:
        """Give one incident's whole Diagnosis (`agent.sources.kept`)."""
        raw = self._raw(incident_id)
        return (raw and raw.partition(b"\n")[2]) or None

    def _raw(self, incident_id: str) -> bytes | None:
        with self._lock:
            raw = self._recent.get(incident_id)
            known = incident_id in self._summaries
        if raw is not None or not known or not _ID.fullmatch(incident_id):
            return raw
        return _read(self._directory / f"{incident_id}.json") or None

    def _too_many(self) -> list[str]:
        gone: list[str] = []
        while len(self._summaries) > 1 and (
            len(self._summaries) > self._keep or sum(self._sizes.values()) > self._keep_bytes
        ):
            oldest, _ = self._summaries.popitem(last=False)
            self._sizes.pop(oldest, None)
            gone.append(oldest)
        return gone

    def _write(self, incident_id: str, raw: bytes, gone: list[str]) -> None:
        path = self._directory / f"{incident_id}.json"
        half = path.with_suffix(".half")
        try:
            self._directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            for name in gone:  # first: it makes room
                (self._directory / f"{name}.json").unlink(missing_ok=True)
            half.write_bytes(raw)
            half.replace(path)
            self.trouble = ""
        except OSError as error:
            self.trouble = f"incidents are not kept: {path}: {error.strerror or error}"
            with suppress(OSError):
                half.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    with suppress(OSError), path.open("rb") as file:
        return file.read(_LARGEST_BYTES)
    return b""


def _document(raw: bytes) -> Document:
    try:
        document = json.loads(raw.partition(b"\n")[0])
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _summary(document: Document) -> dict[str, Any] | None:
    """Give an incident in short; its victims as short text, for there are many incidents."""
    try:
        short: dict[str, Any] = shortened(document["incidents"][0])
        names = [f"{one['namespace']}/{one['pod']}" for one in short["victims"][:_MOST_VICTIMS]]
        return {**short, "victims": tuple(names), "stage": document.get("stage")}
    except (LookupError, TypeError):
        return None


def _named(victims: Iterable[str]) -> list[dict[str, str]]:
    parts = (one.partition("/") for one in victims)
    return [{"namespace": namespace, "pod": pod} for namespace, _, pod in parts]
