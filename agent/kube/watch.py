"""List, then watch, then keep watching: through every way in which that can be interrupted.

A change is lost only where the server itself forgot it (410); the list that follows then brings
the state, and a ``BlindSpot`` says since when the steps in between are unknown.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from agent.kube.answers import (
    JSON,
    Broken,
    Call,
    Refusal,
    Trouble,
    metadata_of,
    refusal_of,
)
from agent.kube.http import Api
from agent.kube.pace import Clockwork, backoff_s
from agent.model import BlindSpot
from agent.sources.json_list import ListReader
from agent.sources.untyped import mapping, text, whole

T = TypeVar("T")
Object = Mapping[str, object]
_CALM_S = 30.0  # a watch that lived longer had recovered: the next failure is a first one
_SHORT_S = 10.0  # a watch that ends sooner is a failure, or a proxy could make us spin
_SAY_BLIND_AFTER_S = 30.0
_TRIES_AT_ONE_VERSION = 3
_PAGE = 500
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})


@dataclass(frozen=True, slots=True)
class Feed(Generic[T]):
    """What to follow, and what of each object to keep."""

    resource: str
    path: str
    selector: str
    keep: Callable[[Object], T]
    cached: bool = True  # served from the API server's memory, which also sends bookmarks
    watch_s: float = 300.0  # asked of the server, up to half as long again
    silent_s: float = 150.0  # bookmarks come every minute; without one the socket is half open
    answer_s: float = 30.0
    metadata_only: bool = False  # spares the server and us specs and statuses


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """Everything there is now."""

    items: tuple[T, ...]


@dataclass(frozen=True, slots=True)
class Touched(Generic[T]):
    """One thing that changed, in order."""

    change: str  # ADDED, MODIFIED, DELETED
    item: T


class Follower(Generic[T]):
    """Follows one feed over one connection until told to stop; counts why it had to begin anew."""

    def __init__(
        self, api: Api, feed: Feed[T], clockwork: Clockwork, counts: Counter[str] | None = None
    ) -> None:
        self.counts: Counter[str] = Counter() if counts is None else counts
        self._api, self._feed, self._clockwork = api, feed, clockwork
        self._version = ""  # watch from here; empty: list first
        self._floor = ""  # a list must not be older than what was seen already
        self._failures = 0
        self._tries_here = 0
        self._heard_s = clockwork.now_s()
        self._blind: BlindSpot | None = None
        self._denied: set[str] = set()  # refusals for good are said once

    def __iter__(self) -> Iterator[Listed[T] | Touched[T] | BlindSpot]:
        while True:
            began_s = self._clockwork.now_s()
            step = self._watch() if self._version else self._list()
            refusal = yield from step
            if refusal is None:
                if self._clockwork.wait(0.0):
                    break
                continue
            now_s = self._clockwork.now_s()
            self.counts[refusal.trouble] += 1
            self._settle(refusal, now_s - began_s)
            yield from self._say_blind(refusal, now_s)
            asked_s = refusal.retry_after_s
            pause_s = backoff_s(self._failures, self._clockwork.luck(), asked_s)
            if self._clockwork.wait(pause_s):
                break
        self._api.close()

    # -- one list --------------------------------------------------------------------------------

    def _list(self) -> Generator[Listed[T] | BlindSpot, None, Refusal | None]:
        items: list[T] = []
        page = ""
        while True:
            answer = self._api.open(self._list_call(page), self._feed.answer_s)
            if isinstance(answer, Refusal):
                return answer
            reader = ListReader(answer.pieces())
            try:
                items += [self._feed.keep(thing) for thing in reader]
            except Broken as broken:
                return broken.refusal
            except (ValueError, RecursionError) as error:
                return Refusal(Trouble.TORN, str(error)[:400])
            page = reader.next_page
            if not page:
                break
        if not reader.version:
            return Refusal(Trouble.TORN, "the list has no resource version")
        yield from self._see_again(relisted=bool(self._floor) and self._feed.cached)
        self._version = self._floor = reader.version
        self._tries_here = 0
        self.counts["listed"] += 1
        yield Listed(tuple(items))
        return None

    def _list_call(self, page: str) -> Call:
        feed = self._feed
        query = [("fieldSelector", feed.selector)]
        if page:
            query += [("limit", str(_PAGE)), ("continue", page)]
        elif not feed.cached:
            query += [("limit", str(_PAGE))]
        elif self._floor:
            query += [("resourceVersion", self._floor), ("resourceVersionMatch", "NotOlderThan")]
        else:
            query += [("resourceVersion", "0")]
        accept = metadata_of("PartialObjectMetadataList") if feed.metadata_only else JSON
        return Call("list", feed.resource, feed.path, tuple(query), accept=accept)

    # -- one watch -------------------------------------------------------------------------------

    def _watch(self) -> Generator[Touched[T] | BlindSpot, None, Refusal | None]:
        feed, luck = self._feed, self._clockwork.luck()
        watch_s = int(feed.watch_s * (1.0 + luck / 2))
        query = (
            ("watch", "1"),
            ("fieldSelector", feed.selector),
            ("resourceVersion", self._version),
            ("timeoutSeconds", str(watch_s)),
            ("allowWatchBookmarks", "true"),
        )
        accept = metadata_of("PartialObjectMetadata") if feed.metadata_only else JSON
        call = Call("watch", feed.resource, feed.path, query, accept=accept)
        silent_s = feed.silent_s if feed.cached else watch_s + feed.silent_s
        began_s = self._clockwork.now_s()
        answer = self._api.open(call, feed.answer_s, silent_s)
        if isinstance(answer, Refusal):
            return answer
        yield from self._see_again(relisted=False)
        try:
            for line in answer.lines():
                told = self._understood(line)
                if isinstance(told, Refusal):
                    return told
                self._heard_s = self._clockwork.now_s()
                if told is not None:
                    yield told
        except Broken as broken:
            if broken.refusal.trouble is not Trouble.TIMEOUT:  # until now it was alive
                self._heard_s = self._clockwork.now_s()
            return broken.refusal
        self._heard_s = self._clockwork.now_s()
        if self._heard_s - began_s < _SHORT_S:
            return Refusal(Trouble.TORN, "the watch ended as soon as it began")
        self.counts["ended"] += 1
        self._failures = 0
        return None

    def _understood(self, line: bytes) -> Touched[T] | Refusal | None:
        """One line of a watch; ``None`` for a bookmark and for what later versions may add."""
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return Refusal(Trouble.TORN, "a line of the watch is not JSON")
        change, thing = text(event, "type"), mapping(event, "object")
        if change == "ERROR":
            status = whole(thing, "code") or 500
            return refusal_of(status, json.dumps(thing).encode())
        version = text(thing, "metadata", "resourceVersion")
        if not version:
            return Refusal(Trouble.TORN, "a line of the watch has no resource version")
        self._version = self._floor = version
        self._tries_here = 0
        return Touched(change, self._feed.keep(thing)) if change in _CHANGES else None

    # -- what a failure means --------------------------------------------------------------------

    def _settle(self, refusal: Refusal, lived_s: float) -> None:
        """Decide how long this has been going on, and whether our position is still good."""
        self._failures = 1 if lived_s >= _CALM_S and self._version else self._failures + 1
        self._tries_here += 1
        stuck = self._tries_here >= _TRIES_AT_ONE_VERSION
        too_new = stuck and not self._version and refusal.status == 504  # etcd was set back
        if refusal.trouble in (Trouble.GONE, Trouble.INVALID) or too_new:
            self._version, self._floor = "", self._floor if self._version else ""
        elif refusal.trouble is Trouble.TOO_LARGE or (refusal.trouble is Trouble.TORN and stuck):
            self._version = ""

    def _say_blind(self, refusal: Refusal, now_s: float) -> Iterator[BlindSpot]:
        """Say once that we may not, or that for half a minute nothing has been heard."""
        if refusal.trouble is Trouble.FORBIDDEN:
            verb = "watch" if self._version else "list"
            why = f"may not {verb} {self._feed.resource}: grant the verb {verb!r} ({refusal.why})"
            if verb in self._denied:
                return
            self._denied.add(verb)
        elif self._blind is None and now_s - self._heard_s >= _SAY_BLIND_AFTER_S:
            if refusal.trouble is Trouble.GONE:
                return
            why = f"{refusal.trouble}: {refusal.why}"
        else:
            return
        self._blind = BlindSpot(self._feed.resource, why, self._heard_s)
        yield self._blind

    def _see_again(self, *, relisted: bool) -> Iterator[BlindSpot]:
        """Close what was blind; after a list that had to be repeated, steps in between are lost."""
        now_s = self._clockwork.now_s()
        blind, self._blind = self._blind, None
        if blind is not None:
            yield BlindSpot(blind.source, blind.why, blind.from_s, now_s)
        elif relisted:
            why = "read anew: single steps in between are unknown"
            yield BlindSpot(self._feed.resource, why, self._heard_s, now_s)
        self._heard_s = now_s
        self._denied.clear()
