"""Follows incidents that have settled until every pod they hurt is Ready again, or gone.

One that pages nobody is not followed: planned work, and a container over its own limit, whose pod
says so itself. What is followed outlives a restart of the agent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.daemon.affairs import Moment
from agent.daemon.pods import Pods
from agent.kube.event_body import Announcement
from agent.kube.node_notes import Ended, Recovery, resolved, unresolved
from agent.model import Cause, Diagnosis, Pod

LOOK_EVERY_S = 5.0
LISTED_AFTER_S = 15.0  # from a start: by then the pods of the node have been listed
UNRESOLVED_AFTER_S = 1800.0
FORGOTTEN_AFTER_S = 6 * 3600.0
MOST_FOLLOWED = 200

Row = list[Any]


@dataclass(slots=True)
class Aftermath:
    """Incidents that are over but for their pods."""

    pods: Pods
    followed: dict[str, Ended] = field(default_factory=dict)
    _complained: set[str] = field(default_factory=set)
    _news: dict[str, Row | None] = field(default_factory=dict)
    _begun_s: float | None = None
    _looked_s: float = float("-inf")

    def take(self, settled: Iterable[Diagnosis]) -> None:
        """Follow what has settled from now on, or knows of more victims than before."""
        for diagnosis in settled:
            ended = ended_of(diagnosis)
            if ended is not None:
                self.followed[ended.incident] = ended
                self._news[ended.incident] = row_of(ended)
        while len(self.followed) > MOST_FOLLOWED:
            self._drop(next(iter(self.followed)))

    def look(self, moment: Moment) -> list[Announcement]:
        """Give what is to be said of them now."""
        if self._begun_s is None:
            self._begun_s = moment.steady_s
        too_early = not self.pods.known or moment.steady_s - self._begun_s < LISTED_AFTER_S
        if too_early or not self.followed or moment.steady_s - self._looked_s < LOOK_EVERY_S:
            return []
        self._looked_s = moment.steady_s
        here = {(pod.namespace, pod.name): pod for pod in self.pods.here.values()}
        return [
            one
            for ended in list(self.followed.values())
            if (one := self._said_of(ended, recovery_of(ended, here), moment.now_s)) is not None
        ]

    def news(self) -> dict[str, Row | None]:
        """Give what is to be written down since the last time; nothing for what is over."""
        news, self._news = self._news, {}
        return news

    def rows(self) -> dict[str, Row]:
        """Give all of them as plain values."""
        self._news = {}
        return {name: row_of(ended) for name, ended in self.followed.items()}

    def restore(self, rows: Mapping[str, Row]) -> None:
        """Go on following what an agent before us followed."""
        for name, row in rows.items():
            ended = ended_from(name, row)
            if ended is not None:
                self.followed[name] = ended

    def _said_of(self, ended: Ended, recovery: Recovery, now_s: float) -> Announcement | None:
        if not recovery.waiting:
            self._drop(ended.incident)
            return resolved(ended, recovery, now_s)
        age_s = now_s - ended.opened_s
        if age_s >= FORGOTTEN_AFTER_S:
            self._drop(ended.incident)
        elif age_s >= UNRESOLVED_AFTER_S and ended.incident not in self._complained:
            self._complained.add(ended.incident)  # said again by a successor: under the same name
            return unresolved(ended, recovery, now_s)
        return None

    def _drop(self, name: str) -> None:
        del self.followed[name]
        self._complained.discard(name)
        self._news[name] = None


def ended_of(diagnosis: Diagnosis) -> Ended | None:
    """What is to be followed of an incident; none where there is nothing to wait for."""
    incident, victims = diagnosis.incident, diagnosis.victims
    nothing_known = diagnosis.killer is None and not victims
    own_limit = diagnosis.cause is Cause.CONTAINER_OOM and len(victims) <= 1
    if diagnosis.planned or own_limit or nothing_known or incident.opened_at_s is None:
        return None
    names = tuple(dict.fromkeys((one.namespace, one.pod) for one in victims))
    return Ended(incident.id, incident.node, incident.opened_at_s, diagnosis.verdict, names)


def recovery_of(ended: Ended, here: Mapping[tuple[str, str], Pod]) -> Recovery:
    """Where its victims are, by the pods that are on the node now."""
    found = [(name, here.get(name)) for name in ended.victims]
    there = [(name, pod) for name, pod in found if pod is not None]
    return Recovery(
        ready=sum(pod.ready is True for _, pod in there),
        gone=len(found) - len(there) + sum(pod.ready is None for _, pod in there),
        waiting=tuple(name for name, pod in there if pod.ready is False),
    )


def row_of(ended: Ended) -> Row:
    """Give it as plain values."""
    return [ended.node, ended.opened_s, ended.verdict, [list(one) for one in ended.victims]]


def ended_from(name: str, row: Row) -> Ended | None:
    """Read it back; none when it is not one of ours."""
    try:
        node, opened_s, verdict, victims = row
        names = tuple((str(namespace), str(pod)) for namespace, pod in victims)
        return Ended(name, str(node), float(opened_s), str(verdict), names)
    except (TypeError, ValueError):
        return None
