"""The agent's settings, every one with its default; a change rolls the DaemonSet."""

from __future__ import annotations

from kubernetes import client

from daemonset import agent_config
from daemonset.context import Context
from daemonset.parts import meta


def template(context: Context) -> list[client.V1ConfigMap]:
    """Return config.toml, and the rules of your own."""
    made = [_config_map(context, context["name"], {"config.toml": agent_config.text(context)})]
    if context["agent"]["rules"]:
        made.append(_config_map(context, f"{context['name']}-rules", context["agent"]["rules"]))
    return made


def _config_map(context: Context, name: str, data: dict[str, str]) -> client.V1ConfigMap:
    return client.V1ConfigMap(
        api_version="v1", kind="ConfigMap", metadata=meta(context, name=name), data=dict(data)
    )
