"""Which sensors there are for a backup: what was named, else what can be had without asking."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import NoData, UserError
from agent.printable import safe
from agent.recorder.docker_ps import DockerPs
from agent.recorder.host import Host
from agent.recorder.probe import NoAnswer
from backup.sensors import devices
from backup.sensors.canary import Canary
from backup.sensors.cpu_wait import excusing
from backup.sensors.node import NodeSensors, Prober, PsiMeter
from backup.sensors.volume import volume_under

_ANSWER_PATIENCE_S = 60.0
_BIG_BYTES = 8 << 20
_FOLDERS_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Eyes:
    """The sensors, and what must be said about them."""

    all: NodeSensors
    notes: tuple[str, ...]
    asks: bool
    """Whether a disk or a runtime is asked, so that its calm can be learnt."""


def sensors(probe: str, data_directory: Path | None, host: Host, *, counters: bool = False) -> Eyes:
    """Build the sensors; raises when what was named cannot be asked.

    ``counters``: also read the volume's own. Behind megabytes of TCP buffers they show what was
    read for us long ago; the law that trusts them then harms more than the one that does not.
    """
    probers: list[Prober] = []
    notes: list[str] = []
    if probe:
        prober, note = named(probe)
        probers.append(prober)
        notes += [note] if note else []
    elif found := big_file(data_directory):
        canary = Canary(found)
        probers.append(Prober("canary", excusing(canary)))
        notes += [canary.note] if canary.note else []
    else:
        notes.append(
            "no probe: only the node's pressure and our own progress are watched;"
            " --probe file:PATH on the database's disk, or docker:///var/run/docker.sock"
        )
    volume = volume_under(host, device_of(data_directory)) if counters else None
    return Eyes(NodeSensors(probers, PsiMeter(host), volume), tuple(notes), bool(probers))


def named(probe: str) -> tuple[Prober, str]:
    """Return the prober that a URL names, and what is second best about it."""
    scheme, _, rest = probe.partition(":")
    path = Path("/" + rest.lstrip("/")) if rest.startswith("/") else Path(rest)
    if scheme == "file" and rest:
        canary = Canary(path)
        return Prober("canary", excusing(canary)), canary.note
    if scheme == "docker" and rest:
        if not os.access(path, os.R_OK | os.W_OK):
            raise UserError(f"{path}: no such socket, or not ours to ask", "mount it into the pod")
        return Prober("docker ps", _asking(DockerPs(path))), ""
    raise UserError(
        f"{safe(probe)} is no probe", "docker:///var/run/docker.sock or file:/PATH/OF/A/BIG/FILE"
    )


def big_file(data_directory: Path | None) -> Path | None:
    """Return a readable file on the database's disk, where the data directory is visible here."""
    if data_directory is None:
        return None
    try:
        for number, folder in enumerate(sorted((data_directory / "base").iterdir())):
            if number > _FOLDERS_LOOKED_AT:
                return None
            for file in folder.iterdir():
                if file.stat().st_size >= _BIG_BYTES and os.access(file, os.R_OK):
                    return file
    except OSError:
        return None
    return None


def device_of(data_directory: Path | None) -> str:
    """Return the device below the data directory, or nothing where it is not visible."""
    try:
        return devices.number_of(data_directory) if data_directory else ""
    except OSError:
        return ""


def _asking(question: DockerPs) -> Callable[[], None]:
    def ask() -> None:
        try:
            question.ask(_ANSWER_PATIENCE_S)
        except NoAnswer as error:
            raise NoData(str(error)) from None

    return ask
