"""A Service that leads to the pods of one application."""

from kubernetes import client


def template(context):
    """Return the Service."""
    return client.V1Service(
        api_version="v1",
        kind="Service",
        metadata=client.V1ObjectMeta(name=context["name"]),
        spec=client.V1ServiceSpec(
            type="NodePort",
            selector={"app": context["name"]},
            ports=[{"port": context["externalPort"], "targetPort": context["internalPort"]}],
        ),
    )
