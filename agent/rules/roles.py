"""Which part of a node a unit or a process plays: runtime, kubelet, monitor and so on."""

from __future__ import annotations

import re
from enum import Flag, auto

from agent.model import Subject


class Role(Flag):
    """The parts a unit plays; k3s, RKE2 and microk8s play several at once."""

    RUNTIME = auto()
    KUBELET = auto()
    MONITOR = auto()
    CONTROL_PLANE = auto()
    AGENT = auto()
    SYSTEM = auto()
    OTHER = auto()


WHOLE_UNITS = ("user.slice", "init.scope")
"""Groups that the recorder counts as one, whoever is in them: every login, and PID 1."""

_ALL_IN_ONE = Role.RUNTIME | Role.KUBELET | Role.CONTROL_PLANE
_NODE_IN_ONE = Role.RUNTIME | Role.KUBELET

# First match wins: monitors are named after what they watch, so they come first.
_NAMES: tuple[tuple[str, Role], ...] = (
    (
        (
            r"(?:kube-)?(?:docker|containerd?|kubelet|cri-containerd|container-runtime|kube-"
            r"container-runtime|etcd|crio)-(?:monitor|healthcheck|health-monitor|watchdog)"
        ),
        Role.MONITOR,
    ),
    (
        (
            r"node-problem-detector|health-?checker|health-monitor(?:\.sh?|\.)?|gardener-node-agent"
            r"|eks-node-monitoring-agent"
        ),
        Role.MONITOR,
    ),
    (r"k3s-agent|rke2-agent|rancher-system-agent-k3s", _NODE_IN_ONE),
    (r"k3s(?:-server)?|rke2(?:-server)?|k0scontroller|k0s|k0sworker", _ALL_IN_ONE),
    (
        r"snap\.microk8s\.daemon-kubelite|kubelite|microk8s\.daemon-kubelite",
        Role.KUBELET | Role.CONTROL_PLANE,
    ),
    (r"snap\.microk8s\.daemon-containerd|microk8s\.daemon-containerd", Role.RUNTIME),
    (r"docker(?:d|-containerd|-latest|-ce)?|snap\.docker\.dockerd|moby-engine", Role.RUNTIME),
    (
        r"(?:cri-|docker-|k3s-|rke2-)?containerd(?:@\w+)?|cri|crio|cri-o|cri-dockerd?|podman|conmon",
        Role.RUNTIME,
    ),
    (
        r"(?:docker-)?containerd-shim(?:-runc-v\d|-runc-v)?|container-runtime|runc|crun",
        Role.RUNTIME,
    ),
    (
        (
            r"kubelet(?:-wrapper)?|kubenswrapper|hyperkube|origin-node|atomic-openshift-node"
            r"|snap\.(?:microk8s\.daemon-)?kubelet(?:-eks|\.daemon)?(?:\.daemon)?"
        ),
        Role.KUBELET,
    ),
    (
        (
            r"etcd(?:-member|-\w+)?|(?:kube-)?(?:apiserver|controller-manager|scheduler)(?:-.*)?"
            r"|snap\.microk8s\.daemon-(?:etcd|apiserver|k8s-dqlite|cluster-agent)|k8s-dqlite"
        ),
        Role.CONTROL_PLANE,
    ),
    (
        (
            r"kube-proxy|flanneld?|calico-node|cilium(?:-agent)?|aws-node|weave(?:-net)?|kured|fluent-?(?:d|bit)"
            r"|snap\.microk8s\..+|google-.+|walinuxagent|waagent|amazon-ssm-agent|nvidia-.+|konnectivity.*"
            r"|cluster-autoscaler|karpenter"
        ),
        Role.AGENT,
    ),
    (
        (
            r"systemd(?:-.+)?|init|init\.scope|dbus(?:-.+)?|sshd?|cron|crond|rsyslog|polkit|snapd|chronyd?|ntpd?"
            r"|user@\d+|session-\w+|NetworkManager|auditd|multipathd|irqbalance|getty@.+|apt-.+"
            r"|unattended-upgrades|packagekit|udisks2|kernel"
        ),
        Role.SYSTEM,
    ),
)
_COMPILED = tuple((re.compile(rf"(?:{pattern})\Z"), role) for pattern, role in _NAMES)


def role_of(name: Subject | str) -> Role:
    """Say what part a unit, a process or a Subject plays on a node; ``Role.OTHER`` when unknown."""
    text = name.name if isinstance(name, Subject) else name
    stem = text.removesuffix(".service").removesuffix(".scope").rsplit("/", 1)[-1]
    for pattern, role in _COMPILED:
        if pattern.match(stem):
            return role
    return Role.OTHER
