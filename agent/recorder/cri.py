"""``crictl pods`` over a CRI socket: ListPodSandbox as gRPC, with ``h2`` and five bytes.

A message without fields is empty in protobuf, so the request is gRPC's frame header alone: not
compressed, zero bytes long. What the answer holds is not looked at, only that it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from agent.recorder.probe import NoAnswer
from agent.recorder.unix_line import Line

_EMPTY_MESSAGE = b"\0\0\0\0\0"
_OK, _UNIMPLEMENTED = b"0", b"12"
_VERSIONS = ("v1", "v1alpha2")  # v1alpha2 alone before containerd 1.6 and CRI-O 1.23
_MOST_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ListPods:
    """The question of the current health monitors: ``crictl pods``."""

    socket_path: Path
    unit: str = "containerd.service"
    words: str = "crictl pods"

    def ask(self, timeout_s: float) -> None:
        """Ask and wait for the whole answer; raises NoAnswer."""
        status = b""
        for version in _VERSIONS:
            with Line(self.socket_path, timeout_s) as line:
                status = _Call(line).run(f"/runtime.{version}.RuntimeService/ListPodSandbox")
            if status != _UNIMPLEMENTED:
                break
        if status != _OK:
            said = status.decode("ascii", "replace") or "missing"
            raise NoAnswer(f"the runtime answered with gRPC status {said}")


class _Call:
    """One unary call on a connection of its own."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._http = H2Connection(H2Configuration(client_side=True))
        self._status = b""
        self._ended = False
        self._body_bytes = 0

    def run(self, path: str) -> bytes:
        """Return the call's ``grpc-status``."""
        try:
            self._begin(path)
            while not self._ended:
                data = self._line.receive()
                if not data:
                    raise NoAnswer("the runtime hung up before it answered")
                for event in self._http.receive_data(data):
                    self._take(event)
                self._line.send(self._http.data_to_send())
        except (ProtocolError, ValueError) as error:
            raise NoAnswer(f"what answered does not speak HTTP/2: {error}") from error
        return self._status

    def _begin(self, path: str) -> None:
        self._http.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("user-agent", "knockon"),
            ("te", "trailers"),
        ]
        self._http.send_headers(1, headers)
        self._http.send_data(1, _EMPTY_MESSAGE, end_stream=True)
        self._line.send(self._http.data_to_send())

    def _take(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._body_bytes += len(event.data)
            if self._body_bytes > _MOST_BODY_BYTES:
                raise NoAnswer("the answer is too long")
            size = event.flow_controlled_length
            if size:
                self._http.acknowledge_received_data(size, event.stream_id)
        elif isinstance(event, ResponseReceived | TrailersReceived):
            self._status = dict(event.headers).get(b"grpc-status", self._status)
        elif isinstance(event, StreamEnded):
            self._ended = True
        elif isinstance(event, StreamReset | ConnectionTerminated):
            raise NoAnswer("the runtime refused the call")
