"""Where this process stands in each control-group hierarchy, and whether it may be changed there.

/proc/self/cgroup names the group, /proc/self/mountinfo says where that hierarchy is mounted and
which part of it: in a container a mount may show only the container's own group as its root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.host import Host

UNIFIED = "unified"
"""The v2 hierarchy, also where a hybrid node mounts it without controllers."""


@dataclass(frozen=True, slots=True)
class Place:
    """Our own group in one hierarchy."""

    folder: Path
    mount: Path
    read_only: bool

    @property
    def writable(self) -> bool:
        """Say whether a group of our own can be made here."""
        return not self.read_only and os.access(self.folder, os.W_OK | os.X_OK)

    @property
    def why_not(self) -> str:
        """Say why it cannot, for a person."""
        if self.read_only:
            return f"{self.mount} is mounted read-only, as it is in a container without privileges"
        if not self.folder.is_dir():
            return "this process's own group is not visible here"
        return f"{self.folder} belongs to somebody else"


def own_places(host: Host) -> dict[str, Place]:
    """Return our place for each v1 controller, and for ``unified``."""
    paths = _own_paths(_text(host.proc / "self" / "cgroup"))
    places: dict[str, Place] = {}
    for mount in _mounts(_text(host.proc / "self" / "mountinfo")):
        for controller in mount.controllers:
            path = paths.get(controller)
            below = None if path is None else _below(path, mount.root)
            if below is None or controller in places:
                continue
            top = host.root / mount.point.lstrip("/")
            places[controller] = Place(top / below, top, mount.read_only)
    return places


def has_controllers(place: Place, wanted: str) -> bool:
    """Say whether a v2 group may hand a controller down to its children."""
    return wanted in _text(place.folder / "cgroup.controllers").split()


@dataclass(frozen=True, slots=True)
class _Mount:
    controllers: tuple[str, ...]
    root: str
    point: str
    read_only: bool


def _own_paths(text: str) -> Mapping[str, str]:
    paths: dict[str, str] = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        names = [UNIFIED] if number == "0" and not controllers else controllers.split(",")
        paths.update(dict.fromkeys(names, path))
    return paths


def _mounts(text: str) -> Iterator[_Mount]:
    for line in text.splitlines():
        words = line.split()
        if "-" not in words[6:]:
            continue
        dash = words.index("-", 6)
        kind, options = words[dash + 1 : dash + 2], words[dash + 3 : dash + 4]
        read_only = "ro" in words[5].split(",")
        if kind == ["cgroup2"]:
            yield _Mount((UNIFIED,), words[3], words[4], read_only)
        elif kind == ["cgroup"] and options:
            yield _Mount(tuple(options[0].split(",")), words[3], words[4], read_only)


def _below(path: str, root: str) -> str | None:
    """Return the group's path below its mount; None when it lies outside.

    >>> _below("/kubepods/pod1/c", "/kubepods/pod1/c"), _below("/a/b", "/"), _below("/../x", "/")
    ('', 'a/b', None)
    """
    if path.startswith("/.."):
        return None
    if root == "/" or path == "/":  # a namespace shows its own root as "/", whatever the mount says
        return path.lstrip("/")
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(f"{root}/") else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
