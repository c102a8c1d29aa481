"""Small rings for tests: a node on which everything moves every second."""

from __future__ import annotations

from pathlib import Path

from agent.recorder.frame import DISK, GROUP, MEMORY, PSI, Frame, Key, Row
from agent.recorder.ring import RingWriter
from agent.recorder.ring_format import HEAD_BYTES
from agent.recorder.ring_read import Recording

T0_MS = 1_700_000_000_000
SLOT = 4096
SIZE = HEAD_BYTES + 8 * SLOT


def frame(second: int, groups: int = 3, unit: str = "a") -> Frame:
    """A second of a small node in which everything moves."""
    rows: dict[Key, Row] = {
        (PSI, "io"): (100, second * 1000, 50, second * 500),
        (MEMORY,): (1000 + second % 7, 2, 3, second, second),
        (DISK, "vda"): (second * 8, second * 16, second, second, second * 10, 0),
    }
    for number in range(groups):
        rows[GROUP, "unit", f"{unit}{number}.service", "", ""] = (second * (number + 1),) * 12
    return Frame(T0_MS + second * 1000, rows)


def ring_of(path: Path, seconds: int, size: int = SIZE) -> bytes:
    """A ring that holds so many seconds, or the last of them."""
    writer = RingWriter(path, size, SLOT)
    for second in range(seconds):
        writer.add(frame(second))
    writer.close()
    return path.read_bytes()


def times(recording: Recording) -> list[int]:
    """The seconds that were read."""
    return [round(sample.at_s - T0_MS / 1000) for sample in recording.samples]
