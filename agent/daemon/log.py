"""The agent's own log: one JSON object a line, or plain lines on a terminal."""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

from agent.printable import safe
from agent.times import rfc3339

_AGAIN_S = 600.0


class Log:
    """Writes lines; the same complaint is written once in ten minutes."""

    def __init__(self, form: str = "auto", stream: TextIO | None = None, node: str = "") -> None:
        self._stream = stream or sys.stderr
        self._json = form == "json" or (form == "auto" and not self._stream.isatty())
        self._node = node
        self._lock = threading.Lock()
        self._said_s: dict[str, float] = {}

    def say(self, says: str, level: str = "info", **more: object) -> None:
        """Write one line; a log that nobody can take any more stops nobody."""
        at = rfc3339(time.time())  # noqa: TID251 - the edge
        if self._json:
            known = {"at": at, "level": level, "node": self._node, "says": says[:2000], **more}
            line = json.dumps(known, ensure_ascii=True, default=str)
        else:
            line = f"{at} {safe(says, 2000)}"
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    def complain(self, says: str, **more: object) -> None:
        """Write a warning, unless it was written a short while ago."""
        now_s = time.monotonic()
        if now_s - self._said_s.get(says, float("-inf")) < _AGAIN_S:
            return
        if len(self._said_s) > 200:
            self._said_s.clear()
        self._said_s[says] = now_s
        self.say(says, "warning", **more)
