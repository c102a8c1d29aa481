"""Facts that stand in Pod and Node objects: how containers ended, what is wrong with a node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.model import Fact, Kind, Subject, SubjectKind, Trust
from agent.sources.stamps import iso_s
from agent.sources.untyped import mapping, objects, text, whole

Object = Mapping[str, object]
_TEXT_CHARS = 600

# Pod.status.reason of phase Failed (kubelet eviction.go, nodeshutdown_manager, preemption.go).
_FAILED_BY_REASON = {
    "Evicted": Kind.POD_EVICTED_FOR_PRESSURE,
    "Shutdown": Kind.SHUTDOWN,
    "NodeShutdown": Kind.SHUTDOWN,
    "Terminated": Kind.SHUTDOWN,
    "Preempting": Kind.POD_EVICTED_BY_API,
    "NodeLost": Kind.NODE_NOT_READY,
}
# Reason of the DisruptionTarget condition (k8s.io/api core/v1 types.go).
_DISRUPTIONS = {
    "EvictionByEvictionAPI": Kind.POD_EVICTED_BY_API,
    "PreemptionByScheduler": Kind.POD_EVICTED_BY_API,
    "DeletionByTaintManager": Kind.POD_GIVEN_UP,
    "DeletionByPodGC": Kind.POD_GIVEN_UP,
}
# Node conditions that are faults when True; the last ones are node-problem-detector's.
_FAULTS = {
    "MemoryPressure": Kind.MEMORY_SHORT,
    "DiskPressure": Kind.DISK_SHORT,
    "NetworkUnavailable": Kind.CNI_NOT_READY,
    "KernelDeadlock": Kind.HUNG_TASK,
    "ReadonlyFilesystem": Kind.DISK_ERROR,
    "XfsShutdown": Kind.DISK_ERROR,
    "ContainerRuntimeUnhealthy": Kind.RUNTIME_DOWN,
    "KubeletUnhealthy": Kind.KUBELET_UNHEALTHY,
}
_TAINTS = {
    "node.kubernetes.io/unschedulable": Kind.CORDON,
    "ToBeDeletedByClusterAutoscaler": Kind.SCALE_DOWN,
    "karpenter.sh/disruption": Kind.DRAIN,
    "karpenter.sh/disrupted": Kind.DRAIN,
    "node.cloudprovider.kubernetes.io/shutdown": Kind.SHUTDOWN,
}


def pod_facts(pod: Object, where: str = "") -> Iterator[Fact]:
    """How the containers of a pod ended, and why the pod itself failed or must go."""
    subject = _pod_subject(pod)
    for group in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for status in objects(pod, "status", group):
            for state in ("lastState", "state"):
                ended = mapping(status, state, "terminated")
                yield from _ended(subject, text(status, "name"), ended, where)
    yield from _failed(pod, subject, where)
    for condition in objects(pod, "status", "conditions"):
        kind = _DISRUPTIONS.get(text(condition, "reason"))
        is_target = text(condition, "type") == "DisruptionTarget"
        if kind is not None and is_target and text(condition, "status") == "True":
            at_s = iso_s(condition.get("lastTransitionTime"))
            yield _fact(kind, at_s, subject, condition, ("pods", where))


def _pod_subject(pod: Object) -> Subject:
    meta = mapping(pod, "metadata")
    return Subject(SubjectKind.POD, text(meta, "name"), text(meta, "namespace"), text(meta, "uid"))


def _ended(subject: Subject, container: str, ended: Object, where: str) -> Iterator[Fact]:
    code, reason = whole(ended, "exitCode"), text(ended, "reason")
    is_oom = reason == "OOMKilled"
    if not ended or (code in (0, None) and not is_oom):
        return
    detail = {
        "container": container,
        "exit_code": "" if code is None else str(code),
        "reason": reason,
        "started_at": text(ended, "startedAt"),
        "container_id": text(ended, "containerID").rpartition("/")[2],
    }
    told = f"container {container} ended: {reason or 'no reason'}, exit code {code}"
    message = text(ended, "message")
    yield Fact(
        kind=Kind.CONTAINER_OOM if is_oom else Kind.CONTAINER_EXITED,
        at_s=iso_s(ended.get("finishedAt")),
        subject=subject,
        source="pods",
        trust=Trust.TRUSTED,
        text=f"{told}: {message}"[:_TEXT_CHARS] if message else told,
        detail={key: value for key, value in detail.items() if value},
        where=where,
    )


def _failed(pod: Object, subject: Subject, where: str) -> Iterator[Fact]:
    status = mapping(pod, "status")
    kind = _FAILED_BY_REASON.get(text(status, "reason"))
    if kind is None or text(status, "phase") != "Failed":
        return
    finished = [
        at_s
        for one in objects(status, "containerStatuses")
        if (at_s := iso_s(mapping(one, "state", "terminated").get("finishedAt"))) is not None
    ]
    moved = [
        at_s
        for one in objects(status, "conditions")
        if (at_s := iso_s(one.get("lastTransitionTime"))) is not None
    ]
    yield _fact(kind, max(finished or moved, default=None), subject, status, ("pods", where))


def node_facts(node: Object, where: str = "") -> Iterator[Fact]:
    """What is wrong with a node, whether it is ready, and who keeps pods off it."""
    subject = Subject(SubjectKind.NODE, text(node, "metadata", "name"))
    for condition in objects(node, "status", "conditions"):
        kind = _condition_kind(text(condition, "type"), text(condition, "status"))
        if kind is not None:
            at_s = iso_s(condition.get("lastTransitionTime"))
            yield _fact(kind, at_s, subject, condition, ("nodes", where))
    yield from _kept_off(node, subject, where)


def _condition_kind(name: str, status: str) -> Kind | None:
    if name == "Ready":
        return Kind.NODE_READY if status == "True" else Kind.NODE_NOT_READY
    return _FAULTS.get(name) if status == "True" else None


def _kept_off(node: Object, subject: Subject, where: str) -> Iterator[Fact]:
    taints = objects(node, "spec", "taints")
    for taint in taints:
        kind = _TAINTS.get(text(taint, "key"))
        if kind is not None:
            at_s = iso_s(taint.get("timeAdded"))
            value = text(taint, "value")
            if at_s is None and value.isascii() and value.isdigit() and len(value) == 10:
                at_s = float(value)  # the cluster autoscaler writes Unix seconds
            said = {"reason": text(taint, "key"), "message": f"taint {text(taint, 'key')}"}
            yield _fact(kind, at_s, subject, said, ("nodes", where))
    known = any(text(taint, "key") == "node.kubernetes.io/unschedulable" for taint in taints)
    if mapping(node, "spec").get("unschedulable") is True and not known:
        said = {"reason": "unschedulable", "message": "spec.unschedulable is true"}
        yield _fact(Kind.CORDON, None, subject, said, ("nodes", where))


def _fact(
    kind: Kind, at_s: float | None, subject: Subject, said: Object, origin: tuple[str, str]
) -> Fact:
    detail = {key: value for key in ("type", "status", "reason") if (value := text(said, key))}
    told = text(said, "message") or text(said, "reason") or kind
    source, where = origin
    return Fact(kind, at_s, subject, source, Trust.TRUSTED, told[:_TEXT_CHARS], detail, where=where)
