"""What Kubernetes itself shows of a pod's past: Events and status, explained as a bundle would be.

It is written to a folder for the moment and read as `why --bundle` reads one that people make, so
that the same input gets the same answer, with the same list of what is missing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.commands.cluster.pods import Pod
from agent.commands.cluster.server import Object, Refused, Server, Unreachable, segment
from agent.commands.why import Diagnosed, Question, diagnosed
from agent.model import BlindSpot
from agent.sources.untyped import text

MOST_NAMESPACES = 10
SANDBOX = "reason=SandboxChanged"
NAME = "Events and pod status, as Kubernetes shows them"


@dataclass(slots=True)
class Seen:
    """Objects of the API that bear on one pod; what could not be read is a blind spot."""

    events: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    nodes: list[Object] = field(default_factory=list)
    blind: list[BlindSpot] = field(default_factory=list)


def seen_of(server: Server, pod: Pod, node: str) -> Seen:
    """Gather what else there is about the pod's node: its Events, and who else was hurt there.

    Pods are listed by namespace: only then is it known how many members an owner has.
    """
    seen = Seen(list(pod.events), [pod.thing] if pod.thing else [])
    spaces = {pod.namespace: None}
    if node:
        about = f"involvedObject.kind=Node,involvedObject.name={node}"
        seen.events += _tolerantly(seen, server, about)
        others = _tolerantly(seen, server, SANDBOX)
        seen.events += [one for one in others if text(one, "source", "host") in ("", node)]
        spaces |= {text(one, "involvedObject", "namespace"): None for one in seen.events}
        path = f"/api/v1/nodes/{segment(node)}"
        try:
            seen.nodes.append(server.object(path, "get nodes"))
        except (Refused, Unreachable) as error:
            seen.blind.append(BlindSpot("nodes", str(error)))
    for space in [one for one in spaces if one][:MOST_NAMESPACES]:
        path = f"/api/v1/namespaces/{segment(space)}/pods"
        try:
            seen.pods += server.listed(path, f"list pods in namespace {space}")
        except (Refused, Unreachable) as error:
            seen.blind.append(BlindSpot("pods", str(error)))
    return seen


def explained(seen: Seen, node: str) -> Diagnosed:
    """Explain it; the folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="knockon-") as folder:
        for name in ("events", "pods", "nodes"):
            _write(Path(folder), name, getattr(seen, name))
        meta = {"schema": 1, "node": node} if node else {"schema": 1}
        (Path(folder) / "meta.json").write_text(json.dumps(meta))
        found = diagnosed(Question(bundle=Path(folder)))
    origin = replace(
        found.origin, name=NAME, node=node, command="", blind=(*found.origin.blind, *seen.blind)
    )
    return Diagnosed(found.diagnoses, origin)


def _write(folder: Path, name: str, objects: Iterable[Object]) -> None:
    """Each object once, by its uid; nothing where there is none, so that it is said to lack."""
    kind = {"events": "Event", "pods": "Pod", "nodes": "Node"}[name]
    once = {text(one, "metadata", "uid") or str(id(one)): {"kind": kind, **one} for one in objects}
    if once or name == "events":
        document = {"kind": "List", "items": list(once.values())}
        (folder / f"{name}.json").write_text(json.dumps(document))


def _tolerantly(seen: Seen, server: Server, chosen: str) -> list[Object]:
    """Events of all namespaces, which are more than some people may look into."""
    try:
        what = "list events in all namespaces"
        return list(server.listed("/api/v1/events", what, fieldSelector=chosen))
    except (Refused, Unreachable) as error:
        seen.blind.append(BlindSpot("events", f"{chosen}: {error}"))
        return []
