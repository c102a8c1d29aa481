"""Our side of the door: commands go in over the machine's serial port, answers come back."""

from __future__ import annotations

import json
import queue
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_GRACE_S = 30.0  # the machine ends a command itself; this is for its answer


class Door:
    """A connection to `guest/lab_door.py`; several threads may ask at once."""

    def __init__(self, path: Path) -> None:
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(path))
        self._sending = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | None]] = {}
        self._asked = 0
        self.open = threading.Event()
        self._reader = threading.Thread(target=self._read, name="door", daemon=True)
        self._reader.start()

    def ask(self, argv: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command in the machine; raises TimeoutExpired as `subprocess.run` does."""
        answer: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._sending:
            self._asked += 1
            number = self._asked
            self._waiting[number] = answer
            asked = {"id": number, "argv": list(argv), "timeout_s": timeout_s}
            self._line.sendall(json.dumps(asked).encode() + b"\n")
        try:
            told = answer.get(timeout=timeout_s + _GRACE_S)
        except queue.Empty:
            raise subprocess.TimeoutExpired(list(argv), timeout_s) from None
        finally:
            self._waiting.pop(number, None)
        if told is None:
            return subprocess.CompletedProcess(list(argv), 125, "", "the machine is down")
        return subprocess.CompletedProcess(list(argv), told["status"], told["out"], told["err"])

    def close(self) -> None:
        """Hang up; whoever waits is told that the machine is down."""
        self._line.close()

    def _read(self) -> None:
        try:
            with self._line.makefile("rb") as lines:
                for line in lines:
                    told = json.loads(line)
                    self.open.set()
                    if told["id"] in self._waiting:
                        self._waiting[told["id"]].put(told)
        except (OSError, ValueError):
            pass
        for answer in list(self._waiting.values()):
            answer.put(None)
