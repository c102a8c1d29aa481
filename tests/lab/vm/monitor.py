"""QEMU's own control line (QMP): the disk's speed is turned there while the machine runs."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

_PATIENCE_S = 20.0


class Monitor:
    """One connection to a machine's QMP socket."""

    def __init__(self, path: Path) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.settimeout(_PATIENCE_S)
        self._line.connect(str(path))
        self._lines = self._line.makefile("rb")
        self._lines.readline()  # its greeting
        self.do("qmp_capabilities")

    def do(self, command: str, **arguments: Any) -> Any:
        """Have something done; raises RuntimeError with QEMU's words when it is not."""
        self._line.sendall(
            json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        )
        while line := self._lines.readline():
            told = json.loads(line)
            if "return" in told:
                return told["return"]
            if "error" in told:
                raise RuntimeError(f"qemu: {command}: {told['error']['desc']}")
        raise RuntimeError(f"qemu: {command}: the machine is gone")

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._line.close()


class ThrottledDisk:
    """The machine's system disk, by the name it has in QEMU and in the machine."""

    name = "vda"

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def cap(self, bytes_per_s: float, iops: float) -> None:
        """Set what the disk can do from now on; 0 lifts a limit."""
        limits = {"bps": int(bytes_per_s), "iops": int(iops)}
        parts = dict.fromkeys(("bps_rd", "bps_wr", "iops_rd", "iops_wr"), 0)
        self._monitor.do("block_set_io_throttle", device=f"d{self.name}", **limits, **parts)
