"""The network goes away under a backup, and a client is killed for its memory: nothing reads on.

The network is a real one: two ends of a virtual cable, the client's in a network namespace of its
own, and the cable is pulled. The server then cannot be told anything; it must stop by itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backup.exits import Exit
from tests.backup.client import ROOT, finish, read_bytes, read_until_gone
from tests.backup.cluster import Cluster, free_port, running

MOST_BYTES = 1e6
PATIENCE = "keepalives_idle=1 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=3000"
"""As in a user's DSN, so that the test need not wait for our own minute."""

_PACED = "import sys; from tests.backup.client import paced; sys.exit(paced(sys.argv[1:]))"
MEMORY = Path("/sys/fs/cgroup/memory")

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="a cable and a memory limit need root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="a cable is laid by `ip`"),
]


def ip(*words: str, missing_is_fine: bool = False) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    assert missing_is_fine or done.returncode == 0, done.stderr


@dataclass(frozen=True, slots=True)
class Cable:
    """A network of two: the server's end here, the client's in a namespace."""

    name: str
    server: str

    def pull(self) -> None:
        ip("link", "set", self.name, "down")

    def plug(self) -> None:
        ip("link", "set", self.name, "up")


@pytest.fixture
def cable() -> Iterator[Cable]:
    name = f"ko{secrets.token_hex(4)}"
    net = f"198.18.{secrets.randbelow(250)}"  # set apart for tests of networks (RFC 2544)
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("no network namespace can be made here")
    try:
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("addr", "add", f"{net}.1/24", "dev", name)
        ip("link", "set", name, "up")
        ip("-n", name, "addr", "add", f"{net}.2/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        yield Cable(name, f"{net}.1")
    finally:
        ip("link", "del", name, missing_is_fine=True)
        ip("netns", "del", name, missing_is_fine=True)


@pytest.fixture
def server(cable: Cable) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), free_port()) as cluster,
    ):
        cluster.sql(f"ALTER SYSTEM SET listen_addresses = '{cable.server}'")
        with (cluster.data / "pg_hba.conf").open("a") as hba:
            hba.write("host replication all samenet trust\n")
        cluster.restart()
        cluster.bench("-i", "-q", "-s", "25")
        yield cluster


@contextlib.contextmanager
def client(*before: str, dsn: str, store: Path) -> Iterator[subprocess.Popen[str]]:
    """A run at a known pace, begun by other words."""
    words = ["--dsn", dsn, "--to", f"file://{store}", "--fast-checkpoint", "--ceiling", "40MB/s"]
    process = subprocess.Popen(
        [*before, sys.executable, "-c", _PACED, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        if process.stdout and not process.stdout.closed:
            process.communicate()


def test_a_pulled_cable_ends_the_run_and_the_server_waits(
    cable: Cable, server: Cluster, tmp_path: Path
) -> None:
    dsn = f"host={cable.server} port={server.port} user={server.user} {PATIENCE}"
    store = tmp_path / "store"
    with client("ip", "netns", "exec", cable.name, dsn=dsn, store=store) as process:
        pid = server.backup_pid()
        time.sleep(1.0)
        before = read_bytes(pid)
        cable.pull()
        status, said = finish(process)
    assert before is not None
    assert status == Exit.FAILED, said
    assert "Traceback" not in said
    assert "the connection to the server went silent" in said.splitlines()[-1]
    assert not list(store.glob("*/knockon.json"))
    cut_off = (read_bytes(pid) or before) - before
    assert cut_off <= MOST_BYTES, f"{cut_off / 1e6:.2f} MB were read for nobody"
    cable.plug()
    assert read_until_gone(pid, before, patience_s=120.0) <= MOST_BYTES
    assert server.quiet()


# Asks for 40 MB in a group that is 20 MB short of them.
_HUNGRY = "import sys; sys.stdin.readline(); held = b'x' * 40_000_000; print(len(held))"


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A control group in which the kernel ends somebody once there is no memory left."""
    group = MEMORY / f"knockon-test-{secrets.token_hex(4)}"
    if not (MEMORY / "memory.limit_in_bytes").exists():
        pytest.skip("no cgroup v1 memory controller here")
    group.mkdir()
    try:
        yield group
    finally:
        until_s = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < until_s:
            time.sleep(0.05)
        group.rmdir()


def test_a_client_killed_for_its_memory(
    primary: Cluster, little_memory: Path, tmp_path: Path
) -> None:
    """Nothing of ours runs then: over TCP the kernel's own reset ends the server's reading."""
    enter = f'echo $$ > {little_memory}/cgroup.procs; exec "$@"'
    first = f"echo 1000 > /proc/$$/oom_score_adj; {enter}"
    store, limit = tmp_path / "store", little_memory / "memory.limit_in_bytes"
    hungry = subprocess.Popen(
        ["sh", "-c", enter, "sh", sys.executable, "-c", _HUNGRY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with client("sh", "-c", first, "sh", dsn=primary.tcp_dsn, store=store) as process:
        pid = primary.backup_pid()
        time.sleep(1.0)
        used_bytes = int((little_memory / "memory.usage_in_bytes").read_text())
        limit.write_text(str(used_bytes + 20_000_000))
        before = read_bytes(pid)
        hungry.communicate(b"\n", timeout=30)
        assert before is not None
        read_after = read_until_gone(pid, before)
        status, _ = finish(process)
    assert status == -9
    assert "oom_kill 0" not in (little_memory / "memory.oom_control").read_text()
    assert read_after <= MOST_BYTES
    assert primary.quiet()
    assert not list(store.glob("*/knockon.json"))
