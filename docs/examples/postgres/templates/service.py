"""The headless Service that gives each member its name."""

from kubernetes import client


def template(context):
    """Return the Service."""
    return client.V1Service(
        api_version="v1",
        kind="Service",
        metadata=client.V1ObjectMeta(name=context["name"]),
        spec=client.V1ServiceSpec(
            cluster_ip="None",
            selector={"app": context["name"]},
            ports=[client.V1ServicePort(name="postgres", port=5432)],
        ),
    )
