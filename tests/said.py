"""Short ways to write Facts down in tests, one line each, as a story reads."""

from __future__ import annotations

from agent.model import Fact, Incident, Kind, Subject, SubjectKind, Trust

T0_S = 1_700_000_000.0
NODE = Subject(SubjectKind.NODE, "node-7")


def unit(name: str) -> Subject:
    """A systemd unit."""
    return Subject(SubjectKind.UNIT, name)


def pod(name: str, namespace: str = "prod", uid: str = "") -> Subject:
    """A pod."""
    return Subject(SubjectKind.POD, name, namespace, uid)


DOCKER = unit("docker.service")
KUBELET = unit("kubelet.service")


def fact(kind: Kind, after_s: float | None, about: Subject = NODE, **detail: str) -> Fact:
    """One trusted fact, ``after_s`` seconds into the story."""
    source = detail.pop("source", "journal")
    text = detail.pop("text", kind.value)
    boot = detail.pop("boot", "boot-1")
    return Fact(
        kind=kind,
        at_s=None if after_s is None else T0_S + after_s,
        subject=about,
        source=source,
        trust=Trust.QUOTED if source == "text" else Trust.TRUSTED,
        text=text,
        detail=detail,
        boot=boot,
    )


def incident(*facts: Fact) -> Incident:
    """An incident of exactly these facts."""
    times = [f.at_s for f in facts if f.at_s is not None]
    return Incident(
        "incident", "node-7", min(times, default=None), max(times, default=None), facts, "boot-1"
    )
