"""One open journal, under names of our own, with types, and without a layer at run time.

systemd-python's public ``get_next`` converts every field and costs six times as much as the
methods of its C class that it is made of; those are bound here, once.
"""

from __future__ import annotations

TYPE_CHECKING = False  # for the type checker alone: `typing` would cost the child 0.6 MiB
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Entry = dict[str, Any]  # bytes; a list of bytes where a field is repeated


class JournalHandle:
    """What is used of ``systemd._reader._Reader`` (the same names in 235 and 236)."""

    def __init__(self, reader: Any) -> None:  # noqa: ANN401 - systemd-python publishes no types
        self.forward: Callable[[], bool] = reader._next  # noqa: SLF001
        self.back: Callable[[], bool] = reader._previous  # noqa: SLF001
        self.entry: Callable[[], Entry] = reader._get_all  # noqa: SLF001
        self.realtime_us: Callable[[], int] = reader._get_realtime  # noqa: SLF001
        self.cursor: Callable[[], str] = reader._get_cursor  # noqa: SLF001
        self._monotonic: Callable[[], tuple[int, bytes]] = reader._get_monotonic  # noqa: SLF001
        self.seek_head: Callable[[], None] = reader.seek_head
        self.seek_tail: Callable[[], None] = reader.seek_tail
        self.seek_realtime: Callable[[int], None] = reader.seek_realtime
        self.seek_cursor: Callable[[str], None] = reader.seek_cursor
        self.stands_on: Callable[[str], bool] = reader.test_cursor
        self.forget_matches: Callable[[], None] = reader.flush_matches
        self.match: Callable[[str], None] = reader.add_match
        self.otherwise: Callable[[], None] = reader.add_disjunction
        self.values: Callable[[str], set[bytes]] = reader.query_unique
        self.process: Callable[[], int] = reader.process
        self.close: Callable[[], None] = reader.close
        self._descriptor: Callable[[], int] = reader.fileno

    def monotonic_us(self) -> int:
        """Time since boot at which journald took the entry in."""
        return int(self._monotonic()[0])

    def descriptor(self) -> int:
        """What wakes us up; -1 where the user's inotify instances have run out."""
        try:
            return self._descriptor()
        except OSError:
            return -1
