"""For Prometheus and Grafana, all off by default: their kinds are not in every cluster.

The agent's target label `node` is what the rules and dashboards expect.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from kubernetes import client

import alerts
from agent.errors import UserError
from daemonset.context import Context
from daemonset.parts import AGENT, CLUSTER, labels, meta, selector

GENERATED = Path(alerts.__file__).parent / "generated"


def template(context: Context) -> list[object]:
    """Return what is asked for."""
    asked = context["metrics"]
    made: list[object] = []
    if asked["podMonitor"]:
        made.append(_pod_monitor(context, AGENT, context["name"]))
        if context["cluster"]["enabled"]:
            made.append(_pod_monitor(context, CLUSTER, f"{context['name']}-{CLUSTER}"))
    if asked["rules"]:
        made += _rules(context)
    if asked["dashboards"]:
        made.append(_dashboards(context))
    return made


def _pod_monitor(context: Context, component: str, name: str) -> dict[str, object]:
    endpoint: dict[str, object] = {
        "port": "metrics",
        "path": "/metrics",
        "relabelings": [
            {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}
        ],
    }
    secret = context["metrics"]["tlsSecret"]
    if secret:
        endpoint |= {"scheme": "https", "tlsConfig": _tls(context, secret)}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": _meta(context, name),
        "spec": {
            "selector": {"matchLabels": selector(context, component)},
            "namespaceSelector": {"matchNames": [context["namespace"]]},
            "podMetricsEndpoints": [endpoint],
        },
    }


def _tls(context: Context, secret: str) -> dict[str, object]:
    """Trust the Secret's authority; for mTLS Prometheus gets a certificate of its own."""
    made: dict[str, object] = {
        "ca": {"secret": {"name": secret, "key": "ca.crt"}},
        "serverName": context["name"],
    }
    if context["metrics"]["clientCertificates"]:
        own = f"{context['name']}-scrape"
        made["cert"] = {"secret": {"name": own, "key": "tls.crt"}}
        made["keySecret"] = {"name": own, "key": "tls.key"}
    return made


def _rules(context: Context) -> Iterator[dict[str, object]]:
    files = sorted(GENERATED.glob("prometheusrule-*.yaml"))
    if not files:
        raise UserError("alerts/generated holds no PrometheusRule", "python -m alerts")
    for path in files:
        rule = yaml.safe_load(path.read_text("utf-8"))
        subject = path.stem.removeprefix("prometheusrule-")
        yield {**rule, "metadata": _meta(context, f"{context['name']}-{subject}")}


def _dashboards(context: Context) -> client.V1ConfigMap:
    files = sorted((GENERATED / "dashboards").glob("*.json"))
    if not files:
        raise UserError("alerts/generated holds no dashboard", "python -m alerts")
    return client.V1ConfigMap(
        api_version="v1",
        kind="ConfigMap",
        metadata=meta(
            context,
            name=f"{context['name']}-dashboards",
            labels={**labels(context, "alerts"), **context["metrics"]["dashboardLabels"]},
        ),
        data={path.name: path.read_text("utf-8") for path in files},
    )


def _meta(context: Context, name: str) -> dict[str, object]:
    return {
        "name": name,
        "namespace": context["namespace"],
        "labels": {**labels(context, "alerts"), **context["metrics"]["selectorLabels"]},
    }
