"""Metrics come in, requests to the API server go out, nothing else.

The server's address comes with the pod's environment, so not even DNS is needed. The kubelet's
probes always pass.
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import AGENT, CLUSTER, meta, selector


def template(context: Context) -> list[client.V1NetworkPolicy] | None:
    """Return a NetworkPolicy for the agents, and one for the cluster's replica."""
    if not context["networkPolicy"]["enabled"]:
        return None
    made = [_policy(context, AGENT, context["name"])]
    if context["cluster"]["enabled"]:
        made.append(_policy(context, CLUSTER, f"{context['name']}-{CLUSTER}"))
    return made


def _policy(context: Context, component: str, name: str) -> client.V1NetworkPolicy:
    wanted = context["networkPolicy"]
    return client.V1NetworkPolicy(
        api_version="networking.k8s.io/v1",
        kind="NetworkPolicy",
        metadata=meta(context, component, name=name),
        spec=client.V1NetworkPolicySpec(
            pod_selector=client.V1LabelSelector(match_labels=selector(context, component)),
            policy_types=["Ingress", "Egress"],
            ingress=[
                client.V1NetworkPolicyIngressRule(
                    _from=wanted["from"] or None, ports=[_tcp(context["metrics"]["port"])]
                )
            ],
            egress=[
                client.V1NetworkPolicyEgressRule(
                    ports=[_tcp(port) for port in wanted["apiServerPorts"]]
                )
            ],
        ),
    )


def _tcp(port: int) -> client.V1NetworkPolicyPort:
    return client.V1NetworkPolicyPort(protocol="TCP", port=port)
