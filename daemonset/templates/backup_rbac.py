"""What the backup may ask of the API server: nothing, unless backup.lease names a Lease.

leases create         (its own namespace) the Lease, the first time
leases get, update    (its own namespace, that one name) to hold it, and to let go
"""

from __future__ import annotations

from kubernetes import client

from backup.run.lease import checked_name
from daemonset.context import Context
from daemonset.jobs import job_meta
from daemonset.parts import BACKUP, policy_rules
from daemonset.rights import run_lease_rights, run_rights

GROUP = "rbac.authorization.k8s.io"


def template(context: Context) -> list[object] | None:
    """Return the role of the backup's account, and what binds it."""
    lease = context["backup"]["lease"]
    if not (context["backup"]["enabled"] and lease):
        return None
    here, name = job_meta(context, BACKUP), f"{context['name']}-{BACKUP}"
    rules = [*policy_rules(run_rights()), *policy_rules(run_lease_rights(), checked_name(lease))]
    subject = client.RbacV1Subject(kind="ServiceAccount", name=name, namespace=here.namespace)
    version = f"{GROUP}/v1"
    return [
        client.V1Role(api_version=version, kind="Role", metadata=here, rules=rules),
        client.V1RoleBinding(
            api_version=version,
            kind="RoleBinding",
            metadata=here,
            role_ref=client.V1RoleRef(api_group=GROUP, kind="Role", name=name),
            subjects=[subject],
        ),
    ]
