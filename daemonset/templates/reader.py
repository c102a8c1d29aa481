"""What people may ask of the API server who type `knockon why` and `knockon incidents`.

pods get, list      where a pod is, and where the agents are
events list         what the agents told, while one of them is away
nodes get, list     which nodes have no agent, or are not ready
pods/proxy get      (agents' namespace) the agents' own pages, which change nothing
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import cluster_meta, meta, policy_rules
from daemonset.rights import proxy_rights, reader_rights

GROUP = "rbac.authorization.k8s.io"
VERSION = f"{GROUP}/v1"


def template(context: Context) -> list[object] | None:
    """Return a ClusterRole and a Role, and what binds them to the groups and users named."""
    wanted = context["readers"]
    if not wanted["enabled"]:
        return None
    name = f"{context['name']}-reader"
    here, anywhere = meta(context, name=name), cluster_meta(context, name=name)
    subjects = [
        client.RbacV1Subject(api_group=GROUP, kind=kind, name=one)
        for kind, names in (("Group", wanted["groups"]), ("User", wanted["users"]))
        for one in names
    ]
    roles: list[object] = [
        client.V1ClusterRole(
            api_version=VERSION,
            kind="ClusterRole",
            metadata=anywhere,
            rules=policy_rules(reader_rights()),
        ),
        client.V1Role(
            api_version=VERSION, kind="Role", metadata=here, rules=policy_rules(proxy_rights())
        ),
    ]
    if not subjects:
        return roles
    return [
        *roles,
        client.V1ClusterRoleBinding(
            api_version=VERSION,
            kind="ClusterRoleBinding",
            metadata=anywhere,
            role_ref=client.V1RoleRef(api_group=GROUP, kind="ClusterRole", name=name),
            subjects=subjects,
        ),
        client.V1RoleBinding(
            api_version=VERSION,
            kind="RoleBinding",
            metadata=here,
            role_ref=client.V1RoleRef(api_group=GROUP, kind="Role", name=name),
            subjects=subjects,
        ),
    ]
