"""What the agent may ask of the API server.

It reads no Secret, no ConfigMap, no log, and changes nothing but adding Events.
pods list, watch      the pods of its own node (it always sends fieldSelector=spec.nodeName)
events list, watch    SandboxChanged; on clusters of over 100 nodes only single lists are made
nodes list            whether its own node is drained, when a pod is evicted; and counts the nodes
                      once, to choose between the two (kube.events = "auto")
events create         (events.k8s.io) the explanation, on the victim, the offender and the node
"""

from __future__ import annotations

from kubernetes import client

from daemonset.agent_config import effective
from daemonset.context import Context
from daemonset.parts import cluster_meta, meta, policy_rules
from daemonset.rights import rights


def template(context: Context) -> list[object]:
    """Return the ServiceAccount, its role, and what binds the two."""
    name = context["name"]
    return [
        client.V1ServiceAccount(
            api_version="v1",
            kind="ServiceAccount",
            metadata=meta(context),
            automount_service_account_token=False,  # the DaemonSet's pods ask for it themselves
        ),
        client.V1ClusterRole(
            api_version="rbac.authorization.k8s.io/v1",
            kind="ClusterRole",
            metadata=cluster_meta(context),
            rules=_rules(context),
        ),
        client.V1ClusterRoleBinding(
            api_version="rbac.authorization.k8s.io/v1",
            kind="ClusterRoleBinding",
            metadata=cluster_meta(context),
            role_ref=client.V1RoleRef(
                api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=name
            ),
            subjects=[
                client.RbacV1Subject(
                    kind="ServiceAccount", name=name, namespace=context["namespace"]
                )
            ],
        ),
    ]


def _rules(context: Context) -> list[client.V1PolicyRule]:
    granted = rights(
        access=effective(context, "kube", "access"),
        events=effective(context, "kube", "events"),
        publish=effective(context, "kube", "publish"),
    )
    return policy_rules(granted)
