"""What a run has done so far: written by the thread that backs up, read by bar, log and metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Phase(StrEnum):
    """What the run is busy with."""

    CONNECTING = "connecting"
    CHECKPOINT = "waiting for the checkpoint"
    READING = "reading"
    WAL = "waiting for WAL"
    PUBLISHING = "publishing"
    DONE = "done"


@dataclass(slots=True)
class Ledger:
    """Counters of one run; each is written by one thread and only ever replaced whole."""

    started_at_s: float
    deadline_at_s: float | None = None
    backup_id: str = ""
    phase: Phase = Phase.CONNECTING
    expected_bytes: int = 0
    read_bytes: int = 0
    wal_bytes: int = 0
    stored_bytes: int = 0
    files: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much of what the server expects to send has come: 0 to 1."""
        if self.phase is Phase.DONE:
            return 1.0
        return min(1.0, self.read_bytes / self.expected_bytes) if self.expected_bytes else 0.0
