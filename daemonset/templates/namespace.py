"""A namespace of its own, because a hostPath is forbidden by the baseline and restricted levels.

Admission lets it in (enforce: privileged), and still warns about everything beyond restricted.
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import cluster_meta, labels


def template(context: Context) -> client.V1Namespace | None:
    """Return the Namespace, unless it is somebody else's."""
    if not context["createNamespace"]:
        return None
    level = {
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    return client.V1Namespace(
        api_version="v1",
        kind="Namespace",
        metadata=cluster_meta(
            context, name=context["namespace"], labels={**labels(context, "namespace"), **level}
        ),
    )
