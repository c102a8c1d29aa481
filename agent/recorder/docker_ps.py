"""``docker ps`` over dockerd's socket: one HTTP/1.1 request, its answer read to the last byte."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.recorder.probe import NoAnswer
from agent.recorder.unix_line import Line

_REQUEST = (
    b"GET /containers/json HTTP/1.1\r\nHost: docker\r\nUser-Agent: knockon\r\n"
    b"Accept: application/json\r\nConnection: close\r\n\r\n"
)
_MOST_HEAD_BYTES = 64 * 1024
_MOST_BODY_BYTES = 64 * 1024 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,12})[ \t]*\r$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:[ \t]*chunked[ \t]*\r$")


@dataclass(frozen=True, slots=True)
class DockerPs:
    """The question of GCE's health monitor and of everybody after it."""

    socket_path: Path
    words: str = "docker ps"
    unit: str = "docker.service"

    def ask(self, timeout_s: float) -> None:
        """Ask and wait for the whole answer; raises NoAnswer."""
        with Line(self.socket_path, timeout_s) as line:
            line.send(_REQUEST)
            head, body = _head(line)
            status = _STATUS.match(head)
            if not status:
                raise NoAnswer("what answered does not speak HTTP")
            if status[1] != b"200":
                raise NoAnswer(f"docker answered {status[1].decode()}")
            length = _LENGTH.search(head)
            if _CHUNKED.search(head):
                _drain_chunks(line, body)
            elif length:
                _drain(line, int(length[1]) - len(body))
            else:
                _drain_to_end(line)


def _head(line: Line) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        part = line.receive()
        if not part:
            raise NoAnswer("the runtime hung up before it answered")
        data += part
        if len(data) > _MOST_HEAD_BYTES:
            raise NoAnswer("what answered does not speak HTTP")
    head, _, body = data.partition(b"\r\n\r\n")
    return head + b"\r\n", body


def _drain(line: Line, left: int) -> None:
    if left > _MOST_BODY_BYTES:
        raise NoAnswer("the answer is too long")
    while left > 0:
        part = line.receive()
        if not part:
            raise NoAnswer("the answer broke off")
        left -= len(part)


def _drain_to_end(line: Line) -> None:
    total = 0
    while part := line.receive():
        total += len(part)
        if total > _MOST_BODY_BYTES:
            raise NoAnswer("the answer is too long")


def _drain_chunks(line: Line, data: bytes) -> None:
    """Read chunks up to the empty one; what they hold does not matter."""
    total = 0
    while True:
        while b"\r\n" not in data:
            data += _more(line)
        size_text, _, data = data.partition(b"\r\n")
        try:
            size = int(size_text.split(b";")[0], 16)
        except ValueError as error:
            raise NoAnswer("a chunk has no size") from error
        total += size
        if not 0 <= total <= _MOST_BODY_BYTES:
            raise NoAnswer("the answer is too long")
        if not size:
            return
        while len(data) < size + 2:
            data += _more(line)
        data = data[size + 2 :]


def _more(line: Line) -> bytes:
    part = line.receive()
    if not part:
        raise NoAnswer("the answer broke off")
    return part
