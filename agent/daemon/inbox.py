"""Where sources put what they read and the loop takes it: bounded for each source apart."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

MOST = 256  # items a source may have waiting
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Item:
    """Something one source read."""

    source: str
    what: object


class Inbox:
    """First in, first out. No source can fill the room of another."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._items: deque[Item] = deque()
        self._waiting: Counter[str] = Counter()
        self._changed = threading.Condition()
        self.dropped: Counter[str] = Counter()

    def put(self, source: str, what: object) -> bool:
        """Add it, or count it as dropped when the source has too much waiting."""
        with self._changed:
            if self._waiting[source] >= self._most:
                self.dropped[source] += 1
                return False
            self._add(source, what)
            return True

    def put_patiently(self, source: str, what: object, stopped: Callable[[], bool]) -> bool:
        """Add it as soon as there is room: for a source that can wait and must lose nothing."""
        with self._changed:
            while self._waiting[source] >= self._most:
                if stopped():
                    return False
                self._changed.wait(_LOOK_S)
            self._add(source, what)
            return True

    def wait(self, longest_s: float) -> bool:
        """Wait until there is something to take; false when there was nothing all the time."""
        until_s = monotonic() + longest_s
        with self._changed:
            while not self._items and (left_s := until_s - monotonic()) > 0:
                self._changed.wait(left_s)
            return bool(self._items)

    def take(self, most: int) -> list[Item]:
        """Give what is there, at most so many."""
        with self._changed:
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            for item in taken:
                self._waiting[item.source] -= 1
            self._changed.notify_all()
            return taken

    def _add(self, source: str, what: object) -> None:
        self._items.append(Item(source, what))
        self._waiting[source] += 1
        self._changed.notify_all()
