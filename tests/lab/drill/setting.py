"""What a drill is played with: how small and how slow the node is, and who reads how much."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Enum
from typing import Self


class Ending(Enum):
    """The arms of the drill: who makes the backup."""

    NONE = "none"
    UNTHROTTLED = "unthrottled"
    IONICE = "ionice"
    GOVERNED = "governed"


@dataclass(frozen=True, slots=True)
class Setting:
    """One node and one evening; the same for every arm."""

    room_mb: int = 160
    """Page cache left to the node above what it cannot give back."""
    disk_mb_s: float = 20.0
    disk_iops: float = 300.0
    read_ahead_kb: int = 4096
    streams: int = 8
    """How many base backups the unthrottled arms take at once."""
    apart_s: float = 0.0
    """Each begins so long after the one before, as a job that is started again before it ended."""
    kept: bool = False
    """Whether the backup is written to the node's own disk, or goes away over the network."""
    app_tps: int = 20
    workers: int = 0
    """Processes that each of the two web pods computes in without a pause."""
    check_s: float = 10.0
    """The health monitor's patience; 60 s on a real node."""
    every_s: float = 5.0
    calm_s: float = 12.0
    length_s: float = 80.0
    """How long the backup is watched; a kill ends it earlier."""

    def with_words(self, words: list[str]) -> Self:
        """Return a setting with NAME=VALUE words applied; raises ValueError on others."""
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        changed = {}
        for word in words:
            name, _, value = word.partition("=")
            if name not in kinds:
                raise ValueError(f"{name}: none of {', '.join(kinds)} (NAME=VALUE, as room_mb=200)")
            kind = kinds[name]
            try:
                changed[name] = value in ("1", "true", "yes") if kind is bool else kind(value)
            except ValueError:
                raise ValueError(f"{word}: {value or 'nothing'} is no number") from None
        return replace(self, **changed)
