"""The sources: each reads one thing on a thread of its own and puts what it read into the inbox."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from agent.daemon.inbox import Inbox
from agent.daemon.log import Log
from agent.journal.live import Begin, JournalPlace, LiveJournal
from agent.kube.access import Access
from agent.kube.answers import Call, Refusal
from agent.kube.http import Api, Incoming
from agent.kube.pace import Clockwork, backoff_s
from agent.kube.pod_changes import PodChange
from agent.kube.source import (
    SandboxEvents,
    Tuning,
    sandbox_events_mode,
    sandbox_events_of,
    watch_pods,
    watch_sandbox_events,
    who_keeps_pods_off,
)
from agent.model import BlindSpot, Kind, Pod, Record
from agent.recorder.frame import PodName
from agent.recorder.loop import Names, Recorder, Second, run

READ_S = 0.25
_ASK_FOR = frozenset({Kind.SANDBOX_LOST, Kind.CONTAINER_EXITED, Kind.SANDBOX_CHANGED})
_MOST_ASKED = 110
_NODE_ASKED_EVERY_S = 60.0
STALLED_AFTER_S = 10.0
_STALL = "the reader of the journal says nothing: its disk may not answer"
_GRANT = "grant the verb"  # a right that is missing does not come back by itself


@dataclass(frozen=True, slots=True)
class Batch:
    """What the reader child said at once, and where the journal stands behind it."""

    items: tuple[Record | BlindSpot, ...]
    cursor: str
    caught_up: bool
    newest_s: float | None
    restarts: int
    libsystemd: str


class Requests:
    """Counts what was asked of the API server, by verb, resource and answer."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()

    def told(self, call: Call, answer: Incoming | Refusal) -> None:
        """Take note of one answer."""
        if isinstance(answer, Incoming):
            code = "201" if call.verb == "create" else "200"
        else:
            code = str(answer.status) if answer.status else str(answer.trouble)
        self.counts[call.verb, call.resource, code] += 1


class CountedApi(Api):
    """A connection whose requests are counted."""

    def __init__(self, access: Access, requests: Requests) -> None:
        super().__init__(access)
        self._requests = requests

    def open(
        self, call: Call, deadline_s: float, silent_s: float | None = None
    ) -> Incoming | Refusal:
        """Ask, and count the answer."""
        answer = super().open(call, deadline_s, silent_s)
        self._requests.told(call, answer)
        return answer


@dataclass(slots=True)
class JournalSource:
    """Follows the journal; waits for room in the inbox, since the journal can be read later."""

    place: JournalPlace
    begin: Begin
    matches: tuple[str, ...]
    inbox: Inbox
    cursor: str = ""  # where a restarted source goes on
    stalled_after_s: float = STALLED_AFTER_S
    _stalled_since_s: float | None = None

    def work(self, stop: threading.Event) -> None:
        """Read until told to stop."""
        begin = Begin(self.cursor) if self.cursor else self.begin
        said: tuple[object, ...] = ()
        with LiveJournal(self.place, begin, self.matches, time.monotonic) as journal:
            while not stop.is_set():
                items = [*journal.read(READ_S), *self._stall(journal.silent_s)]
                now = (journal.caught_up, journal.restarts, journal.libsystemd)
                if not items and now == said:
                    continue
                said = now
                batch = Batch(
                    tuple(items), journal.cursor, now[0], journal.newest_s, now[1], now[2]
                )
                if not self.inbox.put_patiently("journal", batch, stop.is_set):
                    return
                self.cursor = journal.cursor

    def _stall(self, silent_s: float) -> list[BlindSpot]:
        """Tell once that reading stalls, and once that it goes on."""
        now_s, since_s = time.time(), self._stalled_since_s  # noqa: TID251 - the edge
        if silent_s >= self.stalled_after_s and since_s is None:
            self._stalled_since_s = now_s - silent_s
            return [BlindSpot("journal", _STALL, self._stalled_since_s)]
        if silent_s < self.stalled_after_s and since_s is not None:
            self._stalled_since_s = None
            return [BlindSpot("journal", _STALL, since_s, now_s)]
        return []


@dataclass(slots=True)
class PodSource:
    """Watches the pods of this node; asks for a pod's events where nobody watches them.

    Where one is evicted, the node itself is asked whether somebody empties it: a drain says so
    only in Events and in its taints, which nobody watches. The watch keeps a connection busy, so
    that question has another one.
    """

    api: Api
    asking: Api
    node: str
    clockwork: Clockwork
    tuning: Tuning
    inbox: Inbox
    asked: Asked
    log: Log
    _asked_node_s: float = float("-inf")

    def work(self, stop: threading.Event) -> None:
        """Watch until told to stop."""
        for told in watch_pods(self.api, self.node, self.clockwork, self.tuning):
            if isinstance(told, PodChange):
                self.asked.about(told)
                told = self._with_node(told)  # noqa: PLW2901 - the same change, with more known
            if not self.inbox.put_patiently("pods", told, stop.is_set) or stop.is_set():
                return

    def interrupt(self) -> None:
        """End whatever it waits for."""
        self.api.interrupt()
        self.asking.interrupt()

    def _with_node(self, change: PodChange) -> PodChange:
        """Add to the eviction of a pod what the node says of itself then."""
        evicted = next((f for f in change.facts if f.kind is Kind.POD_EVICTED_BY_API), None)
        now_s = self.clockwork.now_s()
        if evicted is None or 0 <= now_s - self._asked_node_s < _NODE_ASKED_EVERY_S:
            return change
        self._asked_node_s = now_s
        said = who_keeps_pods_off(self.asking, self.node)
        if isinstance(said, Refusal):
            self.log.complain(f"whether the node is drained could not be read: {said.why}")
            return change
        of_then = (replace(fact, at_s=evicted.at_s) for fact in said)
        return replace(change, facts=(*of_then, *change.facts))


@dataclass(slots=True)
class Asked:
    """Pods whose events somebody should look at."""

    on_demand: bool = False
    pods: deque[Pod] = field(default_factory=lambda: deque(maxlen=_MOST_ASKED))
    woken: threading.Event = field(default_factory=threading.Event)

    def about(self, change: PodChange) -> None:
        """Ask about a pod that shows signs of having been re-created."""
        if self.on_demand and any(fact.kind in _ASK_FOR for fact in change.facts):
            self.pods.append(change.pod)
            self.woken.set()


@dataclass(slots=True)
class EventSource:
    """Sandbox events: watched in small clusters, asked for one pod at a time in large ones."""

    api: Api
    node: str
    clockwork: Clockwork
    tuning: Tuning
    inbox: Inbox
    asked: Asked
    wanted: SandboxEvents
    log: Log

    def work(self, stop: threading.Event) -> None:
        """Watch, or answer questions, until told to stop."""
        mode, doubt = sandbox_events_mode(self.api, self.wanted)
        failures = 0
        while doubt is not None and _GRANT not in doubt.why:  # it may be back any moment
            failures += 1
            if self.clockwork.wait(backoff_s(failures, self.clockwork.luck())):
                return
            mode, doubt = sandbox_events_mode(self.api, self.wanted)
        if doubt is not None:
            self.log.complain(doubt.why)
        self.asked.on_demand = mode is SandboxEvents.ON_DEMAND
        if mode is SandboxEvents.WATCH:
            told = watch_sandbox_events(self.api, self.node, self.clockwork, self.tuning)
            self._put(told, stop)
            return
        while not stop.is_set():
            self.asked.woken.wait(1.0)
            self.asked.woken.clear()
            while self.asked.pods and not stop.is_set():
                pod = self.asked.pods.popleft()
                answer = sandbox_events_of(self.api, pod, self.clockwork)
                if isinstance(answer, Refusal):
                    self.log.complain(f"events of a pod could not be read: {answer.why}")
                else:
                    self._put(answer, stop)

    def interrupt(self) -> None:
        """End whatever it waits for."""
        self.asked.woken.set()
        self.api.interrupt()

    def _put(self, told: Iterable[Record | BlindSpot], stop: threading.Event) -> None:
        for one in told:
            if not self.inbox.put_patiently("events", one, stop.is_set) or stop.is_set():
                return


@dataclass(slots=True)
class RecorderSource:
    """The flight recorder; never waits for anybody."""

    make: Callable[[Names], Recorder]
    inbox: Inbox
    names: Mapping[str, PodName] = field(default_factory=dict)  # replaced as a whole, never changed

    def work(self, stop: threading.Event) -> None:
        """Record until told to stop."""
        recorder = self.make(lambda: self.names)
        try:
            run(recorder, stop, self._tell)
        finally:
            recorder.close()

    def _tell(self, second: Second) -> None:
        self.inbox.put("recorder", second)
