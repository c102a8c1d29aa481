"""What a Fact is about: Subjects from captured groups, record fields and control-group paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from agent.model import Subject, SubjectKind
from agent.rules.roles import Role, role_of

ANY_RUNTIME = "container-runtime"  # the runtime of this node, when nobody says which one it is


class About(StrEnum):
    """The words a rule may use for ``about``."""

    NODE = "node"
    UNIT = "unit"
    POD = "pod"
    CONTAINER = "container"
    PROCESS = "process"
    DEVICE = "device"
    RUNTIME = "runtime"
    KUBELET = "kubelet"


# Description= of the units that matter, as their packagers wrote it; longest first.
_DESCRIPTIONS = (
    ("Docker Application Container Engine", "docker.service"),
    ("CRI Interface for Docker", "cri-docker.service"),
    ("Container Runtime Interface for OCI", "crio.service"),
    ("Open Container Initiative Daemon", "crio.service"),
    ("containerd container runtime", "containerd.service"),
    ("kubelet: The Kubernetes Node Agent", "kubelet.service"),
    ("Kubernetes Kubelet", "kubelet.service"),
    ("Kubernetes kubelet", "kubelet.service"),
    ("Lightweight Kubernetes", "k3s.service"),
    ("Rancher Kubernetes Engine v2 (agent)", "rke2-agent.service"),
    ("Rancher Kubernetes Engine v2", "rke2-server.service"),
    ("Kubernetes health monitoring for docker", "kube-docker-monitor.service"),
    ("Kubernetes health monitoring for container", "kube-container-runtime-monitor.service"),
    ("Kubernetes health monitoring for kubelet", "kubelet-monitor.service"),
    ("Kubernetes node problem detector", "node-problem-detector.service"),
    ("etcd", "etcd.service"),
)
_UID = r"[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32}"
_POD_UID = re.compile(rf"(?:\bpod|-pod|/pod)(?P<uid>{_UID})(?=[./]|$)")
_CONTAINER = re.compile(r"(?:^|[/\-:])(?P<id>[0-9a-f]{64})(?:\.scope)?(?=/|$)")
_UNIT = re.compile(r"(?P<unit>[^/]+\.(?:service|scope))(?=/|$)")
_POD_PATH = re.compile(r"(?P<ns>[a-z0-9-]+)/(?P<pod>[a-z0-9][a-z0-9.-]*)\Z")
_POD_UNDERSCORE = re.compile(
    r"(?P<pod>[a-z0-9][a-z0-9.-]*)_(?P<ns>[a-z0-9-]+)(?:\((?P<uid>[0-9a-f-]{32,36})\))?\Z"
)


def subject_of_cgroup(path: str) -> Subject:
    """Name the owner of a control group: a pod by uid, a container by id, or a systemd unit.

    >>> str(subject_of_cgroup("/system.slice/docker.service"))
    'unit/docker.service'
    """
    container = container_of_cgroup(path)
    pod = _POD_UID.search(path)
    if pod:
        return Subject(SubjectKind.POD, "", uid=pod["uid"].replace("_", "-"))
    if container:
        return Subject(SubjectKind.CONTAINER, container)
    units = [found["unit"] for found in _UNIT.finditer(path)]
    if units:
        return Subject(SubjectKind.UNIT, units[-1])
    return Subject(SubjectKind.NODE, "")


def container_of_cgroup(path: str) -> str:
    """Give the 64-digit container id at the end of a control-group path, or an empty string."""
    found = list(_CONTAINER.finditer(path))
    return found[-1]["id"] if found else ""


def pod_of_reference(reference: str) -> Subject:
    """Read ``ns/pod`` and the old ``pod_ns(uid)``; anything else becomes the pod's name."""
    text = reference.strip('"\\ ')
    found = _POD_PATH.match(text) or _POD_UNDERSCORE.match(text)
    if not found:
        return Subject(SubjectKind.POD, text)
    parts = found.groupdict()
    return Subject(SubjectKind.POD, parts["pod"], parts["ns"], parts.get("uid") or "")


def subject(about: About, groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    """Build what ``about`` asks for from named groups first and record fields second."""
    return _BUILDERS[about](groups, fields)


def _node(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    named = fields.get("OBJECT_NAME", "") if fields.get("OBJECT_KIND") == "Node" else ""
    name = groups.get("node") or fields.get("NODE") or named or fields.get("_HOSTNAME", "")
    return Subject(SubjectKind.NODE, name)


def _unit(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    name = groups.get("unit") or fields.get("UNIT") or fields.get("COREDUMP_UNIT")
    if not name and fields.get("_PID") != "1":
        name = fields.get("_SYSTEMD_UNIT")
    return Subject(SubjectKind.UNIT, with_suffix(name or _described(groups.get("description", ""))))


def _described(description: str) -> str:
    """Name the unit behind a description, for pasted lines that have nothing else."""
    snap = re.match(r"Service for snap application (\S+)", description)
    if snap:
        return f"snap.{snap[1]}.service"
    return next((unit for text, unit in _DESCRIPTIONS if description.startswith(text)), description)


def with_suffix(unit: str) -> str:
    """Complete ``docker`` to ``docker.service``; leave full unit names and descriptions alone."""
    if not unit or " " in unit or re.search(r"\.[a-z]+\Z", unit):
        return unit
    return f"{unit}.service"


def _pod(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    if groups.get("cgroup"):
        return subject_of_cgroup(groups["cgroup"])
    if groups.get("podref"):
        found = pod_of_reference(groups["podref"])
        return found if found.uid else _with_uid(found, groups.get("uid", ""))
    if groups.get("pod"):
        namespace = groups.get("ns") or fields.get("OBJECT_NAMESPACE", "")
        return Subject(SubjectKind.POD, groups["pod"], namespace, groups.get("uid", ""))
    if fields.get("OBJECT_KIND") in ("Pod", None):
        return _pod_of_object(groups, fields)
    return Subject(SubjectKind.POD, "", uid=groups.get("uid", ""))


def _with_uid(found: Subject, uid: str) -> Subject:
    return Subject(found.kind, found.name, found.namespace, uid) if uid else found


def _pod_of_object(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    return Subject(
        SubjectKind.POD,
        fields.get("OBJECT_NAME", ""),
        fields.get("OBJECT_NAMESPACE", ""),
        groups.get("uid") or fields.get("OBJECT_UID", ""),
    )


def _container(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    if groups.get("cgroup"):
        return subject_of_cgroup(groups["cgroup"])
    if fields.get("OBJECT_NAME") or groups.get("podref") or groups.get("pod"):
        return _pod(groups, fields)
    name = groups.get("container") or groups.get("sandbox") or ""
    return Subject(SubjectKind.CONTAINER, name)


def _process(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    name = groups.get("comm") or fields.get("COREDUMP_COMM") or fields.get("_COMM", "")
    return Subject(SubjectKind.PROCESS, name)


def _device(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    return Subject(SubjectKind.DEVICE, groups.get("device") or fields.get("_KERNEL_DEVICE", ""))


def _runtime(groups: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    named = groups.get("runtime", "").lower()
    speaker = fields.get("_SYSTEMD_UNIT") or ""
    if named:
        return Subject(SubjectKind.UNIT, with_suffix(_RUNTIME_UNITS.get(named, named)))
    if Role.RUNTIME in role_of(speaker):
        return Subject(SubjectKind.UNIT, speaker)
    return Subject(SubjectKind.UNIT, ANY_RUNTIME)


_RUNTIME_UNITS = {"dockerd": "docker", "cri-o": "crio", "cri": "containerd", "remote": ANY_RUNTIME}


def _kubelet(_: Mapping[str, str], fields: Mapping[str, str]) -> Subject:
    speaker = fields.get("_SYSTEMD_UNIT") or ""
    known = Role.KUBELET in role_of(speaker)
    return Subject(SubjectKind.UNIT, speaker if known else "kubelet.service")


_BUILDERS = {
    About.NODE: _node,
    About.UNIT: _unit,
    About.POD: _pod,
    About.CONTAINER: _container,
    About.PROCESS: _process,
    About.DEVICE: _device,
    About.RUNTIME: _runtime,
    About.KUBELET: _kubelet,
}
