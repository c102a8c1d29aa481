"""A unix socket with one deadline for all that is said, however slowly the other side speaks."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Self

from agent.recorder.probe import NoAnswer

_AGAIN_S = 0.05


class Line:
    """A unix socket with one deadline for all that is said over it."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self._until_s = time.monotonic() + timeout_s
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._connect(str(path))
        except OSError as error:
            self._socket.close()
            raise NoAnswer(f"{path}: {error.strerror or error}") from error
        except NoAnswer:
            self._socket.close()
            raise

    def _connect(self, path: str) -> None:
        """Connect; where a hung runtime accepts nobody and its queue is full, wait like ``ps``.

        A unix socket with a timeout says EAGAIN then, instead of waiting (connect(2)).
        """
        while True:
            self._socket.settimeout(self._left_s())
            try:
                return self._socket.connect(path)
            except BlockingIOError:
                time.sleep(min(_AGAIN_S, self._left_s()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _left_s(self) -> float:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise NoAnswer("no answer in time")
        return left_s

    def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            self._socket.settimeout(self._left_s())
            self._socket.sendall(data)
        except OSError as error:
            raise NoAnswer(f"the runtime hung up: {error}") from error

    def receive(self) -> bytes:
        """Return what came, nothing at the end; raises NoAnswer when the deadline passes."""
        try:
            self._socket.settimeout(self._left_s())
            return self._socket.recv(64 * 1024)
        except TimeoutError as error:
            raise NoAnswer("no answer in time") from error
        except OSError as error:
            raise NoAnswer(f"the runtime hung up: {error}") from error
