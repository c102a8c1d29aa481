"""The flight recorder: once a second a look at the node, into the ring, whatever else happens.

It runs on a thread of its own and owns sampler and ring. It touches no disk; when a write to the
ring fails it says so and goes on looking.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from agent.model import BlindSpot, Fact, Probe
from agent.recorder.frame import PodName
from agent.recorder.probe import NearMisses
from agent.recorder.ring import RingWriter
from agent.recorder.sampler import Sampler, Taken
from agent.recorder.top_processes import TopProcesses

# Asked each second, by this thread: whoever learns a name later need not find the recorder first.
Names: TypeAlias = Callable[[], Mapping[str, PodName]]
EVERY_S = 1.0
_SAY_AGAIN_S = 10.0  # how often an outage that goes on is written again
_MOST_LOOKS = 60  # kept while nobody records


@dataclass(frozen=True, slots=True)
class Second:
    """What one step of the recorder gave to the rest of the agent."""

    taken: Taken
    probes: tuple[Probe, ...] = ()
    facts: tuple[Fact, ...] = ()
    ring_error: str = ""


class Asking(Protocol):
    """Whoever asks a runtime and can say at any moment what was heard."""

    def heard(self) -> list[Probe]:
        """Return what is new, without blocking."""

    def stop(self) -> None:
        """Ask no more."""


@dataclass(frozen=True, slots=True)
class Probing:
    """A prober and the judge of its near misses."""

    prober: Asking
    near: NearMisses


@dataclass(slots=True)
class _Outage:
    from_s: float
    seen_s: float
    written_s: float


@dataclass(slots=True)
class _Outages:
    """Folds the same complaint of many seconds into one blind spot that grows."""

    going: dict[tuple[str, str], _Outage] = field(default_factory=dict)

    def take(self, gaps: Sequence[BlindSpot], at_s: float) -> list[BlindSpot]:
        """Return what must be written now."""
        write: list[BlindSpot] = []
        now = {(gap.source, gap.why) for gap in gaps}
        for key in now:
            outage = self.going.setdefault(key, _Outage(at_s, at_s, float("-inf")))
            outage.seen_s = at_s
            if at_s - outage.written_s >= _SAY_AGAIN_S:
                outage.written_s = at_s
                write.append(BlindSpot(*key, outage.from_s, at_s))
        for key in [key for key in self.going if key not in now]:
            outage = self.going.pop(key)
            write.append(BlindSpot(*key, outage.from_s, outage.seen_s))
        return write


class Looks(deque[TopProcesses]):
    """Looks at the processes that wait to be recorded; another thread may append."""

    def __init__(self) -> None:
        super().__init__(maxlen=_MOST_LOOKS)


class Recorder:
    """Ties sampler, probes and ring together; ``step`` is one second."""

    def __init__(
        self,
        sampler: Sampler,
        ring: RingWriter,
        probing: Sequence[Probing] = (),
        names: Names = dict,
        looks: Looks | None = None,
    ) -> None:
        self._sampler = sampler
        self._ring = ring
        self._probing = tuple(probing)
        self._outages = _Outages()
        self._names = names
        self._named: Mapping[str, PodName] = {}
        self._looks = Looks() if looks is None else looks
        self.ring_errors = 0

    def step(self, at_s: float) -> Second:
        """Look at the node once and write down what was seen."""
        taken = self._sampler.sample(at_s)
        probes: list[Probe] = []
        facts: list[Fact] = []
        for one in self._probing:
            heard = one.prober.heard()
            probes += heard
            facts += [fact for probe in heard if (fact := one.near.fact(probe))]
        try:
            self._write(taken, probes, at_s)
        except (OSError, ValueError) as error:
            self.ring_errors += 1
            return Second(taken, tuple(probes), tuple(facts), f"the ring: {error}")
        return Second(taken, tuple(probes), tuple(facts))

    def _write(self, taken: Taken, probes: Sequence[Probe], at_s: float) -> None:
        names = self._names()
        if names is not self._named:
            for uid in self._named.keys() - names.keys():
                self._ring.forget_pod(uid)
            for uid, (namespace, name) in names.items():
                self._ring.name_pod(uid, namespace, name)
            self._named = names
        self._ring.add(taken.frame)
        for probe in probes:
            self._ring.add_probe(probe)
        while self._looks:
            self._ring.add_processes(self._looks.popleft())
        for limit in self._sampler.limits:
            self._ring.add_note(BlindSpot("recorder", limit))
        for spot in self._outages.take(taken.gaps, at_s):
            self._ring.add_note(spot)

    def close(self) -> None:
        """Stop asking, close every file; the ring stays."""
        for one in self._probing:
            one.prober.stop()
        self._sampler.close()
        self._ring.close()


def run(
    recorder: Recorder,
    stop: threading.Event,
    tell: Callable[[Second], None],
    now_s: Callable[[], float] = time.time,  # noqa: TID251 - the edge
) -> None:
    """Step once a second until told to stop; a second that was missed is not made up for."""
    due_s = time.monotonic()
    while not stop.is_set():
        tell(recorder.step(now_s()))
        late_s = time.monotonic() - due_s
        due_s += EVERY_S * (1 + int(max(late_s, 0.0) / EVERY_S))
        stop.wait(max(due_s - time.monotonic(), 0.0))
