"""The runtime probe: the question the killer asks, asked by us first.

One thread, one question at a time, at random (a fixed period would beat with the slices in which
groups are throttled). A question that hangs blocks that thread only; ``heard`` reports it while it
waits, so that the ring shows a hang that nobody survived.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.model import Fact, Kind, Probe, Subject, SubjectKind, Trust

NEAR = 1 / 3  # of the killer's timeout
_LOUD_AFTER_S = 1.0  # a question that waits longer is reported while it waits


class NoAnswer(Exception):
    """The runtime did not answer, or not what was asked, and why."""


class Question(Protocol):
    """One thing to ask a runtime."""

    @property
    def words(self) -> str:
        """The question as a person would type it: ``docker ps``."""

    @property
    def unit(self) -> str:
        """The systemd unit that is asked."""

    def ask(self, timeout_s: float) -> None:
        """Ask and wait for the whole answer; raises NoAnswer."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How often to ask, how patiently, and how patient the killer is."""

    mean_gap_s: float = 10.0
    killer_timeout_s: float = 60.0  # GCE's health monitor, node-problem-detector with docker
    patience_s: float = 120.0  # longer than the killer's: did it answer after all?


@dataclass(frozen=True, slots=True)
class Clocks:
    """The wall's time for the record, a monotonic one for durations."""

    now_s: Callable[[], float] = time.time  # noqa: TID251 - the edge
    steady_s: Callable[[], float] = time.monotonic


class Prober:
    """Asks on a thread of its own until it is stopped."""

    def __init__(
        self,
        question: Question,
        settings: ProbeSettings | None = None,
        clocks: Clocks | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._question = question
        self._settings = settings or ProbeSettings()
        self._clocks = clocks or Clocks()
        self._rng = rng or random.Random()
        self._done: deque[Probe] = deque(maxlen=1000)
        self._asked: tuple[float, float] | None = None  # wall and steady time of what is open
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self.last_error = ""

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self, wait_s: float = 0.0) -> None:
        """Ask no more; a question that hangs is left to its thread."""
        self._stop.set()
        if wait_s:
            self._thread.join(wait_s)

    def heard(self) -> list[Probe]:
        """Return what was answered since the last call, and what still waits, without blocking."""
        asked = self._asked
        probes: list[Probe] = []
        while self._done:
            probes.append(self._done.popleft())
        if asked is not None:
            waited_s = self._clocks.steady_s() - asked[1]
            ended = any(probe.at_s == asked[0] for probe in probes)
            if waited_s >= _LOUD_AFTER_S and not ended:
                probes.append(Probe(asked[0], self._question.words, waited_s, answered=False))
        return probes

    def _run(self) -> None:
        while not self._stop.wait(self._rng.expovariate(1 / self._settings.mean_gap_s)):
            self._ask_once()

    def _ask_once(self) -> None:
        now_s, begun_s = self._clocks.now_s(), self._clocks.steady_s()
        self._asked = (now_s, begun_s)
        answered = True
        try:
            self._question.ask(self._settings.patience_s)
        except (NoAnswer, OSError) as error:
            answered, self.last_error = False, str(error)
        took_s = self._clocks.steady_s() - begun_s
        self._asked = None  # first: nobody may hear of a wait after its end
        self._done.append(Probe(now_s, self._question.words, took_s, answered))


class NearMisses:
    """Makes a Fact of a question that waited too long: once, and before anybody dies of it."""

    def __init__(self, question: Question, killer_timeout_s: float = 60.0) -> None:
        self._question = question
        self._timeout_s = killer_timeout_s
        self._told_s: float | None = None

    def fact(self, probe: Probe) -> Fact | None:
        """Return the Fact when this probe is the first word of a near miss."""
        if probe.took_s <= self._timeout_s * NEAR or probe.at_s == self._told_s:
            return None
        self._told_s = probe.at_s
        verb = "took" if probe.answered else "has waited"
        text = (
            f"{probe.question} {verb} {probe.took_s:.1f} s; "
            f"who kills the runtime waits {self._timeout_s:.0f} s"
        )
        detail = {"took_s": f"{probe.took_s:.3f}", "timeout_s": f"{self._timeout_s:g}"}
        return Fact(
            kind=Kind.RUNTIME_SLOW,
            at_s=probe.at_s + probe.took_s,
            subject=Subject(SubjectKind.UNIT, self._question.unit),
            source="probe",
            trust=Trust.TRUSTED,
            text=text,
            detail=detail,
        )
