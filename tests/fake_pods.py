"""Pod objects as an API server holds them, with the parts nobody here reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
STARTED_S = 1_700_000_000.0


def stamp(at_s: float) -> str:
    """An API time: whole seconds."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ended(at_s: float, reason: str = "Error", code: int = 1) -> Object:
    """A container state: terminated."""
    return {
        "terminated": {
            "exitCode": code,
            "reason": reason,
            "startedAt": stamp(at_s - 60),
            "finishedAt": stamp(at_s),
            "containerID": f"containerd://{int(at_s):064x}",
        }
    }


def pod(
    name: str,
    *,
    node: str = "node-1",
    namespace: str = "prod",
    uid: str = "",
    restarts: int = 0,
    last: Object | None = None,
    sandbox: bool | None = True,
    sandbox_since_s: float = STARTED_S,
    ballast: int = 0,
) -> Object:
    """A running pod of one container; ``ballast`` adds as many variables nobody reads."""
    conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": stamp(STARTED_S)}]
    if sandbox is not None:
        conditions.append(
            {
                "type": "PodReadyToStartContainers",
                "status": str(sandbox),
                "lastTransitionTime": stamp(sandbox_since_s),
            }
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{namespace}-{name}",
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "StatefulSet",
                    "name": "db",
                    "uid": "uid-db",
                    "controller": True,
                }
            ],
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {
            "nodeName": node,
            "containers": [
                {
                    "name": "main",
                    "image": "registry.example/db:1",
                    "env": [
                        {"name": f"SETTING_{index}", "value": f"value of setting {index}"}
                        for index in range(ballast)
                    ],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": [
                {
                    "name": "main",
                    "ready": True,
                    "image": "registry.example/db:1",
                    "imageID": "registry.example/db@sha256:" + "1" * 64,
                    "restartCount": restarts,
                    "containerID": "containerd://" + "0" * 64,
                    "state": {"running": {"startedAt": stamp(STARTED_S)}},
                    "lastState": last or {},
                }
            ],
        },
    }


def leaving(thing: Object, due_s: float, grace_s: int, reason: str = "") -> Object:
    """The same pod after somebody asked for its deletion."""
    meta = {
        **thing["metadata"],
        "deletionTimestamp": stamp(due_s),
        "deletionGracePeriodSeconds": grace_s,
    }
    status = dict(thing["status"])
    if reason:
        target = {"type": "DisruptionTarget", "status": "True", "reason": reason}
        target["lastTransitionTime"] = stamp(due_s - grace_s)
        status["conditions"] = [*status["conditions"], target]
    return {**thing, "metadata": meta, "status": status}


def sandbox_event(
    name: str, about: str, *, node: str = "node-1", namespace: str = "prod"
) -> Object:
    """``SandboxChanged`` as the kubelet writes it."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "kind": "Pod",
            "namespace": namespace,
            "name": about,
            "uid": f"uid-{namespace}-{about}",
        },
        "reason": "SandboxChanged",
        "message": "Pod sandbox changed, it will be killed and re-created.",
        "source": {"component": "kubelet", "host": node},
        "firstTimestamp": stamp(STARTED_S),
        "lastTimestamp": stamp(STARTED_S),
        "count": 1,
        "type": "Normal",
    }


def node(name: str) -> Object:
    """A node, as far as anybody counts it."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {}}
