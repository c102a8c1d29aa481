"""The agent, on every node.

User 0 without a single capability reads a journal that belongs to root and to a group whose number
differs between distributions, and nothing more: no privilege, no host PID, no host network, a
read-only root, the runtime's seccomp profile. All of the node it mounts is read-only but
/run/knockon, the flight recorder's ring on the node's tmpfs: it outlives the pod. The parents of
the journals are mounted, since creating /var/log/journal would make journald keep its journal on
disk. Liveness asks neither the API server nor a disk.

Profiles, all off (values: profiles.NAME.enabled):
probe        buys: sees the runtime slow down before it is killed; costs: its socket equals root
attribution  buys: the processes that move most, by name; costs: SYS_PTRACE and the node's /proc
governor     buys: limits for foreign backup tools started here; costs: write access to all cgroups
"""

from __future__ import annotations

from kubernetes import client

from daemonset import agent_config, mounts
from daemonset.context import Context
from daemonset.parts import (
    AGENT,
    fixed_memory,
    image,
    labels,
    locked_down,
    meta,
    port_probe,
    pull_secrets,
    scrape_annotations,
    selector,
    tolerations,
)


def template(context: Context) -> client.V1DaemonSet:
    """Return the DaemonSet."""
    return client.V1DaemonSet(
        api_version="apps/v1",
        kind="DaemonSet",
        metadata=meta(context),
        spec=client.V1DaemonSetSpec(
            selector=client.V1LabelSelector(match_labels=selector(context, AGENT)),
            min_ready_seconds=10,
            update_strategy=client.V1DaemonSetUpdateStrategy(
                type="RollingUpdate",
                rolling_update=client.V1RollingUpdateDaemonSet(
                    max_unavailable=context["agent"]["maxUnavailable"]
                ),
            ),
            template=client.V1PodTemplateSpec(
                metadata=client.V1ObjectMeta(
                    labels=labels(context, AGENT), annotations=_annotations(context)
                ),
                spec=_pod(context),
            ),
        ),
    )


def _annotations(context: Context) -> dict[str, str]:
    config = agent_config.text(context) + "".join(map(str, context["agent"]["rules"].items()))
    return {**scrape_annotations(context, config), **context["agent"]["podAnnotations"]}


def _pod(context: Context) -> client.V1PodSpec:
    agent = context["agent"]
    return client.V1PodSpec(
        service_account_name=context["name"],
        automount_service_account_token=True,
        priority_class_name=agent["priorityClassName"] or None,
        host_pid=False,
        host_network=False,
        host_ipc=False,
        enable_service_links=False,
        termination_grace_period_seconds=10,
        image_pull_secrets=pull_secrets(context),
        node_selector={"kubernetes.io/os": "linux", **agent["nodeSelector"]},
        tolerations=tolerations(agent["tolerations"]),
        security_context=client.V1PodSecurityContext(  # also for what an injector might add
            seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault")
        ),
        containers=[_container(context)],
        volumes=mounts.volumes(context),
    )


def _container(context: Context) -> client.V1Container:
    agent = context["agent"]
    tracing = context["profiles"]["attribution"]["enabled"]
    allowed = ["SYS_PTRACE"] if tracing else None
    domain = agent["seLinuxType"] or ("spc_t" if context["openshift"]["enabled"] else "")
    return client.V1Container(
        name="agent",
        image=image(context),
        image_pull_policy=context["image"]["pullPolicy"],
        args=["agent", "--config", f"{agent_config.ETC}/config.toml"],
        env=[
            client.V1EnvVar(
                name="NODE_NAME",
                value_from=client.V1EnvVarSource(
                    field_ref=client.V1ObjectFieldSelector(field_path="spec.nodeName")
                ),
            )
        ],
        ports=[client.V1ContainerPort(name="metrics", container_port=context["metrics"]["port"])],
        resources=fixed_memory(agent["cpuRequest"], agent["memory"]),
        security_context=locked_down(
            run_as_user=0,
            run_as_group=0,
            capabilities=client.V1Capabilities(drop=["ALL"], add=allowed),
            se_linux_options=client.V1SELinuxOptions(type=domain) if domain else None,
        ),
        liveness_probe=port_probe(context, "/healthz", failure_threshold=6, period_seconds=10),
        readiness_probe=port_probe(context, "/readyz", failure_threshold=3, period_seconds=5),
        startup_probe=port_probe(context, "/healthz", failure_threshold=60, period_seconds=1),
        termination_message_policy="FallbackToLogsOnError",
        volume_mounts=mounts.mounts(context),
    )
