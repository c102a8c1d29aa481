"""Reads a configuration file; says all that is wrong with it at once."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agent.daemon.config import SECTIONS, Config, Rule
from agent.errors import UserError

_LARGEST_BYTES = 1 << 20
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class ConfigFaults(UserError):
    """Everything that is wrong with a configuration, one sentence each."""

    def __init__(self, path: Path, faults: Sequence[str]) -> None:
        super().__init__(f"{path}: {faults[0]}", f"and {len(faults) - 1} more" * (len(faults) > 1))
        self.faults = tuple(faults)


def load_config(path: Path) -> Config:
    """Read a file; raises ConfigFaults with every fault, or UserError when there is no file."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "name the agent's config.toml") from error
    try:
        table = tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigFaults(path, [f"not TOML: {' '.join(str(error).split())}"]) from error
    config, faults = parse(table)
    faults += list(_together(config)) if not faults else []
    if faults:
        raise ConfigFaults(path, faults)
    return config


def parse(table: Mapping[str, Any]) -> tuple[Config, list[str]]:
    """Make a Config of a parsed file; what is wrong is said, and its default stands."""
    faults: list[str] = []
    sections: dict[str, Any] = {}
    for name, value in table.items():
        if name not in SECTIONS:
            faults.append(f"unknown section [{name}]{_near(name, list(SECTIONS))}")
        elif not isinstance(value, Mapping):
            faults.append(f"{name} must be a section: [{name}]")
        else:
            sections[name] = _section(name, value, faults)
    return replace(Config(), **sections), faults


def _section(name: str, table: Mapping[str, Any], faults: list[str]) -> object:
    default = SECTIONS[name]
    known = {one.name: one for one in fields(default)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{name}.{key}"
        if key not in known:
            faults.append(f"unknown setting {where}{_near(key, list(known))}")
            continue
        fault = _fault(value, getattr(default, key), known[key].metadata["rule"])
        if fault:
            faults.append(f"{where} {fault}")
        else:
            values[key] = type(getattr(default, key))(value)
    return replace(default, **values)


def _fault(value: object, default: object, rule: Rule) -> str:
    wanted = type(default)
    fits = type(value) is wanted or (wanted is float and type(value) is int)
    if not fits:
        return f"must be {_WORDS[wanted]}, not {value!r:.80}"
    if rule.choice and value not in rule.choice:
        near = _near(str(value), rule.choice)
        return f"must be one of {', '.join(rule.choice)}, not {value!r:.80}{near}"
    if isinstance(value, int | float) and not _inside(value, rule):
        return f"must lie between {rule.least:g} and {rule.most:g}, not {value!r:.80}"
    if isinstance(value, str) and "\0" in value:
        return "holds a NUL"
    return ""


def _inside(value: float, rule: Rule) -> bool:
    if rule.least is None or rule.most is None:
        return True
    return math.isfinite(value) and rule.least <= value <= rule.most


def _near(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, 1)
    return f": did you mean {found[0]}?" if found else ""


def _together(config: Config) -> Iterator[str]:
    """What is wrong between settings."""
    kube, http = config.kube, config.http
    if kube.access == "kubeconfig" and not kube.kubeconfig:
        yield 'kube.access is "kubeconfig", but kube.kubeconfig names no file'
    if kube.kubeconfig and kube.access != "kubeconfig":
        yield f'kube.kubeconfig is set, but kube.access is "{kube.access}"'
    if bool(http.tls_certificate) is not bool(http.tls_key):
        yield "http.tls_certificate and http.tls_key go together"
    if http.client_authority and not http.tls_certificate:
        yield "http.client_authority needs http.tls_certificate"
    if http.listen and address(http.listen) is None:
        yield f"http.listen must be HOST:PORT, not {http.listen!r:.80}"
    if (config.probe.docker or config.probe.cri) and not config.recorder.enabled:
        yield "the probe needs the recorder: set recorder.enabled = true"


def address(listen: str) -> tuple[str, int] | None:
    """Take ``HOST:PORT`` apart; an IPv6 host stands in brackets."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        return None
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    return (host, int(port)) if host and ":" not in host else None
