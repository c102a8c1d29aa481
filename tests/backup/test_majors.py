"""The same story with every major version of Postgres that is asked for: 13 to 18."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.exits import Exit
from tests.backup.client import command, finish, start_paced
from tests.backup.cluster import Cluster, free_port, running
from tests.backup.majors import RELEASES, server

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="runs as postgres")]


@pytest.fixture(scope="module", params=sorted(RELEASES))
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), free_port(), server(request.param)) as one,
    ):
        one.bench("-i", "-q", "-s", "2")
        one.tablespace("side")
        one.sql("CREATE TABLE aside TABLESPACE side AS SELECT generate_series(1, 5000) AS n")
        yield one


@pytest.mark.parametrize("wal", ["stream", "fetch"])
def test_taken_under_writes_it_restores_and_starts(
    cluster: Cluster, tmp_path: Path, wal: str
) -> None:
    store = f"file://{tmp_path}/store"
    code, said = command(
        "run", "--dsn", cluster.dsn, "--to", store, "--wal", wal, "--fast-checkpoint"
    )
    assert code == Exit.DONE, said
    assert cluster.quiet()
    code, said = command("verify", "--from", store)
    assert code == Exit.DONE, said
    work = Path(tempfile.mkdtemp(prefix="knockon-work-"))
    work.chmod(0o755)  # the copy is started by the user postgres
    words = ["restore-test", "--from", store, "--work-dir", str(work)]
    words += ["--bin-dir", str(cluster.programs), "--query", "SELECT count(*) = 5000 FROM aside"]
    code, said = command(*words)
    assert code == Exit.DONE, said
    assert "restores and starts" in said
    work.rmdir()


def test_what_is_stopped_half_way_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    process = start_paced(
        "--dsn", cluster.tcp_dsn, "--to", f"file://{tmp_path}/store", "--fast-checkpoint"
    )
    until_s = time.monotonic() + 15
    while not cluster.walsenders() and time.monotonic() < until_s:
        time.sleep(0.02)
    process.terminate()
    code, said = finish(process)
    assert code != Exit.DONE, said
    assert cluster.quiet(), "a walsender or a slot is left"
    code, said = command("list", "--from", f"file://{tmp_path}/store")
    assert "no backup" in said.lower(), said
