"""What the server still reads once a client over TCP is told to stop: next to nothing.

Straight, through TLS, and with a relay in between that makes an orderly end of our reset.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.backup.client import finish, read_bytes, read_until_gone, start_paced
from tests.backup.cluster import Cluster, as_owner, free_port, running

SEEDS = range(5)
MIDDLE_BYTES = 0.2e6
"""Of several moments: on a busy machine the client itself may hear of the signal late."""

RELAYED_MOST_BYTES = 0.2 * 40e6
"""The relay's end is like a SIGKILL's at worst: the server's own brake decides."""


def stopped(server: Cluster, dsn: str, target: Path, seed: int) -> int:
    """Stop a backup at a random moment; how much the server read afterwards."""
    words = ("--dsn", dsn, "--to", f"file://{target}", "--fast-checkpoint", "--ceiling", "40MB/s")
    process = start_paced(*words)
    try:
        pid = server.backup_pid()
        time.sleep(random.Random(seed).uniform(0.0, 4.0))
        before = read_bytes(pid)
        process.terminate()
        assert before is not None, "it was done before it was stopped"
        read_after = read_until_gone(pid, before)
        status, said = finish(process)
    finally:
        process.kill()
    assert status == 6, said
    assert "Traceback" not in said
    assert server.quiet()
    assert not list(target.glob("*/knockon.json"))
    return read_after


def middle(server: Cluster, dsn: str, folder: Path) -> float:
    """The median of what was read after each of some moments."""
    return median(stopped(server, dsn, folder / f"store{seed}", seed) for seed in SEEDS)


def test_straight(primary: Cluster, tmp_path: Path) -> None:
    assert middle(primary, primary.tcp_dsn, tmp_path) <= MIDDLE_BYTES


@pytest.fixture(scope="module")
def tls() -> Iterator[Cluster]:
    """A server with a certificate, and as much to read as the others have."""
    if shutil.which("openssl") is None:
        pytest.skip("a server's certificate is made by openssl, and there is none")
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), free_port()) as cluster,
    ):
        key, certificate = cluster.data / "server.key", cluster.data / "server.crt"
        made: list[str | Path] = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
        as_owner([*made, "-subj", "/CN=db", "-keyout", key, "-out", certificate])
        as_owner(["chmod", "600", key])
        cluster.sql("ALTER SYSTEM SET ssl = on")
        cluster.reload()
        cluster.bench("-i", "-q", "-s", "25")
        yield cluster


def test_through_tls(tls: Cluster, tmp_path: Path) -> None:
    assert middle(tls, f"{tls.tcp_dsn} sslmode=require", tmp_path) <= MIDDLE_BYTES


@pytest.mark.parametrize("seed", range(2))
def test_with_a_relay_between(primary: Cluster, tmp_path: Path, seed: int) -> None:
    with relay(primary.port) as port:
        dsn = f"host=127.0.0.1 port={port} user={primary.user}"
        assert stopped(primary, dsn, tmp_path / "store", seed) <= RELAYED_MOST_BYTES


@contextlib.contextmanager
def relay(target: int) -> Iterator[int]:
    """Pass bytes on to a port; whoever resets us is passed on as an orderly end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=_accept, args=(listener, target), daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(5)


def _accept(listener: socket.socket, target: int) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_both_ways, args=(client, target), daemon=True).start()


def _both_ways(client: socket.socket, target: int) -> None:
    with client, socket.create_connection(("127.0.0.1", target)) as server:
        back = threading.Thread(target=_pass, args=(server, client), daemon=True)
        back.start()
        _pass(client, server)
        back.join()


def _pass(source: socket.socket, drain: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            drain.sendall(data)
    with contextlib.suppress(OSError):
        drain.shutdown(socket.SHUT_WR)
