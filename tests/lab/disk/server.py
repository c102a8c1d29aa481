"""A slow disk: a file whose every read and write takes its time, to put a loop device on.

Run as a script: BASE CHANGES MOUNTPOINT CONTROL. The file at MOUNTPOINT holds what BASE holds; what
is written goes to CHANGES. Speaks the kernel's FUSE protocol (linux/fuse.h, 7.31) over /dev/fuse,
so it needs no library, no cgroup and no device of the machine's. One thread, and one queue as a
cloud volume has: requests leave in the order they came, none faster than the limits allow.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import heapq
import json
import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = 4096
_MOST_BYTES = 1 << 20
_IN_FLIGHT = 128
_MS_NOSUID, _MS_NODEV, _MS_NOATIME = 2, 4, 1024
_REGULAR = 0o100600
_NO_REPLY = -1

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_READ = struct.Struct("<QQIIQII")
_INIT_OUT = struct.Struct("<IIIIHHIIHHI28x")
_ATTR = struct.Struct("<QIIQQQQQQIIIIIIIIII")
_ASYNC_READ, _BIG_WRITES, _ASYNC_DIO, _MAX_PAGES = 1 << 0, 1 << 5, 1 << 15, 1 << 22
_PARALLEL_DIRECT_WRITES = 1 << 6

_FORGET, _GETATTR, _SETATTR, _OPEN, _READ_OP, _WRITE_OP = 2, 3, 4, 14, 15, 16
_RELEASE, _FSYNC, _FLUSH, _INIT, _INTERRUPT, _DESTROY = 18, 20, 25, 26, 36, 38
_BATCH_FORGET = 42


@dataclass(slots=True)
class Queue:
    """One disk arm: when the next request will be done, given what the disk can do."""

    bytes_per_s: float = 0.0
    iops: float = 0.0
    stalled: bool = False
    free_at_s: float = 0.0
    requests: int = 0
    read_bytes: int = 0
    written_bytes: int = 0

    def done_at_s(self, now_s: float, size: int) -> float:
        """Take a request of `size` bytes in; 0 means no limit."""
        takes_s = max(
            size / self.bytes_per_s if self.bytes_per_s else 0.0,
            1.0 / self.iops if self.iops else 0.0,
        )
        self.free_at_s = max(now_s, self.free_at_s) + takes_s
        return self.free_at_s

    def turn(self, now_s: float, wanted: dict[str, float]) -> None:
        """Set other limits; what waits already is not waited for any more."""
        self.bytes_per_s = float(wanted.get("bytes_per_s", self.bytes_per_s))
        self.iops = float(wanted.get("iops", self.iops))
        self.stalled = bool(wanted.get("stalled", self.stalled))
        self.free_at_s = min(self.free_at_s, now_s)


@dataclass(slots=True)
class Content:
    """The bytes: a base that is only read, and a file of its own for what was written."""

    base: int
    changes: int
    size: int
    changed: bytearray = field(repr=False)

    @classmethod
    def of(cls, base: Path, changes: Path) -> Content:
        """Open both; changes of an earlier boot are kept: what is no hole was written."""
        base_fd = os.open(base, os.O_RDONLY | os.O_CLOEXEC)
        changes_fd = os.open(changes, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = os.fstat(base_fd).st_size
        os.ftruncate(changes_fd, size)
        changed = bytearray((size + _BLOCK - 1) // _BLOCK)
        for first, last in _written(changes_fd):
            changed[first // _BLOCK : last // _BLOCK] = b"\1" * (last // _BLOCK - first // _BLOCK)
        return cls(base_fd, changes_fd, size, changed)

    def read(self, offset: int, size: int) -> bytes:
        """Return what is there now."""
        first, last = offset // _BLOCK, (offset + size + _BLOCK - 1) // _BLOCK
        ours = self.changed.count(1, first, last)
        if not ours:
            return os.pread(self.base, size, offset)
        if ours == last - first:
            return os.pread(self.changes, size, offset)
        parts = []
        while offset < min(self.size, last * _BLOCK) and size > 0:
            block = offset // _BLOCK
            kind = self.changed[block]
            end = self.changed.find(1 - kind, block, last)
            until = min(offset + size, (last if end < 0 else end) * _BLOCK)
            part = os.pread(self.changes if kind else self.base, until - offset, offset)
            parts.append(part)
            size -= until - offset
            offset = until
        return b"".join(parts)

    def write(self, offset: int, data: memoryview) -> None:
        """Keep what was written; a loop device with direct I/O writes whole blocks."""
        first, last = offset // _BLOCK, (offset + len(data) + _BLOCK - 1) // _BLOCK
        for edge in {first, last - 1}:
            whole = offset <= edge * _BLOCK and (edge + 1) * _BLOCK <= offset + len(data)
            if not whole and not self.changed[edge]:
                os.pwrite(self.changes, os.pread(self.base, _BLOCK, edge * _BLOCK), edge * _BLOCK)
        os.pwrite(self.changes, data, offset)
        self.changed[first:last] = b"\1" * (last - first)


def _written(fd: int) -> Iterator[tuple[int, int]]:
    """Give the parts of a file that are no holes."""
    end = 0
    with contextlib.suppress(OSError):  # ENXIO: nothing but a hole from here on
        while True:
            first = os.lseek(fd, end, os.SEEK_DATA)
            end = os.lseek(fd, first, os.SEEK_HOLE)
            yield first, end


class Server:
    """Answers the kernel; `run` returns when the file system is gone."""

    def __init__(self, content: Content, mountpoint: Path, control: Path) -> None:
        self._content = content
        self._queue = Queue()
        self._waiting: list[tuple[float, int, bytes]] = []
        self._order = 0
        self._buffer = bytearray(_MOST_BYTES + 2 * _BLOCK)
        self._fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._control.bind(str(control))
        _mount(self._fuse, mountpoint)

    def run(self) -> None:
        """Serve until unmounted."""
        files = [self._fuse, self._control.fileno()]
        while True:
            ready, _, _ = select.select(files, [], [], self._patience_s())
            self._send_due()
            if self._control.fileno() in ready:
                self._obey()
            if self._fuse in ready and not self._take():
                return

    def _patience_s(self) -> float | None:
        if not self._waiting or self._queue.stalled:
            return None
        return max(0.0, self._waiting[0][0] - time.monotonic())

    def _send_due(self) -> None:
        now_s = time.monotonic()
        while self._waiting and not self._queue.stalled and self._waiting[0][0] <= now_s:
            os.write(self._fuse, heapq.heappop(self._waiting)[2])

    def _obey(self) -> None:
        asked, sender = self._control.recvfrom(4096)
        queue, now_s = self._queue, time.monotonic()
        wanted = json.loads(asked)
        if wanted:
            queue.turn(now_s, wanted)
            self._waiting = [(min(at_s, now_s), n, reply) for at_s, n, reply in self._waiting]
        counted = {
            "requests": queue.requests,
            "read_bytes": queue.read_bytes,
            "written_bytes": queue.written_bytes,
            "waiting": len(self._waiting),
            "backlog_s": max(0.0, queue.free_at_s - now_s),
        }
        self._control.sendto(json.dumps(counted).encode(), sender)
        self._send_due()

    def _take(self) -> bool:
        """Take every request there is; False when there will be no more."""
        while True:
            try:
                size = os.readv(self._fuse, [self._buffer])
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                if error.errno == errno.EAGAIN:
                    return True
                if error.errno == errno.ENODEV:
                    return False
                raise
            self._answer(memoryview(self._buffer)[:size])

    def _answer(self, request: memoryview) -> None:
        _, operation, unique, *_ = _IN.unpack_from(request)
        body = request[_IN.size :]
        if operation in (_READ_OP, _WRITE_OP):
            _, offset, size, *_ = _READ.unpack_from(body)
            if operation == _READ_OP:
                said = self._content.read(offset, size)
                self._queue.read_bytes += size
            else:
                self._content.write(offset, body[_READ.size : _READ.size + size])
                said = struct.pack("<II", size, 0)
                self._queue.written_bytes += size
            self._queue.requests += 1
            self._wait(unique, self._queue.done_at_s(time.monotonic(), size), said)
        elif operation in (_FSYNC, _FLUSH):
            self._wait(unique, self._queue.free_at_s, b"")
        elif operation not in (_FORGET, _BATCH_FORGET, _INTERRUPT, _DESTROY):
            self._reply_now(unique, operation, body)

    def _wait(self, unique: int, at_s: float, said: bytes) -> None:
        self._order += 1
        reply = _OUT.pack(_OUT.size + len(said), 0, unique) + said
        heapq.heappush(self._waiting, (at_s, self._order, reply))
        self._send_due()

    def _reply_now(self, unique: int, operation: int, body: memoryview) -> None:
        error, said = 0, b""
        if operation == _INIT:
            said = _init(body)
        elif operation in (_GETATTR, _SETATTR):
            said = _attributes(self._content.size)
        elif operation == _OPEN:
            said = struct.pack("<QIi", 0, _PARALLEL_DIRECT_WRITES, 0)
        elif operation != _RELEASE:
            error = -errno.ENOSYS
        os.write(self._fuse, _OUT.pack(_OUT.size + len(said), error, unique) + said)


def _init(body: memoryview) -> bytes:
    major, _, read_ahead, offered = struct.unpack_from("<IIII", body)
    flags = offered & (_ASYNC_READ | _BIG_WRITES | _ASYNC_DIO | _MAX_PAGES)
    return _INIT_OUT.pack(
        major, 31, read_ahead, flags, _IN_FLIGHT, _IN_FLIGHT, _MOST_BYTES, 1, _MOST_BYTES // 4096,
        0, 0,
    )  # fmt: skip


def _attributes(size: int) -> bytes:
    return _ATTR.pack(
        3600, 0, 0, 1, size, size // 512, 0, 0, 0, 0, 0, 0, _REGULAR, 1, 0, 0, 0, _BLOCK, 0
    )


def _mount(fuse: int, mountpoint: Path) -> None:
    mountpoint.touch()
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode={_REGULAR:o},user_id=0,group_id=0,max_read={_MOST_BYTES}"
    flags = _MS_NOSUID | _MS_NODEV | _MS_NOATIME
    if libc.mount(b"knockon-slow-disk", bytes(mountpoint), b"fuse", flags, options.encode()):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(mountpoint))


def main() -> None:
    """Serve a slow disk until it is unmounted."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base", "changes", "mountpoint", "control"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    Server(Content.of(args.base, args.changes), args.mountpoint, args.control).run()


if __name__ == "__main__":
    main()
