"""What several templates say alike: names, labels, images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from kubernetes import client  # noqa: TID251 - manifests are made on a laptop

from agent import __version__
from agent.errors import UserError
from daemonset.context import Context
from daemonset.rights import Right

AGENT, CLUSTER, BACKUP, RESTORE_TEST = "agent", "cluster", "backup", "restore-test"


def labels(context: Context, component: str) -> dict[str, str]:
    """Return the recommended labels; the version is not among those that select pods."""
    return {
        **context["labels"],
        **selector(context, component),
        "app.kubernetes.io/version": __version__,
        "app.kubernetes.io/part-of": "knockon",
    }


def selector(context: Context, component: str) -> dict[str, str]:
    """Return the labels by which pods are found; they can never change."""
    return {
        "app.kubernetes.io/name": "knockon",
        "app.kubernetes.io/instance": context["name"],
        "app.kubernetes.io/component": component,
    }


def meta(context: Context, component: str = AGENT, **more: Any) -> client.V1ObjectMeta:  # noqa: ANN401
    """Return metadata with our name and labels in our namespace; `more` wins."""
    known: dict[str, Any] = {
        "name": context["name"],
        "namespace": context["namespace"],
        "labels": labels(context, component),
    }
    return client.V1ObjectMeta(**{**known, **more})


def cluster_meta(context: Context, **more: Any) -> client.V1ObjectMeta:  # noqa: ANN401
    """Return metadata of an object that has no namespace."""
    known: dict[str, Any] = {"name": context["name"], "labels": labels(context, AGENT)}
    return client.V1ObjectMeta(**{**known, **more})


def image(context: Context) -> str:
    """Return the agent's image; a digest wins over a tag."""
    told = context["image"]
    if told["digest"]:
        if not told["digest"].startswith("sha256:"):
            raise UserError("image.digest must begin with sha256:", "docker inspect shows it")
        return f"{told['repository']}@{told['digest']}"
    return f"{told['repository']}:{told['tag'] or __version__}"


def pull_secrets(context: Context) -> list[client.V1LocalObjectReference] | None:
    """Return references to the registry's Secrets, or none."""
    names = context["image"]["pullSecrets"]
    return [client.V1LocalObjectReference(name=one) for one in names] or None


def locked_down(**more: Any) -> client.V1SecurityContext:  # noqa: ANN401 - any field of the model
    """Return a container's context that can gain nothing; `more` wins."""
    known: dict[str, Any] = {
        "privileged": False,
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": client.V1Capabilities(drop=["ALL"]),
        "seccomp_profile": client.V1SeccompProfile(type="RuntimeDefault"),
    }
    return client.V1SecurityContext(**{**known, **more})


def fixed_memory(cpu_request: str, memory: str) -> client.V1ResourceRequirements:
    """Return a memory request equal to its limit, and CPU without a limit."""
    return client.V1ResourceRequirements(
        requests={"cpu": cpu_request, "memory": memory}, limits={"memory": memory}
    )


def scheme(context: Context) -> str:
    """Return how the port is spoken to."""
    return "HTTPS" if context["metrics"]["tlsSecret"] else "HTTP"


def scrape_annotations(context: Context, config: str) -> dict[str, str]:
    """Return a pod's annotations: a mark of its configuration, and where Prometheus finds it."""
    scrape = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(context["metrics"]["port"]),
        "prometheus.io/path": "/metrics",
        "prometheus.io/scheme": scheme(context).lower(),
    }
    return {
        "knockon.dev/config": hashlib.sha256(config.encode()).hexdigest()[:16],
        **(scrape if context["metrics"]["annotations"] else {}),
    }


def port_probe(context: Context, path: str, **times: Any) -> client.V1Probe:  # noqa: ANN401
    """Ask over HTTP; where clients need a certificate the kubelet has none, and only connects."""
    metrics = context["metrics"]
    if metrics["tlsSecret"] and metrics["clientCertificates"]:
        how: dict[str, Any] = {"tcp_socket": client.V1TCPSocketAction(port="metrics")}
    else:
        get = client.V1HTTPGetAction(path=path, port="metrics", scheme=scheme(context))
        how = {"http_get": get}
    return client.V1Probe(timeout_seconds=5, **how, **times)


def policy_rules(granted: Iterable[Right], name: str = "") -> list[client.V1PolicyRule]:
    """Return rights as the rules of a role: those on one resource together."""
    return [
        client.V1PolicyRule(
            api_groups=[group],
            resources=[resource],
            verbs=[one.verb for one in same],
            resource_names=[name] if name else None,
        )
        for (group, resource), same in groupby(granted, lambda one: (one.group, one.resource))
    ]


def tolerations(wanted: list[Context]) -> list[client.V1Toleration] | None:
    """Return tolerations, written as in a manifest."""
    names = {"tolerationSeconds": "toleration_seconds"}
    made = [{names.get(key, key): value for key, value in one.items()} for one in wanted]
    return [client.V1Toleration(**one) for one in made] or None
