"""One thread a source; a source that dies is started again, later each time, and counted."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from agent.daemon.log import Log
from agent.kube.pace import backoff_s

HEALTHY_AFTER_S = 60.0
Work = Callable[[threading.Event], None]


@dataclass(frozen=True, slots=True)
class Source:
    """What reads something until it is told to stop, and how it is woken from a long read."""

    name: str
    work: Work
    interrupt: Callable[[], None] = lambda: None


class Supervisor:
    """Keeps sources running."""

    def __init__(self, log: Log, luck: Callable[[], float]) -> None:
        self._log = log
        self._luck = luck
        self._stop = threading.Event()
        self._threads: list[tuple[Source, threading.Thread]] = []
        self.restarts: Counter[str] = Counter()
        self.down: dict[str, str] = {}  # sources that are not running now, and why

    @property
    def names(self) -> tuple[str, ...]:
        """The sources that were started."""
        return tuple(source.name for source, _ in self._threads)

    def start(self, source: Source) -> None:
        """Run a source on a thread of its own from now on."""
        thread = threading.Thread(target=self._keep, args=(source,), name=source.name, daemon=True)
        self._threads.append((source, thread))
        thread.start()

    def stop(self, longest_s: float) -> list[str]:
        """Tell all to stop; return the names of those that did not in time."""
        self._stop.set()
        until_s = monotonic() + longest_s
        for source, _ in self._threads:
            source.interrupt()
        for _, thread in self._threads:
            thread.join(max(0.0, until_s - monotonic()))
        return [source.name for source, thread in self._threads if thread.is_alive()]

    def _keep(self, source: Source) -> None:
        failures = 0
        while not self._stop.is_set():
            began_s = monotonic()
            why = "it ended"
            try:
                self.down.pop(source.name, None)
                source.work(self._stop)
            except Exception as error:  # noqa: BLE001 - the one place where any failure is survived
                why = f"{type(error).__name__}: {error}"[:400]
            if self._stop.is_set():
                return
            self.down[source.name] = why
            self.restarts[source.name] += 1
            self._log.complain(f"source {source.name} died and is started again: {why}")
            failures = 1 if monotonic() - began_s > HEALTHY_AFTER_S else failures + 1
            self._stop.wait(backoff_s(failures, self._luck()))
