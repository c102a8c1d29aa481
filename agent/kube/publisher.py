"""Posts Events within a budget of its own, each once, through an API server away for hours."""

from __future__ import annotations

import json
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from agent.kube.answers import Call, Refusal, Trouble
from agent.kube.event_body import Announcement
from agent.kube.http import Api
from agent.kube.pace import Bucket, Clockwork, backoff_s
from agent.model import BlindSpot

_LATER = frozenset(
    {
        Trouble.UNAUTHORIZED,
        Trouble.THROTTLED,
        Trouble.SERVER,
        Trouble.UNREACHABLE,
        Trouble.TIMEOUT,
        Trouble.TORN,
    }
)
_IDLE_S = 3600.0  # nothing to do: an offer wakes the thread
_NAMESPACE_ENDS = "being terminated"  # a 403 that is about the namespace, not about us


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may be said."""

    queued: int = 500
    per_incident: int = 112  # 110 pods, the kubelet's default maximum, the offender and the node
    burst: float = 50.0
    per_s: float = 10.0
    remembered: int = 5000  # names, and incidents
    answer_s: float = 15.0


class Publisher:
    """A bounded queue of Events. ``offer`` is for any thread, ``step`` and ``run`` for one.

    ``counts`` by result: created, existed, over_budget, pushed_out, forbidden, refused; and
    retried, which counts attempts.
    """

    def __init__(self, api: Api, clockwork: Clockwork, budget: Budget | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._api, self._clockwork = api, clockwork
        self._budget = budget or Budget()
        self._bucket = Bucket(self._budget.burst, self._budget.per_s)
        self._queue: deque[Announcement] = deque()
        self._offered: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._said_of: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._failures = 0
        self._blind: BlindSpot | None = None
        self._news: deque[BlindSpot] = deque(maxlen=16)

    def offer(self, announcements: Iterable[Announcement]) -> None:
        """Take in what has not been offered before; the oldest gives way when the queue is full."""
        with self._lock:
            for one in announcements:
                if self._is_new(one) and self._is_within(one.incident):
                    self._queue.append(one)
            while len(self._queue) > self._budget.queued:
                self._queue.popleft()
                self.counts["pushed_out"] += 1
        self._woken.set()

    def __len__(self) -> int:
        return len(self._queue)

    def waiting(self) -> tuple[Announcement, ...]:
        """What was offered and neither has arrived nor was given up."""
        with self._lock:
            return tuple(self._queue)

    def news(self) -> list[BlindSpot]:
        """What has become known since about not being heard: once when it begins and ends."""
        told = []
        while self._news:
            told.append(self._news.popleft())
        return told

    def run(self, stop: threading.Event) -> None:
        """Post until told to stop."""
        while not stop.is_set():
            pause_s = self.step()
            if pause_s >= _IDLE_S:
                self._woken.wait(1.0)
                self._woken.clear()
            elif pause_s and self._clockwork.wait(pause_s):
                break
        self._api.close()

    def step(self) -> float:
        """Post at most one Event, and return how many seconds not to come back for."""
        with self._lock:
            head = self._queue[0] if self._queue else None
        if head is None:
            return _IDLE_S
        short_s = self._bucket.short_of_s(self._clockwork.now_s())
        if short_s > 0:
            return short_s
        self._bucket.take()
        answer = self._api.request(_call(head), self._budget.answer_s)
        if isinstance(answer, Refusal) and answer.trouble is not Trouble.EXISTS:
            return self._refused(head, answer)
        self._failures = 0
        self._heard()
        self._done(head, "existed" if isinstance(answer, Refusal) else "created")
        return 0.0

    def _refused(self, head: Announcement, refusal: Refusal) -> float:
        """Keep what may be taken later; let go of what never will be, without hurrying on."""
        if refusal.trouble in _LATER:
            self.counts["retried"] += 1
            self._unheard(f"{refusal.trouble}: {refusal.why}")
        elif refusal.trouble is Trouble.FORBIDDEN and _NAMESPACE_ENDS not in refusal.why:
            self._unheard(f"may not create events: grant the verb 'create' ({refusal.why})")
            self._done(head, "forbidden")
        else:
            self._done(head, "refused")
            return 0.0
        self._failures += 1
        return backoff_s(self._failures, self._clockwork.luck(), refusal.retry_after_s)

    def _done(self, head: Announcement, result: str) -> None:
        self.counts[result] += 1
        with self._lock:
            if self._queue and self._queue[0] is head:  # else it was pushed out meanwhile
                self._queue.popleft()

    def _is_new(self, one: Announcement) -> bool:
        key = (one.namespace, one.name)
        if key in self._offered:
            return False
        self._offered[key] = None
        _forget(self._offered, self._budget.remembered)
        return True

    def _is_within(self, incident: str) -> bool:
        said = self._said_of.get(incident, 0)
        if said >= self._budget.per_incident:
            self.counts["over_budget"] += 1
            return False
        self._said_of[incident] = said + 1
        _forget(self._said_of, self._budget.remembered)
        return True

    def _unheard(self, why: str) -> None:
        if self._blind is None:
            self._blind = BlindSpot("announcements", why, self._clockwork.now_s())
            self._news.append(self._blind)

    def _heard(self) -> None:
        blind, self._blind = self._blind, None
        if blind is not None:
            now_s = self._clockwork.now_s()
            self._news.append(BlindSpot(blind.source, blind.why, blind.from_s, now_s))


def _call(one: Announcement) -> Call:
    path = f"/apis/events.k8s.io/v1/namespaces/{one.namespace}/events"
    body = json.dumps(one.body, separators=(",", ":")).encode()
    return Call("create", "events", path, body=body)


def _forget(known: OrderedDict[tuple[str, str], None] | OrderedDict[str, int], most: int) -> None:
    while len(known) > most:
        known.popitem(last=False)
