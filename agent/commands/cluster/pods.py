"""What Kubernetes says of one pod: whether it is there, where it was, which Events tell of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agent.commands.cluster.server import Object, Refused, Server, Unreachable, segment
from agent.errors import UserError
from agent.fleet.told import Told, told_of
from agent.kube.event_body import CONTROLLER
from agent.sources.untyped import text

MOST_NODES = 4  # on which one pod, or its forerunners of the same name, have been
RIGHTS = "readers.enabled makes the roles for it: docs/laptop.md"


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod as Kubernetes knows it, and the Events about its name."""

    namespace: str
    name: str
    thing: Object | None
    events: tuple[Object, ...]
    refused: tuple[str, ...] = ()  # what may not be looked at

    @property
    def told(self) -> list[Told]:
        """What agents of ours said of it."""
        return [one for one in map(told_of, self.events) if one is not None]

    @property
    def nodes(self) -> list[str]:
        """Where it is, and where pods of its name were when something was said of them."""
        newest = sorted(self.told, key=lambda one: -(one.at_s or 0.0))
        hosts = [text(one, "source", "host") for one in self.events]
        now = text(self.thing, "spec", "nodeName")
        names = dict.fromkeys((now, *(one.node for one in newest), *hosts))
        return [name for name in names if name][:MOST_NODES]

    @property
    def is_gone(self) -> bool:
        """Whether there is none of that name now, as far as may be seen."""
        return self.thing is None and not any(" get pods " in one for one in self.refused)


def look(server: Server, namespace: str, name: str) -> Pod:
    """Look it up; raises UserError when there is no trace of it, Unreachable."""
    below = f"/api/v1/namespaces/{segment(namespace)}"
    refused: list[str] = []
    thing: Object | None = None
    events: tuple[Object, ...] = ()
    try:
        path = f"{below}/pods/{segment(name)}"
        thing = server.object(path, f"get pods in namespace {namespace}")
    except Refused as error:
        refused += [] if error.status == 404 else [error.reason]
    try:
        what = f"list events in namespace {namespace}"
        about = f"involvedObject.name={name}"
        found = server.listed(f"{below}/events", what, fieldSelector=about)
        events = tuple(one for one in found if text(one, "involvedObject", "kind") == "Pod")
    except Refused as error:
        refused.append(error.reason)
    if thing is None and not events:
        raise _nothing(server, namespace, name, refused)
    return Pod(namespace, name, thing, events, tuple(refused))


def _nothing(server: Server, namespace: str, name: str, refused: Sequence[str]) -> UserError:
    if refused:
        said = f"nothing of pod {namespace}/{name} can be seen: {'; '.join(refused)}"
        return UserError(said, RIGHTS)
    near: list[str] = []
    try:
        things = server.listed(f"/api/v1/namespaces/{segment(namespace)}/pods", "list pods")
        names = [text(one, "metadata", "name") for one in things]
        near = [one for one in names if one.startswith(f"{name}-")][:3]
        near = near or difflib.get_close_matches(name, names, 3)
    except (Refused, Unreachable):
        pass
    hint = f"did you mean {' or '.join(near)}?" if near else "-n names another namespace"
    return UserError(f"there is no pod {namespace}/{name}, and no Event tells of one", hint)


def told_elsewhere(server: Server, namespace: str, told: Iterable[Told]) -> list[Told]:
    """What else was said of the same incidents, as far as one may look: on node and other pods."""
    known = {one.key: one.incident for one in told}
    ids = set(known.values())
    own = f"/api/v1/namespaces/{segment(namespace)}/events"
    for path, where in (("/api/v1/events", "all namespaces"), (own, f"namespace {namespace}")):
        try:
            chosen = f"reportingComponent={CONTROLLER}"
            listed = list(server.listed(path, f"list events in {where}", fieldSelector=chosen))
        except Refused:
            continue
        read = (one for one in map(told_of, listed) if one is not None)
        return [one for one in read if one.incident in ids and one.key not in known]
    return []
