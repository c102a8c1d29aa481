"""The server's configuration files."""

from kubernetes import client


def template(context):
    """Return the ConfigMap."""
    return client.V1ConfigMap(
        api_version="v1",
        kind="ConfigMap",
        metadata=client.V1ObjectMeta(name=context["name"]),
        data=context["configmaps"],
    )
