"""The cluster's one replica, off by default: joins what the nodes' agents tell.

It reads Events, the metadata of nodes and its own namespace's pods; on a node it has nothing, and
it writes nothing but its Lease. A second replica (cluster.replicas) only waits for the Lease.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kubernetes import client

from daemonset import agent_config
from daemonset.context import Context
from daemonset.jobs import NOBODY, scratch, tmpfs
from daemonset.parts import (
    CLUSTER,
    fixed_memory,
    image,
    labels,
    locked_down,
    meta,
    port_probe,
    pull_secrets,
    scrape_annotations,
    selector,
)

FILE = "cluster.toml"


def template(context: Context) -> list[object] | None:
    """Return its settings and its Deployment."""
    if not context["cluster"]["enabled"]:
        return None
    named = meta(context, CLUSTER, name=f"{context['name']}-{CLUSTER}")
    text = _toml(agent_config.of_cluster(context))
    return [
        client.V1ConfigMap(api_version="v1", kind="ConfigMap", metadata=named, data={FILE: text}),
        client.V1Deployment(
            api_version="apps/v1",
            kind="Deployment",
            metadata=named,
            spec=client.V1DeploymentSpec(
                replicas=context["cluster"]["replicas"],
                selector=client.V1LabelSelector(match_labels=selector(context, CLUSTER)),
                template=client.V1PodTemplateSpec(
                    metadata=client.V1ObjectMeta(
                        labels=labels(context, CLUSTER),
                        annotations=scrape_annotations(context, text),
                    ),
                    spec=_pod(context),
                ),
            ),
        ),
    ]


def _toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    parts = []
    for section, values in settings.items():
        parts.append(f"[{section}]")
        parts += [
            f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()
        ]
        parts.append("")
    return "\n".join(parts)


def _pod(context: Context) -> client.V1PodSpec:
    name = f"{context['name']}-{CLUSTER}"
    tmp, tmp_mount = scratch("tmp", "/tmp", empty_dir=tmpfs("16Mi"))  # noqa: S108 - the pod's own
    config = client.V1Volume(name="config", config_map=client.V1ConfigMapVolumeSource(name=name))
    volumes, mounts = [config, tmp], [_read_only("config", agent_config.ETC), tmp_mount]
    if context["metrics"]["tlsSecret"]:
        source = client.V1SecretVolumeSource(
            secret_name=context["metrics"]["tlsSecret"], default_mode=0o440
        )
        volumes.append(client.V1Volume(name="tls", secret=source))
        mounts.append(_read_only("tls", agent_config.TLS))
    return client.V1PodSpec(
        service_account_name=name,
        automount_service_account_token=True,
        enable_service_links=False,
        termination_grace_period_seconds=10,
        priority_class_name=context["cluster"]["priorityClassName"] or None,
        image_pull_secrets=pull_secrets(context),
        node_selector={"kubernetes.io/os": "linux", **context["cluster"]["nodeSelector"]},
        security_context=client.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=NOBODY,
            run_as_group=NOBODY,
            fs_group=NOBODY,
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
        ),
        containers=[_container(context, mounts)],
        volumes=volumes,
    )


def _container(context: Context, mounts: list[client.V1VolumeMount]) -> client.V1Container:
    wanted = context["cluster"]
    return client.V1Container(
        name=CLUSTER,
        image=wanted["image"] or image(context),
        image_pull_policy=context["image"]["pullPolicy"],
        args=["agent", "--cluster", "--config", f"{agent_config.ETC}/{FILE}"],
        env=[
            client.V1EnvVar(
                name="POD_NAME",
                value_from=client.V1EnvVarSource(
                    field_ref=client.V1ObjectFieldSelector(field_path="metadata.name")
                ),
            )
        ],
        ports=[client.V1ContainerPort(name="metrics", container_port=context["metrics"]["port"])],
        resources=fixed_memory(wanted["cpuRequest"], wanted["memory"]),
        security_context=locked_down(),
        liveness_probe=port_probe(context, "/healthz", failure_threshold=6, period_seconds=10),
        readiness_probe=port_probe(context, "/readyz", failure_threshold=3, period_seconds=5),
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=mounts,
    )


def _read_only(name: str, path: str) -> client.V1VolumeMount:
    return client.V1VolumeMount(name=name, mount_path=path, read_only=True)
