"""The whole story by the commands a user types: a database under load on a slow disk, and back.

``KNOCKON_STORY_SCALE=100`` makes it 1.5 GB; with ``-s`` it says what each command said and took.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.errors import UserError
from bench.backup.server import OWNER, Evictor, Server, start
from bench.backup.slow_disk import BYTES_PER_S, IOPS, slow_disk

SCALE = int(os.environ.get("KNOCKON_STORY_SCALE", "6"))
# pgbench changes a teller, a branch and an account by the same sum, in one transaction.
SOUND = (
    "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM"
    " pgbench_branches) AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta)"
    " FROM pgbench_history)"
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="a slow disk needs root"),
]


@dataclass(frozen=True, slots=True)
class Site:
    """A server on a slow disk, under load, and room beside it."""

    server: Server
    room: Path

    @property
    def store(self) -> str:
        return f"file://{self.room}/store"


@pytest.fixture
def site() -> Iterator[Site]:
    try:
        with (
            tempfile.TemporaryDirectory(prefix="knockon-story-") as name,
            slow_disk(Path(name) / "slow", (500 + 32 * SCALE) << 20) as disk,
        ):
            Path(name).chmod(0o755)
            disk.place.chmod(0o755)
            server = start(disk.folder, SCALE)
            try:
                disk.cap(BYTES_PER_S, IOPS)
                room = Path(name) / "room"
                room.mkdir(mode=0o755)
                yield Site(server, room)
            finally:
                disk.cap(0, 0)
                server.stop()
    except UserError as missing:
        pytest.skip(missing.message)


@pytest.fixture
def load(site: Site) -> Iterator[None]:
    """Fifty transactions a second that write, on a cache that never helps."""
    command = [site.server.program("pgbench"), "-n", "-R", "50", "-c", "4", "-T", "3600"]
    pgbench = subprocess.Popen(
        [*command, *site.server.where, "postgres"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with Evictor(site.server.files()):
            yield
    finally:
        pgbench.kill()
        pgbench.wait()


def typed(*words: str) -> str:
    """Type `knockon backup …`; what it said."""
    began_s = time.monotonic()
    command = [sys.executable, "-m", "agent", "backup", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    sys.stdout.write(f"\n$ knockon backup {' '.join(words)}\n{said}")
    sys.stdout.write(f"  ({time.monotonic() - began_s:.1f} s)\n")
    assert done.returncode == 0, said
    return said


def ids(said: str) -> list[str]:
    return re.findall(r"^\d{8}T\d{6}Z-[0-9a-f]{8}", said, re.MULTILINE)


@pytest.mark.usefixtures("load")
def test_from_a_server_under_load_to_one_that_answers(site: Site) -> None:
    run = ("run", "--dsn", site.server.dsn, "--to", site.store, "--fast-checkpoint")
    assert "every checksum compared" in typed(*run)
    (first,) = ids(typed("list", "--from", site.store))
    assert "as Postgres listed it" in typed("verify", first, "--from", site.store)
    target = site.room / "restored"
    typed("restore", first, "--from", site.store, "--target", str(target), "--owner", OWNER)
    assert answer_of_a_server_on(site.server, target) == f"t|{SCALE * 100_000}"
    work = site.room / "work"
    work.mkdir(mode=0o755)
    said = typed(
        "restore-test", "--from", site.store, "--work-dir", str(work), "--query", SOUND
    )  # fmt: skip
    assert "restores and starts" in said
    assert "the query gave True" in said
    typed(*run)
    _, newest = ids(typed("list", "--from", site.store))
    typed("prune", "--from", site.store, "--keep", "1")
    assert len(ids(typed("list", "--from", site.store))) == 2, "a dry run deletes nothing"
    typed("prune", "--from", site.store, "--keep", "1", "--confirm")
    assert ids(typed("list", "--from", site.store)) == [newest]
    assert site.server.sql("SELECT count(*) FROM pg_stat_replication") == "0"
    assert site.server.sql("SELECT count(*) FROM pg_replication_slots") == "0"


def answer_of_a_server_on(server: Server, data: Path) -> str:
    """Start a server there as its owner would, ask it, and stop it."""
    control = [server.program("pg_ctl"), "-D", str(data), "-w"]
    options = f"-p 5432 -k {data} -h ''"
    started = [*control, "-o", options, "-l", f"{data}/log", "start"]
    subprocess.run(started, check=True, capture_output=True, user=OWNER, cwd="/")
    try:
        where = ["-h", str(data), "-p", "5432", "-U", OWNER, "-d", "postgres"]
        asked = f"{SOUND}, (SELECT count(*) FROM pgbench_accounts)"
        return subprocess.run(
            [server.program("psql"), "-XAtq", *where, "-c", asked],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    finally:
        stop = [*control, "-m", "immediate", "stop"]
        subprocess.run(stop, check=True, capture_output=True, user=OWNER, cwd="/")
