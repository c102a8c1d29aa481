"""The governor's eyes: a probe at random moments, and the kernel's count of stalled time.

A probe each 100 ms keeps step with a throttler's slices of 100 ms and sees nothing of what others
wait for; gaps are therefore exponential. A probe that hangs is news too: it counts with its age.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from agent.errors import NoData
from agent.recorder.host import Host
from agent.recorder.keptfile import KeptFile
from agent.recorder.probe import NoAnswer, Question
from agent.recorder.psi import some_total_us
from backup.law.calm import Calm
from backup.law.law import Reading, queue_limit_s
from backup.law.volume import Moved
from backup.sensors.volume import VolumeMeter

EAGER_SHARE = 0.2
"""Of the gap, while the law wants to know at once."""

GAP_OF_ANSWER, EAGER_GAP_OF_ANSWER = 10.0, 2.0
"""Who answers slowly is asked less often: probes may never be a load of their own."""

PSI_EVERY_S = 0.1
BROKEN_GAP_S = 5.0


@dataclass(frozen=True, slots=True)
class Manner:
    """How often to ask, and which answer means that a killer is near."""

    gap_s: float = 0.1
    killer_grade_s: float = 2.0  # long before a health check gives up, beyond a merely busy disk
    patience_s: float = 120.0


RUNTIME = Manner(gap_s=1.0)
"""Listing containers costs the runtime milliseconds of a core, which a read of 4 kB does not."""


@dataclass(frozen=True, slots=True)
class Sensed:
    """What all sensors say at one moment, and which of them cannot see."""

    queue_s: float | None
    base_s: float
    noise_s: float
    psi_stalled_share: float | None
    killer_grade: bool = False
    usual_queue_s: float | None = None
    blind: tuple[str, ...] = ()
    moved: Moved | None = None

    def reading(self, now_s: float, achieved_bytes_per_s: float) -> Reading:
        """Put own progress beside it: this is what the law reads."""
        return Reading(
            now_s,
            self.queue_s,
            self.base_s,
            self.psi_stalled_share,
            achieved_bytes_per_s,
            self.killer_grade,
            self.noise_s,
            self.usual_queue_s,
            moved=self.moved,
        )


class Prober:
    """Asks one question again and again in a thread of its own, and times the answers.

    A question that returns a number knows for how long no disk made it wait: see `cpu_wait`.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[], object],
        manner: Manner = Manner(),
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.calm = Calm()
        self._ask, self._now, self._random = ask, now, random or Random()
        self._manner = manner
        self._changed = threading.Condition()
        self._asked_s: float | None = None
        self._answers: list[tuple[float, float]] = []  # (at, took), not yet looked at
        self._answered = False
        self._took_s = 0.0
        self._broken = ""
        self._eager = self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask; the thread is a daemon, since nothing interrupts a read that hangs."""
        self._thread = threading.Thread(target=self._run, name=f"probe-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a question that hangs is left to itself."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join(timeout=1.0)

    def ask_once(self) -> None:
        """Ask now, and keep the answer for the next look."""
        began_s, excused_s = self._now(), 0.0
        with self._changed:
            self._asked_s = began_s
        try:
            said = self._ask()
            excused_s = said if isinstance(said, float) else 0.0
            broken = ""
        except (OSError, NoData, NoAnswer) as error:
            broken = f"{self.name}: {error}"
        ended_s = self._now()
        if ended_s - began_s >= self._manner.killer_grade_s:
            broken = ""  # an error that took this long is an answer: something hangs
        with self._changed:
            self._asked_s = None
            self._broken = broken
            if not broken:
                self._took_s = max(0.0, ended_s - began_s - excused_s)
                self._answered = True
                self._answers.append((ended_s, self._took_s))
                del self._answers[:-100]

    def look(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        """Return what was learnt since the last look, as a reading of this prober alone."""
        with self._changed:
            answers, self._answers = self._answers, []
            age_s = now_s - self._asked_s if self._asked_s is not None else 0.0
            broken = self._broken
            if eager and not self._eager:
                self._changed.notify_all()
            self._eager = eager
        for at_s, took_s in answers:
            self.calm.add(at_s, took_s, quiet=quiet)
        blind = (broken,) if broken else ()
        if broken or not (self._answered or age_s):
            return Sensed(None, 0.0, 0.0, None, blind=blind)
        worst_s = max([age_s, *(took_s for _, took_s in answers)])
        base_s = self.calm.base_s
        killer_grade = worst_s >= self._manner.killer_grade_s
        queue_s = max(0.0, worst_s - base_s)
        usual_s = max(0.0, self.calm.usual_s(now_s, age_s) - base_s) if worst_s else 0.0
        return Sensed(queue_s, base_s, self.calm.noise_s, None, killer_grade, usual_s)

    def gap_s(self) -> float:
        """Draw the pause before the next question."""
        if self._broken:
            return BROKEN_GAP_S
        gap_s = self._manner.gap_s
        mean_s = max(gap_s, GAP_OF_ANSWER * self._took_s)
        if self._eager:
            mean_s = max(EAGER_SHARE * gap_s, EAGER_GAP_OF_ANSWER * self._took_s)
        return min(self._random.expovariate(1 / mean_s), BROKEN_GAP_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                self._changed.wait(self.gap_s())
                if self._stopped:
                    return
            self.ask_once()


def runtime_prober(question: Question) -> Prober:
    """Ask the container runtime what its killer asks."""
    return Prober(question.words, lambda: question.ask(RUNTIME.patience_s), RUNTIME)


class PsiMeter:
    """The share of time in which some task waited for a disk, from the running total.

    ``avg10`` is far too slow to steer by; ``total`` is fresh at every read. What the node shows
    anyway (a busy disk that is none of ours) is the windowed minimum, and is taken off.
    """

    def __init__(self, host: Host) -> None:
        self._file = KeptFile(host.proc / "pressure" / "io")
        self._calm = Calm()
        self._last: tuple[float, int] | None = None
        self._share: float | None = None
        self.blind = ""

    def share(self, now_s: float) -> float | None:
        """Return the stalled share of the last 100 ms above the calm one; None without PSI."""
        if self._last and now_s - self._last[0] < PSI_EVERY_S:
            return self._share
        try:
            total_us = some_total_us(self._file.read(256))
        except (OSError, ValueError) as error:
            self.blind = f"pressure: {error}"
            self._last = self._share = None
            return None
        self.blind = ""
        if self._last:
            passed_s = now_s - self._last[0]
            share = min(max((total_us - self._last[1]) / 1e6 / passed_s, 0.0), 1.0)
            self._calm.add(now_s, share, quiet=False)
            self._share = share - self._calm.base_s
        self._last = (now_s, total_us)
        return self._share

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class NodeSensors:
    """All sensors of a node as one."""

    def __init__(
        self,
        probers: Sequence[Prober],
        psi: PsiMeter | None,
        volume: VolumeMeter | None = None,
    ) -> None:
        self._probers = tuple(probers)
        self._psi = psi
        self._volume = volume

    def start(self) -> None:
        """Begin to probe."""
        for prober in self._probers:
            prober.start()

    def stop(self) -> None:
        """Stop probing and give files back."""
        for prober in self._probers:
            prober.stop()
        if self._psi:
            self._psi.close()
        if self._volume:
            self._volume.close()

    def read(self, now_s: float, *, quiet: bool, eager: bool) -> Sensed:
        """Return the worst of the probers' news, with the pressure beside it."""
        seen = [prober.look(now_s, quiet=quiet, eager=eager) for prober in self._probers]
        share = self._psi.share(now_s) if self._psi else None
        blind = tuple(reason for one in seen for reason in one.blind)
        if self._psi and self._psi.blind:
            blind += (self._psi.blind,)
        moved = self._volume.moved(now_s) if self._volume else None
        if self._volume and self._volume.blind:
            blind += (self._volume.blind,)
        worst = max(seen, key=_excess, default=Sensed(None, 0.0, 0.0, None))
        killer_grade = any(one.killer_grade for one in seen)
        return replace(
            worst, psi_stalled_share=share, killer_grade=killer_grade, blind=blind, moved=moved
        )


def _excess(seen: Sensed) -> float:
    if seen.queue_s is None:
        return -1.0
    return seen.queue_s / queue_limit_s(seen.reading(0.0, 0.0))
