"""OpenShift's own admission: just what the agent's pods ask for, off by default.

None of the stock SecurityContextConstraints below `privileged` takes a hostPath and a read-only
root together. This one gives mounts of the node and user 0, and nothing else: no privilege, no
host namespace, no capability, the runtime's seccomp profile, a read-only root.
"""

from __future__ import annotations

from daemonset.context import Context
from daemonset.parts import AGENT, labels

KIND = "SecurityContextConstraints"


def template(context: Context) -> dict[str, object] | None:
    """Return the constraints, for the agents' account alone."""
    if not context["openshift"]["enabled"]:
        return None
    tracing = context["profiles"]["attribution"]["enabled"]
    account = f"system:serviceaccount:{context['namespace']}:{context['name']}"
    return {
        "apiVersion": "security.openshift.io/v1",
        "kind": KIND,
        "metadata": {"name": context["name"], "labels": labels(context, AGENT)},
        "priority": None,
        "users": [account],
        "groups": [],
        "allowPrivilegedContainer": False,
        "allowPrivilegeEscalation": False,
        "defaultAllowPrivilegeEscalation": False,
        "allowHostDirVolumePlugin": True,
        "allowHostIPC": False,
        "allowHostNetwork": False,
        "allowHostPID": False,
        "allowHostPorts": False,
        "readOnlyRootFilesystem": True,
        "allowedCapabilities": ["SYS_PTRACE"] if tracing else [],
        "defaultAddCapabilities": [],
        "requiredDropCapabilities": ["ALL"],
        "seccompProfiles": ["runtime/default"],
        "runAsUser": {"type": "RunAsAny"},
        "seLinuxContext": {
            "type": "MustRunAs",
            "seLinuxOptions": {"type": context["agent"]["seLinuxType"] or "spc_t"},
        },
        "fsGroup": {"type": "RunAsAny"},
        "supplementalGroups": {"type": "RunAsAny"},
        "volumes": ["configMap", "hostPath", "projected", "secret"],
    }
