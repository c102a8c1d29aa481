"""What the agent's pod sees of the node: volume and mount of each path, read-only but the ring."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubernetes import client  # noqa: TID251 - manifests are made on a laptop

from agent.errors import UserError
from daemonset.agent_config import ETC, RULES, TLS, probe_socket, root
from daemonset.context import Context


@dataclass(frozen=True, slots=True)
class HostPath:
    """One path of the node."""

    name: str
    path: str
    kind: str
    writable: bool = False


def host_paths(context: Context) -> Iterator[HostPath]:
    """Yield the paths of the node that these values mount."""
    host, profiles = context["host"], context["profiles"]
    tracing = profiles["attribution"]["enabled"]
    for name, key in (("var-log", "varLog"), ("run-log", "runLog")):
        if host[key]:
            yield HostPath(name, host[key], "Directory")
    yield HostPath("machine-id", "/etc/machine-id", "File")
    if tracing:
        yield HostPath("proc", "/proc", "Directory")
        yield HostPath("sys", "/sys", "Directory")
    if not tracing or profiles["governor"]["enabled"]:
        for number, path in enumerate(host["cgroups"]):
            name = f"cgroup-{number}" if number else "cgroup"
            yield HostPath(name, path, "Directory", writable=profiles["governor"]["enabled"])
    if not host["ring"].startswith("/run/"):
        raise UserError(f"host.ring is {host['ring']!r:.80}", "it must lie on /run, a tmpfs")
    yield HostPath("ring", host["ring"], "DirectoryOrCreate", writable=True)
    if profiles["probe"]["enabled"]:
        yield HostPath("runtime", probe_socket(context), "Socket")


def volumes(context: Context) -> list[client.V1Volume]:
    """Return the volumes of the pod."""
    made = [
        client.V1Volume(
            name=one.name,
            host_path=client.V1HostPathVolumeSource(path=one.path, type=one.kind),
        )
        for one in host_paths(context)
    ]
    made.append(_config_map("config", context["name"]))
    if context["agent"]["rules"]:
        made.append(_config_map("rules", f"{context['name']}-rules"))
    if context["metrics"]["tlsSecret"]:
        made.append(
            client.V1Volume(
                name="tls",
                secret=client.V1SecretVolumeSource(
                    secret_name=context["metrics"]["tlsSecret"], default_mode=0o400
                ),
            )
        )
    return made


def mounts(context: Context) -> list[client.V1VolumeMount]:
    """Return where the container sees them; on cgroup v1 a read-only mount has writable ones below.

    Hence recursiveReadOnly where the node can: user 0 owns those files, capabilities or not.
    """
    made = [
        client.V1VolumeMount(
            name=one.name,
            mount_path=f"{root(context)}{one.path}",
            read_only=not one.writable,
            recursive_read_only=None if one.writable else "IfPossible",
        )
        for one in host_paths(context)
    ]
    made.append(_read_only("config", ETC))
    if context["agent"]["rules"]:
        made.append(_read_only("rules", RULES))
    if context["metrics"]["tlsSecret"]:
        made.append(_read_only("tls", TLS))
    return made


def _read_only(name: str, path: str) -> client.V1VolumeMount:
    return client.V1VolumeMount(name=name, mount_path=path, read_only=True)


def _config_map(name: str, source: str) -> client.V1Volume:
    return client.V1Volume(name=name, config_map=client.V1ConfigMapVolumeSource(name=source))
