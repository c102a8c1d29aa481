"""Tells systemd how we are, where the agent runs as a unit (sd_notify(3)); elsewhere nothing."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


def notify(says: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send ``READY=1`` and the like to the service manager; true when somebody listens."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    path = f"\0{address[1:]}" if address.startswith("@") else address
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.settimeout(0.2)
        line.sendto(says.encode(), path)
        return True
    return False


def watchdog_every_s(environ: Mapping[str, str] = os.environ) -> float | None:
    """Half of the time after which systemd takes us for dead; none when it does not ask."""
    micros = environ.get("WATCHDOG_USEC", "")
    ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(micros) / 2e6 if ours and micros.isdigit() and int(micros) else None
