"""One watch of the fake API server, from its first line to the way it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tests.fake_faults import Fault, Wrong
from tests.fake_store import Entry, Object, as_seen

if TYPE_CHECKING:
    from tests.fake_api import FakeApi

Chunk = Callable[[bytes], None]
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    504: "Timeout",
}


class Ended(StrEnum):
    """How a watch ended."""

    CLEAN = "clean"
    HUNG_UP = "hung_up"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asked to watch, and the form in which it gets objects."""

    resource: str
    namespace: str
    query: Mapping[str, str]
    chosen: Callable[[Object], bool]
    shown: Callable[[Object], Object]

    @property
    def for_s(self) -> float:
        """How long the client wants to watch."""
        return float(self.query.get("timeoutSeconds") or 1800)

    def line(self, entry: Entry) -> bytes | None:
        """The entry as this client sees it, if it does."""
        home = entry.now["metadata"].get("namespace", "")
        change = as_seen(entry, self.chosen) if self.namespace in ("", home) else None
        return None if change is None else line_of(change, self.shown(entry.now))


def stream(api: FakeApi, wanted: Wanted, position: int, fault: Fault | None, chunk: Chunk) -> Ended:
    """Send changes and bookmarks until the client's time is up, or the script says otherwise."""
    sent = 0
    end_s = time.monotonic() + wanted.for_s
    bookmark_s = time.monotonic() + api.bookmark_every_s
    while not api.stopping.is_set() and time.monotonic() < end_s:
        entries = api.store.since(wanted.resource, position)
        for entry in entries:
            position = entry.version
            line = wanted.line(entry)
            if line is None:
                continue
            if fault is not None and sent == fault.after:
                return _fail(api, fault, line, chunk)
            chunk(line)
            sent += 1
        if fault is not None and sent >= fault.after and not entries:
            return _fail(api, fault, line_of("MODIFIED", {"metadata": {}}), chunk)
        if not entries and _idle(api, wanted, position, chunk):
            break
        if time.monotonic() >= bookmark_s:
            _bookmark(wanted, api.store.version, chunk)
            bookmark_s += api.bookmark_every_s
        soonest_s = min(end_s, bookmark_s) - time.monotonic()
        api.store.wait(api.store.version, min(0.2, max(0.0, soonest_s)))
    chunk(b"")
    return Ended.CLEAN


def _idle(api: FakeApi, wanted: Wanted, position: int, chunk: Chunk) -> bool:
    """With a simulated clock an idle watch has lasted its full time at once."""
    if api.clock is None:
        return False
    _bookmark(wanted, position, chunk)
    api.clock.advance(wanted.for_s)
    return True


def _bookmark(wanted: Wanted, version: int, chunk: Chunk) -> None:
    if wanted.resource == "events" or wanted.query.get("allowWatchBookmarks") != "true":
        return  # uncached resources have none
    chunk(line_of("BOOKMARK", {"metadata": {"resourceVersion": str(version)}}))


def _fail(api: FakeApi, fault: Fault, line: bytes, chunk: Chunk) -> Ended:
    if fault.wrong is Wrong.HALF_LINE:
        chunk(line[: len(line) // 2])
        return Ended.HUNG_UP
    if fault.wrong is Wrong.SILENCE:
        api.stopping.wait(30)
        return Ended.HUNG_UP
    if fault.wrong is Wrong.LONG_LINE:
        chunk(b'{"type": "MODIFIED", "object": {"junk": "' + b"x" * (10 << 20))
        chunk(b'"}}\n')
    elif fault.wrong is Wrong.NOT_JSON:
        chunk(b"<html>bad gateway</html>\n")
    elif fault.wrong in (Wrong.GONE, Wrong.ERROR):
        code = 410 if fault.wrong is Wrong.GONE else 500
        chunk(line_of("ERROR", status_object(code, "too old resource version")))
    elif fault.wrong is not Wrong.END:
        return Ended.RESET
    chunk(b"")
    return Ended.CLEAN


def line_of(change: str, thing: Object) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": change, "object": thing}).encode() + b"\n"


def status_object(code: int, message: str) -> Object:
    """What a real server says beside a status code."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Success" if code < 400 else "Failure",
        "message": message,
        "reason": _REASONS.get(code, ""),
        "code": code,
    }
