"""Hands Events to the publisher, each only after it is written down that it will be said.

A killed agent then says it again under the same name, which the API server takes only once. A disk
that does not write delays an Event by two seconds and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.kube.event_body import Announcement
from agent.kube.publisher import Publisher

PATIENCE_S = 2.0


@dataclass(slots=True)
class Herald:
    """Events between being decided and having arrived."""

    publisher: Publisher | None
    safe: Callable[[], int]  # the number of the last change that is written down
    _held: list[tuple[int, float, tuple[Announcement, ...]]] = field(default_factory=list)
    _out: dict[str, Announcement] = field(default_factory=dict)

    @property
    def offers(self) -> dict[str, Mapping[str, Any]]:
        """Every Event that is not known to have arrived, as it is written down."""
        held = [one for _, _, some in self._held for one in some]
        return {_key(one): row_of(one) for one in (*self._out.values(), *held)}

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Offer again what an agent before us may not have said; return how many."""
        offered = [one for row in rows if (one := announcement_of(row))]
        self._offer(offered)
        return len(offered)

    def hold(self, number: int, offers: tuple[Announcement, ...], steady_s: float) -> None:
        """Keep Events until change ``number`` is written down."""
        if offers and self.publisher is not None:
            self._held.append((number, steady_s, offers))

    def release(self, steady_s: float) -> list[str]:
        """Offer what may be said now; return the keys of what has arrived or never will."""
        safe = self.safe()
        while self._held and (
            self._held[0][0] <= safe or steady_s - self._held[0][1] >= PATIENCE_S
        ):
            self._offer(self._held.pop(0)[2])
        if not self._out or self.publisher is None:
            return []
        waiting = {_key(one) for one in self.publisher.waiting()}
        done = [key for key in self._out if key not in waiting]
        for key in done:
            del self._out[key]
        return done

    def _offer(self, offers: Iterable[Announcement]) -> None:
        if self.publisher is not None:
            some = tuple(offers)
            self._out |= {_key(one): one for one in some}
            self.publisher.offer(some)


def row_of(one: Announcement) -> dict[str, Any]:
    """Give an Event as plain values."""
    return {
        "incident": one.incident,
        "namespace": one.namespace,
        "name": one.name,
        "body": dict(one.body),
    }


def announcement_of(row: Mapping[str, Any]) -> Announcement | None:
    """Read it back; none when it is not one of ours."""
    try:
        names = (str(row["incident"]), str(row["namespace"]), str(row["name"]))
        return Announcement(*names, dict(row["body"]))
    except (LookupError, TypeError, ValueError):
        return None


def _key(one: Announcement) -> str:
    return one.name
