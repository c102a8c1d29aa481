"""What the cluster's replica may ask of the API server.

events list, watch    (all namespaces) what the agents told, and SandboxChanged
nodes list, watch     which nodes have no agent; asked for as metadata only
pods list, watch      (own namespace) where agents run
leases create         (own namespace) its Lease, the first time
leases get, update    (own namespace, that one name) to lead, and to let go
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import CLUSTER, cluster_meta, meta, policy_rules
from daemonset.rights import cluster_rights, lease_rights, own_rights

GROUP = "rbac.authorization.k8s.io"


def template(context: Context) -> list[object] | None:
    """Return its account, its two roles, and what binds them."""
    if not context["cluster"]["enabled"]:
        return None
    name = f"{context['name']}-{CLUSTER}"
    here, anywhere = meta(context, CLUSTER, name=name), cluster_meta(context, name=name)
    subject = client.RbacV1Subject(kind="ServiceAccount", name=name, namespace=context["namespace"])
    own = [*policy_rules(own_rights()), *policy_rules(lease_rights(), name)]
    version = f"{GROUP}/v1"
    return [
        client.V1ServiceAccount(
            api_version="v1",
            kind="ServiceAccount",
            metadata=here,
            automount_service_account_token=False,
        ),
        client.V1ClusterRole(
            api_version=version,
            kind="ClusterRole",
            metadata=anywhere,
            rules=policy_rules(cluster_rights()),
        ),
        client.V1ClusterRoleBinding(
            api_version=version,
            kind="ClusterRoleBinding",
            metadata=anywhere,
            role_ref=client.V1RoleRef(api_group=GROUP, kind="ClusterRole", name=name),
            subjects=[subject],
        ),
        client.V1Role(api_version=version, kind="Role", metadata=here, rules=own),
        client.V1RoleBinding(
            api_version=version,
            kind="RoleBinding",
            metadata=here,
            role_ref=client.V1RoleRef(api_group=GROUP, kind="Role", name=name),
            subjects=[subject],
        ),
    ]
