"""A journald of our own, in a mount namespace: it rotates and vacuums as it does on a node.

It is started as a journal namespace's journald, which needs neither systemd as PID 1 nor the
machine's own journal. Nothing is written outside the folder it is given.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

JOURNALD = shutil.which("systemd-journald", path="/lib/systemd:/usr/lib/systemd") or ""
NAMESPACE = "knockon"
_PATIENCE_S = 10.0
_INSIDE = """
set -e
mount --make-rprivate /
mkdir -p /var/log/journal /run/systemd /etc/systemd
mount --bind "$1/log" /var/log/journal
mount --bind "$1/run" /run/systemd
mount --bind "$1/etc" /etc/systemd
mount --bind "$1/machine-id" /etc/machine-id
exec "$2" "$3"
"""


@dataclass(frozen=True, slots=True)
class Journald:
    """One that runs; ``folder`` is where its files lie."""

    process: subprocess.Popen[bytes]
    folder: Path
    socket: socket.socket

    def say(self, **fields: str) -> None:
        """Log an entry by the native protocol."""
        lines = (f"{name}={value}\n" for name, value in fields.items())
        self.socket.send("".join(lines).encode())

    def rotate(self) -> None:
        """As ``journalctl --rotate`` does."""
        files = len(self.files())
        self.process.send_signal(signal.SIGUSR2)
        until_s = time.monotonic() + _PATIENCE_S
        while len(self.files()) == files and time.monotonic() < until_s:
            time.sleep(0.02)

    def files(self) -> list[Path]:
        """The journal files there are."""
        return sorted(self.folder.glob("*.journal"))


@contextmanager
def journald(folder: Path, **settings: str) -> Iterator[Journald]:
    """A journald that ends with the test; skipped where no mount namespace can be had."""
    for name in ("log", "run", "etc"):
        (folder / name).mkdir(parents=True)
    machine = secrets.token_hex(16)
    (folder / "machine-id").write_text(f"{machine}\n")
    wanted = {"Storage": "persistent", "RateLimitIntervalSec": "0", "Seal": "no", **settings}
    _write_settings(folder / "etc" / f"journald@{NAMESPACE}.conf", wanted)
    words = ["unshare", "--mount", "sh", "-c", _INSIDE, "sh", str(folder), JOURNALD, NAMESPACE]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    where = folder / "run" / f"journal.{NAMESPACE}" / "socket"
    files = folder / "log" / f"{machine}.{NAMESPACE}"
    until_s = time.monotonic() + _PATIENCE_S
    while not _runs(where, files) and process.poll() is None and time.monotonic() < until_s:
        time.sleep(0.02)
    if not _runs(where, files):
        process.kill()
        pytest.skip(f"journald cannot be run here: {process.communicate()[1].decode()[-200:]}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(where))
        try:
            yield Journald(process, files, sock)
        finally:
            process.terminate()
            process.communicate()


def _runs(where: Path, files: Path) -> bool:
    return where.exists() and any(files.glob("*.journal"))


def _write_settings(path: Path, settings: Mapping[str, str]) -> None:
    lines = [f"{name}={value}\n" for name, value in settings.items()]
    path.write_text("[Journal]\n" + "".join(lines))
