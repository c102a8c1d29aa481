"""Killed or told to stop at any moment: what the server still reads for a client that is gone.

Over its unix socket, straight over TCP, through TLS, and with a relay in between that makes an
orderly end of our reset.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.backup.client import (
    PACE_BYTES_PER_S,
    finish,
    read_bytes,
    read_until_gone,
    start_paced,
)
from tests.backup.cluster import Cluster, as_owner, free_port, running

MAX_RATE = 40e6
HEARD_S = 0.1
"""On a busy machine the client hears of the signal so late, and reads on until then."""

CANCELLED_MOST_BYTES = 1e6 + HEARD_S * PACE_BYTES_PER_S
KILLED_MOST_BYTES = 0.25 * MAX_RATE
"""The server looks after each eighth of a second's MAX_RATE, and only where it must wait then."""

SEEDS = range(5)
MIDDLE_BYTES = 0.2e6


def read_after(
    server: Cluster, dsn: str, target: Path, seed: int, number: signal.Signals = signal.SIGTERM
) -> int:
    """End a backup at a random moment; how much the server read afterwards."""
    chance = random.Random(seed)
    words = ("--dsn", dsn, "--to", f"file://{target}", "--fast-checkpoint", "--ceiling", "40MB/s")
    process = start_paced(*words, "--wal", chance.choice(["fetch", "stream"]))
    try:
        pid = server.backup_pid()
        time.sleep(chance.uniform(0.0, 4.0))
        before = read_bytes(pid)
        process.send_signal(number)
        assert before is not None, "it was done before it was ended"
        read_bytes_after = read_until_gone(pid, before)
        status, said = finish(process)
    finally:
        process.kill()
    assert "Traceback" not in said
    if number is signal.SIGTERM:
        assert status == 6
        assert "stopped by SIGTERM" in said
    assert server.quiet()
    assert not list(target.glob("*/knockon.json"))
    return read_bytes_after


def assert_harmless(server: Cluster, target: Path, seed: int) -> None:
    dsn = server.dsn if seed % 2 else server.tcp_dsn
    number = signal.SIGTERM if seed % 4 < 2 else signal.SIGKILL
    most = CANCELLED_MOST_BYTES if number is signal.SIGTERM else KILLED_MOST_BYTES
    found = read_after(server, dsn, target, seed, number)
    assert found <= most, f"{found / 1e6:.1f} MB after {number.name}"


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_client_leaves_the_disk_alone(primary: Cluster, tmp_path: Path, seed: int) -> None:
    assert_harmless(primary, tmp_path / "store", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_a_client_killed_at_any_moment(primary: Cluster, tmp_path: Path, seed: int) -> None:
    assert_harmless(primary, tmp_path / "store", seed)


def middle(server: Cluster, dsn: str, folder: Path) -> float:
    """The median of what was read after each of some moments."""
    return median(read_after(server, dsn, folder / f"store{seed}", seed) for seed in SEEDS)


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
    """The relay's end is like a SIGKILL's at worst: the server's own brake decides."""
    with relay(primary.port) as port:
        dsn = f"host=127.0.0.1 port={port} user={primary.user}"
        assert read_after(primary, dsn, tmp_path / "store", seed) <= KILLED_MOST_BYTES


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
