"""The agent's config.toml as the cluster gets it: the commented file, with what differs put in."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.daemon.config_file import parse
from agent.errors import UserError
from daemonset.context import Context
from daemonset.parts import AGENT, CLUSTER, selector

CONFIG = Path(__file__).parent / "config.toml"
# Not inside each other: no mount point can be made in a read-only volume.
ETC, RULES, TLS = "/etc/knockon", "/etc/knockon-rules", "/etc/knockon-tls"
_LINE = re.compile(r"(?P<key>\w+) = (?P<value>\"[^\"]*\"|[^\s#]+)\s*(?P<comment>#.*)?")
Settings = Mapping[str, Mapping[str, Any]]


def root(context: Context) -> str:
    """Where the node's paths are mounted: only /proc of the node needs a place beside our own."""
    return "/host" if context["profiles"]["attribution"]["enabled"] else ""


def settings(context: Context) -> dict[str, dict[str, Any]]:
    """Return what differs from the defaults: what the manifests need, then what the user wants."""
    made: dict[str, dict[str, Any]] = {
        "node": {"root": root(context) or "/"},
        "state": {"directory": f"{root(context)}{context['host']['ring']}/state"},
        "http": _port(context),
    }
    probe = context["profiles"]["probe"]
    if probe["enabled"]:
        made["probe"] = {probe["runtime"]: f"{root(context)}{probe_socket(context)}"}
    if context["profiles"]["attribution"]["enabled"]:
        made["processes"] = {"enabled": True}
    if context["agent"]["rules"]:
        made["journal"] = {"rules": RULES}
    return _with(made, "agent.config", context["agent"]["config"])


def of_cluster(context: Context) -> dict[str, dict[str, Any]]:
    """Return what the cluster's replica differs in from the defaults."""
    mine = ",".join(f"{key}={value}" for key, value in selector(context, AGENT).items())
    chosen = ",".join(f"{key}={value}" for key, value in context["agent"]["nodeSelector"].items())
    made: dict[str, dict[str, Any]] = {
        "cluster": {"lease": f"{context['name']}-{CLUSTER}", "agents": mine, "nodes": chosen},
        "http": _port(context),
    }
    return _with(made, "cluster.config", context["cluster"]["config"])


def _port(context: Context) -> dict[str, Any]:
    made = {"listen": f"0.0.0.0:{context['metrics']['port']}"}
    if context["metrics"]["tlsSecret"]:
        made |= {"tls_certificate": f"{TLS}/tls.crt", "tls_key": f"{TLS}/tls.key"}
        if context["metrics"]["clientCertificates"]:
            made["client_authority"] = f"{TLS}/ca.crt"
    return made


def _with(made: dict[str, dict[str, Any]], name: str, wanted: Context) -> dict[str, dict[str, Any]]:
    """Put the user's settings over ours; raises UserError for what the agent would refuse."""
    for section, values in wanted.items():
        if not isinstance(values, Mapping):
            raise UserError(f"{name}.{section} must be a table", "{kube: {events: watch}}")
        made[section] = {**made.get(section, {}), **values}
    _, faults = parse(made)
    if faults:
        more = f"and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise UserError(f"{name}: {faults[0]}", more)
    return made


def probe_socket(context: Context) -> str:
    """Return the runtime's socket on the node."""
    probe = context["profiles"]["probe"]
    usual = {"cri": "/run/containerd/containerd.sock", "docker": "/run/docker.sock"}
    if probe["runtime"] not in usual:
        raise UserError(f"profiles.probe.runtime is {probe['runtime']!r:.40}", "docker or cri")
    return str(probe["socket"] or usual[probe["runtime"]])


def effective(context: Context, section: str, key: str) -> Any:  # noqa: ANN401 - of any type
    """Return one setting as the agent will have it."""
    config, _ = parse(settings(context))
    return getattr(getattr(config, section), key)


def text(context: Context, path: Path = CONFIG) -> str:
    """Return the file; without the commented one, only what differs."""
    wanted = {name: dict(table) for name, table in settings(context).items()}
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    section, written = "", []
    for line in lines:
        if line.startswith("["):
            section = line[1:].partition("]")[0]
        found = _LINE.fullmatch(line)
        if found and found["key"] in wanted.get(section, {}):
            value = _toml(wanted[section].pop(found["key"]))
            assignment = f"{found['key']} = {value} ".ljust(max(found.start("comment"), 0))
            written.append(f"{assignment}{found['comment'] or ''}".rstrip())
        else:
            written.append(line)
    left = {name: table for name, table in wanted.items() if table}
    if lines and left:
        raise UserError(f"config.toml has no {next(iter(left))}", "bring it up to date")
    for name, table in left.items():
        written += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items()), ""]
    made = "\n".join(written).strip() + "\n"
    tomllib.loads(made)
    return made


def _toml(value: object) -> str:
    """Write a scalar; JSON's strings, numbers and booleans are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
