"""The one thread that touches a disk: jobs in order, few of them waiting, none of them missed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

MOST = 200
_LOOK_S = 1.0


class Writer:
    """Runs small jobs that may take for ever; whoever has one is told when there is no room."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._jobs: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._working = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    @property
    def busy(self) -> bool:
        """Something is being written or waits for it."""
        return self._working or bool(self._jobs)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def put(self, job: Callable[[], None]) -> bool:
        """Add a job; false when too many wait, as on a disk that stalls."""
        with self._changed:
            if len(self._jobs) >= self._most or self._stopping:
                return False
            self._jobs.append(job)
            self._changed.notify_all()
            return True

    def stop(self, longest_s: float) -> bool:
        """Finish what waits; false when that took too long."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        until_s = monotonic() + longest_s
        if self._thread.is_alive():
            self._thread.join(max(0.0, until_s - monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._stopping:
                    self._changed.wait(_LOOK_S)
                if not self._jobs:
                    return
                job = self._jobs.popleft()
                self._working = True
            job()
            self._working = False
