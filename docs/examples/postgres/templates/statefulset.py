"""Postgres itself, with room on disks, a configuration, and probes that ask the server."""

from kubernetes import client


def template(context):
    """Return the StatefulSet."""
    labels = {"app": context["name"]}
    return client.V1StatefulSet(
        api_version="apps/v1",
        kind="StatefulSet",
        metadata=client.V1ObjectMeta(name=context["name"]),
        spec=client.V1StatefulSetSpec(
            service_name=context["name"],
            replicas=context["replicas"],
            selector=client.V1LabelSelector(match_labels=labels),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(labels=labels),
                spec=client.V1PodSpec(
                    containers=[_postgres(context)],
                    volumes=[_configuration(context)],
                    node_selector=context.get("nodeSelector"),
                ),
            ),
            volume_claim_templates=[_claim(pvc) for pvc in context["pvc"]],
        ),
    )


def _postgres(context):
    ready = client.V1ExecAction(command=["gosu", "postgres", "pg_isready"])
    mounts = [
        client.V1VolumeMount(name=pvc["name"], mount_path=pvc["mountPath"])
        for pvc in context["pvc"]
    ]
    mounts.append(client.V1VolumeMount(name="configuration", mount_path="/etc/postgresql"))
    return client.V1Container(
        name="postgres",
        image=context["image"],
        ports=[client.V1ContainerPort(container_port=5432)],
        liveness_probe=client.V1Probe(
            _exec=ready, initial_delay_seconds=120, timeout_seconds=5, failure_threshold=6
        ),
        readiness_probe=client.V1Probe(
            _exec=ready, initial_delay_seconds=10, timeout_seconds=5, period_seconds=30
        ),
        resources=client.V1ResourceRequirements(**context["resources"]),
        volume_mounts=mounts,
    )


def _configuration(context):
    source = client.V1ConfigMapVolumeSource(name=context["name"])
    return client.V1Volume(name="configuration", config_map=source)


def _claim(pvc):
    return client.V1PersistentVolumeClaim(
        metadata=client.V1ObjectMeta(name=pvc["name"]),
        spec=client.V1PersistentVolumeClaimSpec(
            access_modes=["ReadWriteOnce"],
            storage_class_name=pvc["class"],
            resources=client.V1VolumeResourceRequirements(requests={"storage": pvc["size"]}),
        ),
    )
