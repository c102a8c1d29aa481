"""Renders the agent's manifests for a test, and finds things in them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daemonset.folder import OURS
from daemonset.render import Order, render
from daemonset.text import Rendered

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = Path(__file__).parent / "everything.yaml"
Thing = dict[str, Any]


@functools.cache
def rendered(*settings: str, everything: bool = False) -> tuple[Rendered, ...]:
    """Render ours, with everything switched on or with the defaults."""
    files = (EVERYTHING,) if everything else ()
    return tuple(render(Order((OURS,), files, settings)))


def things(*settings: str, everything: bool = False) -> list[Thing]:
    return [one.thing for one in rendered(*settings, everything=everything)]


def one(kind: str, *settings: str, everything: bool = False, named: str = "") -> Thing:
    """The only object of a kind, or the one of that name."""
    found = [
        thing
        for thing in things(*settings, everything=everything)
        if thing["kind"] == kind and (not named or thing["metadata"]["name"] == named)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {named}"
    return found[0]


def agent_pod(*settings: str, everything: bool = False) -> Thing:
    pod: Thing = one("DaemonSet", *settings, everything=everything)["spec"]["template"]["spec"]
    return pod


def cluster_pod(*settings: str) -> Thing:
    made = one("Deployment", "cluster.enabled=true", *settings)
    pod: Thing = made["spec"]["template"]["spec"]
    return pod


def job_pod(name: str) -> Thing:
    job = one("CronJob", everything=True, named=name)
    pod: Thing = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return pod


def strings(value: object) -> list[str]:
    """Every string anywhere inside."""
    if isinstance(value, Mapping):
        return [text for one in value.values() for text in strings(one)]
    if isinstance(value, list):
        return [text for one in value for text in strings(one)]
    return [value] if isinstance(value, str) else []
