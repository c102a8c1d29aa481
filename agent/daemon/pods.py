"""The node's pods as they are and as they were: a pod that has gone keeps its name for an hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.kube.pod_changes import Change, PodChange
from agent.model import Pod
from agent.recorder.frame import PodName

REMEMBERED_S = 3600.0
_MOST_GONE = 500
PodRow = list[str]


@dataclass(slots=True)
class Pods:
    """Pods by uid."""

    here: dict[str, Pod] = field(default_factory=dict)
    gone: dict[str, tuple[float, Pod]] = field(default_factory=dict)
    changed: bool = False
    known: bool = False  # the API server has named at least one
    _unwritten: dict[str, PodRow] = field(default_factory=dict)

    def take(self, change: PodChange, now_s: float) -> None:
        """Take note of one change."""
        pod = change.pod
        key = pod.uid or f"{pod.namespace}/{pod.name}"
        self.known = True
        if change.change is Change.DELETED:
            self.here.pop(key, None)
            self.gone[key] = (now_s, pod)
            self._forget(now_s)
            self.changed = True
        elif self.here.get(key) != pod:
            if key not in self.here:
                self._unwritten[key] = _row(pod)
            self.here[key] = pod
            self.gone.pop(key, None)
            self.changed = True

    def all(self) -> tuple[Pod, ...]:
        """Give every pod; those that are here come last, so that they win over their ancestors."""
        return (*(pod for _, pod in self.gone.values()), *self.here.values())

    def names(self) -> Mapping[str, PodName]:
        """Give the name of every pod by its uid."""
        return {pod.uid: (pod.namespace, pod.name) for pod in self.all() if pod.uid}

    def news(self) -> dict[str, PodRow]:
        """Give what is to be written down since the last time: who is new."""
        news, self._unwritten = self._unwritten, {}
        return news

    def rows(self) -> dict[str, PodRow]:
        """Give all of them as plain values."""
        self._unwritten = {}
        return {pod.uid: _row(pod) for pod in self.all() if pod.uid}

    def restore(self, rows: Mapping[str, PodRow], now_s: float) -> None:
        """Know by name whom an agent before us knew; whether they are here is seen later."""
        for uid, row in list(rows.items())[-_MOST_GONE:]:
            if len(row) == len(_row(Pod("", ""))):
                namespace, name, owner, image = row
                pod = Pod(namespace, name, uid, owner, image_hint=image)
                self.gone[uid] = (now_s, pod)
        self.changed = bool(self.gone)

    def _forget(self, now_s: float) -> None:
        for key, (at_s, _) in list(self.gone.items()):
            if now_s - at_s > REMEMBERED_S or len(self.gone) > _MOST_GONE:
                del self.gone[key]


def _row(pod: Pod) -> PodRow:
    return [pod.namespace, pod.name, pod.owner, pod.image_hint]
