"""One slow disk under the whole node: how it is turned, and what went over it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SERVER = Path(__file__).with_name("server.py")
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Counted:
    """What the disk has done since it was attached, and how long its queue is now."""

    requests: int
    read_bytes: int
    written_bytes: int
    waiting: int
    backlog_s: float


@dataclass(frozen=True, slots=True)
class SlowDisk:
    """The disk of one box, by the folder that holds its control socket."""

    folder: Path

    @property
    def _control(self) -> Path:
        return self.folder / "disk.control"

    @property
    def name(self) -> str:
        """The device's name, as /proc/diskstats has it."""
        return (self.folder / "disk.name").read_text().strip()

    def read_ahead(self, kilobytes: int) -> None:
        """Set how far the kernel reads ahead on it."""
        Path(f"/sys/block/{self.name}/queue/read_ahead_kb").write_text(str(kilobytes))

    def schedule(self, scheduler: str) -> None:
        """Set the elevator: `none`, `mq-deadline`, `bfq`; only the last heeds I/O priorities."""
        Path(f"/sys/block/{self.name}/queue/scheduler").write_text(scheduler)

    def cap(self, bytes_per_s: float, iops: float) -> Counted:
        """Set what the disk can do from now on; 0 lifts a limit."""
        return self._ask({"bytes_per_s": bytes_per_s, "iops": iops, "stalled": False})

    def stall(self) -> Counted:
        """Answer nothing from now on, until `cap` is called."""
        return self._ask({"stalled": True})

    def counted(self) -> Counted:
        """Read the counters."""
        return self._ask({})

    def _ask(self, wanted: dict[str, float]) -> Counted:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(_PATIENCE_S)
            line.bind("")  # a name of the kernel's choosing, so that there is an answer
            line.sendto(json.dumps(wanted).encode(), str(self._control))
            return Counted(**json.loads(line.recv(4096)))


def arguments(base: Path | None) -> Sequence[str]:
    """What `launch.sh` wants to know about the disk: the base image and how to serve it."""
    return ["", "", ""] if base is None else [str(base), sys.executable, str(SERVER)]
