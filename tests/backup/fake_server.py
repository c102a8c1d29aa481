"""A server that speaks just enough of Postgres' protocol to break it on purpose."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import struct
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Script = Callable[["Wire"], None]

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102


@dataclass(slots=True)
class Wire:
    """The server's end of one connection."""

    socket: socket.socket

    def send(self, kind: bytes, body: bytes = b"") -> None:
        """One message."""
        self.socket.sendall(kind + struct.pack(">I", len(body) + 4) + body)

    def table(self, *rows: tuple[str | None, ...]) -> None:
        """One table of text."""
        width = len(rows[0])
        columns = b"".join(
            b"c\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0) for _ in range(width)
        )
        self.send(b"T", struct.pack(">h", width) + columns)
        for row in rows:
            cells = b"".join(
                struct.pack(">i", -1)
                if cell is None
                else struct.pack(">i", len(cell.encode())) + cell.encode()
                for cell in row
            )
            self.send(b"D", struct.pack(">h", width) + cells)
        self.send(b"C", b"SELECT\0")

    def copy(self, *messages: bytes) -> None:
        """One whole copy to the client."""
        self.begin_copy()
        for message in messages:
            self.send(b"d", message)
        self.send(b"c")

    def begin_copy(self) -> None:
        """The head of a copy."""
        self.send(b"H", b"\0\0\0")

    def error(self, state: str, message: str) -> None:
        """An ErrorResponse, and ready again."""
        fields = b"".join(
            tag + text.encode() + b"\0"
            for tag, text in ((b"S", "ERROR"), (b"V", "ERROR"), (b"C", state), (b"M", message))
        )
        self.send(b"E", fields + b"\0")
        self.ready()

    def ready(self) -> None:
        """ReadyForQuery."""
        self.send(b"Z", b"I")


@dataclass(slots=True)
class FakeServer:
    """Answers each command by the script whose first words it begins with."""

    version: str = "15.4"
    scripts: dict[str, Script] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    cancels: int = 0
    port: int = 0

    @property
    def dsn(self) -> str:
        """How to reach it."""
        return f"host=127.0.0.1 port={self.port} user=backup sslmode=disable gssencmode=disable"

    def answer(self, wire: Wire, command: str) -> None:
        """Answer one command."""
        self.commands.append(command)
        for words, script in self.scripts.items():
            if command.startswith(words):
                script(wire)
                return
        if command.startswith("SHOW "):
            value = self.settings.get(command[5:])
            if value is None:
                wire.error("42704", "unrecognized configuration parameter")
                return
            wire.table((value,))
        elif command == "IDENTIFY_SYSTEM":
            wire.table(("7000000000000000001", "1", "0/3000060", None))
        else:
            wire.error("42601", "syntax error")
            return
        wire.ready()


@contextlib.contextmanager
def serving(server: FakeServer) -> Iterator[FakeServer]:
    """Listen while in this block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]
        thread = threading.Thread(target=_accept, args=(listener, server), daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def _accept(listener: socket.socket, server: FakeServer) -> None:
    threads: list[threading.Thread] = []
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threads.append(threading.Thread(target=_serve, args=(client, server), daemon=True))
            threads[-1].start()
    for thread in threads:
        thread.join(5)


def _serve(client: socket.socket, server: FakeServer) -> None:
    with client, contextlib.suppress(OSError, EOFError):
        if not _greet(client, server):
            return
        wire = Wire(client)
        while True:
            kind = _exactly(client, 1)
            body = _exactly(client, struct.unpack(">I", _exactly(client, 4))[0] - 4)
            if kind == b"X":
                return
            if kind == b"Q":
                server.answer(wire, body.rstrip(b"\0").decode())


def _greet(client: socket.socket, server: FakeServer) -> bool:
    while True:
        body = _exactly(client, struct.unpack(">I", _exactly(client, 4))[0] - 4)
        code = struct.unpack(">I", body[:4])[0]
        if code in (_SSL, _GSS):
            client.sendall(b"N")
        elif code == _CANCEL:
            server.cancels += 1
            return False
        else:
            break
    wire = Wire(client)
    wire.send(b"R", struct.pack(">I", 0))
    wire.send(b"S", f"server_version\0{server.version}\0".encode())
    wire.send(b"K", struct.pack(">II", 4711, 42))
    wire.ready()
    return True


def _exactly(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = client.recv(size - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def tar_of(files: dict[str, bytes], *, ended: bool = True) -> bytes:
    """A tar as the server writes it; older ones leave out its end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        end = tar.offset
    return buffer.getvalue()[:end] + (bytes(1024) if ended else b"")


def manifest_of(files: dict[str, bytes]) -> bytes:
    """The server's list of these files."""
    listed = ",\n".join(
        json.dumps(
            {
                "Path": path,
                "Size": len(data),
                "Last-Modified": "2026-11-23 10:00:00 GMT",
                "Checksum-Algorithm": "SHA256",
                "Checksum": hashlib.sha256(data).hexdigest(),
            }
        )
        for path, data in files.items()
    )
    ranges = '{"Timeline": 1, "Start-LSN": "0/3000028", "End-LSN": "0/3000100"}'
    body = (
        '{"PostgreSQL-Backup-Manifest-Version": 1,\n'
        f'"Files": [\n{listed}],\n"WAL-Ranges": [\n{ranges}],\n'
    ).encode()
    return body + f'"Manifest-Checksum": "{hashlib.sha256(body).hexdigest()}"}}\n'.encode()
