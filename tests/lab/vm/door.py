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
_TIMED_OUT = -1
_HELLO = 0


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
        told = self._told({"argv": list(argv), "timeout_s": timeout_s}, timeout_s + _GRACE_S)
        if told is None:
            return subprocess.CompletedProcess(list(argv), 125, "", "the machine is down")
        if told["status"] == _TIMED_OUT:
            raise subprocess.TimeoutExpired(list(argv), timeout_s, told["out"], told["err"])
        return subprocess.CompletedProcess(list(argv), told["status"], told["out"], told["err"])

    def read(self, path: Path) -> str:
        """Return a file of the machine; raises OSError."""
        told = self._told({"read": f"/{path}"}, _GRACE_S)
        if told is None or told["status"]:
            raise OSError(told["err"] if told else "the machine is down")
        return str(told["out"])

    def _told(self, asked: dict[str, Any], longest_s: float) -> dict[str, Any] | None:
        """Ask and wait; None when the machine goes down instead of answering."""
        answer: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        with self._sending:
            self._asked += 1
            number = self._asked
            self._waiting[number] = answer
            self._line.sendall(json.dumps({"id": number, **asked}).encode() + b"\n")
        try:
            return answer.get(timeout=longest_s)
        except queue.Empty:
            raise subprocess.TimeoutExpired(str(asked), longest_s) from None
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Hang up; whoever waits is told that the machine is down."""
        self._line.close()

    def _read(self) -> None:
        try:
            with self._line.makefile("rb") as lines:
                for line in lines:
                    told = json.loads(line)
                    if told["id"] == _HELLO:
                        self._give_up()  # what was asked before a reboot is never answered
                        self.open.set()
                    elif told["id"] in self._waiting:
                        self._waiting[told["id"]].put(told)
        except (OSError, ValueError):
            pass
        self._give_up()

    def _give_up(self) -> None:
        for answer in list(self._waiting.values()):
            answer.put(None)
