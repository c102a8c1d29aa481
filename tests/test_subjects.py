"""Whom a Fact is about, and what part that one plays."""

from __future__ import annotations

import pytest

from agent.model import SubjectKind
from agent.rules.roles import Role, role_of
from agent.rules.subjects import About, pod_of_reference, subject, subject_of_cgroup

UID = "392bf93e-1fcf-11ea-9b5b-2bf70ddb0a6a"
CID = "88f3a4f407b4aa45764b7f67e1e8068d890a8b9fbdbd7fc621958dde0de3d215"
SYSTEMD_UID = UID.replace("-", "_")


@pytest.mark.parametrize(
    "path",
    [
        f"/kubepods/burstable/pod{UID}/{CID}",
        f"/kubepods/pod{UID}",
        f"/kubepods.slice/kubepods-pod{SYSTEMD_UID}.slice/{CID}",
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SYSTEMD_UID}.slice/"
            f"cri-containerd-{CID}.scope"
        ),
        (
            f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SYSTEMD_UID}.slice/"
            f"crio-{CID}.scope"
        ),
        (
            f"/system.slice/containerd.service/kubepods-burstable-pod{SYSTEMD_UID}.slice:cri-containerd:"
            f"{CID}"
        ),
        f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SYSTEMD_UID}.slice",
    ],
)
def test_pods_by_control_group(path: str) -> None:
    found = subject_of_cgroup(path)
    assert (found.kind, found.uid) == (SubjectKind.POD, UID)


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        (f"/docker/{CID}", SubjectKind.CONTAINER, CID),
        (f"/system.slice/docker-{CID}.scope", SubjectKind.CONTAINER, CID),
        ("/system.slice/docker.service", SubjectKind.UNIT, "docker.service"),
        ("/lab/system.slice/containerd.service", SubjectKind.UNIT, "containerd.service"),
        ("/user.slice/user-0.slice/session-3.scope", SubjectKind.UNIT, "session-3.scope"),
        ("/", SubjectKind.NODE, ""),
        ("/kubepods", SubjectKind.NODE, ""),
        ("", SubjectKind.NODE, ""),
    ],
)
def test_others_by_control_group(path: str, kind: SubjectKind, name: str) -> None:
    found = subject_of_cgroup(path)
    assert (found.kind, found.name) == (kind, name)


def test_static_pods_have_a_hash_for_uid() -> None:
    path = "/kubepods/burstable/podcf65e6f5b44994eb0c765da8d13005cb/" + CID
    assert subject_of_cgroup(path).uid == "cf65e6f5b44994eb0c765da8d13005cb"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("default/web-1", ("web-1", "default", "")),
        (f"etcd-0_admin({UID})", ("etcd-0", "admin", UID)),
        ("kube-dns-1_kube-system", ("kube-dns-1", "kube-system", "")),
        ("web", ("web", "", "")),
    ],
)
def test_pods_by_reference(text: str, expected: tuple[str, str, str]) -> None:
    found = pod_of_reference(text)
    assert (found.name, found.namespace, found.uid) == expected


def test_units_by_field_then_description() -> None:
    assert subject(About.UNIT, {}, {"UNIT": "docker.service"}).name == "docker.service"
    described = {"description": "Service for snap application microk8s.daemon-kubelite"}
    assert subject(About.UNIT, described, {"_PID": "1"}).name == (
        "snap.microk8s.daemon-kubelite.service"
    )
    assert subject(About.UNIT, {"unit": "docker"}, {}).name == "docker.service"


def test_runtime_and_kubelet_are_named_by_the_speaker() -> None:
    k3s = {"_SYSTEMD_UNIT": "k3s.service"}
    assert subject(About.RUNTIME, {}, k3s).name == "k3s.service"
    assert subject(About.KUBELET, {}, k3s).name == "k3s.service"
    assert subject(About.KUBELET, {}, {}).name == "kubelet.service"
    assert Role.RUNTIME in role_of(subject(About.RUNTIME, {}, {}))


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("docker.service", Role.RUNTIME),
        ("containerd-shim-runc-v2", Role.RUNTIME),
        ("containerd-shim", Role.RUNTIME),
        ("crio.service", Role.RUNTIME),
        ("snap.microk8s.daemon-containerd.service", Role.RUNTIME),
        ("kubelet.service", Role.KUBELET),
        ("hyperkube", Role.KUBELET),
        ("snap.microk8s.daemon-kubelite.service", Role.KUBELET | Role.CONTROL_PLANE),
        ("k3s.service", Role.RUNTIME | Role.KUBELET | Role.CONTROL_PLANE),
        ("rke2-agent.service", Role.RUNTIME | Role.KUBELET),
        ("kube-docker-monitor.service", Role.MONITOR),
        ("kube-container-runtime-monitor.service", Role.MONITOR),
        ("node-problem-detector.service", Role.MONITOR),
        ("docker-healthcheck.service", Role.MONITOR),
        ("etcd", Role.CONTROL_PLANE),
        ("snap.microk8s.daemon-apiserver-kicker.service", Role.AGENT),
        ("systemd-journald.service", Role.SYSTEM),
        ("postgresql.service", Role.OTHER),
        ("", Role.OTHER),
    ],
)
def test_roles(name: str, role: Role) -> None:
    assert role_of(name) == role
