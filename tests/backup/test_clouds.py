"""The commands a user types, against Azure's emulator and a stand-in for Google's store."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.exits import Exit
from backup.store.lock import acquire
from backup.store.store import Store
from tests.backup.client import command
from tests.backup.clouds import BUCKET, running_az, running_gs
from tests.backup.cluster import Cluster

pytestmark = pytest.mark.e2e


@pytest.fixture(params=["gs", "az"])
def url(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    with running_gs(tmp_path) if request.param == "gs" else running_az() as found:
        for name, value in found.items():
            monkeypatch.setenv(name, value)
        url = f"{request.param}://{BUCKET}/some/where"
        yield url
        store = Store.open(url)
        store.delete([one.key for one in store.list()])


@pytest.fixture
def work() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="knockon-work-") as name:
        Path(name).chmod(0o755)  # the copy is started by the user postgres
        yield Path(name)


def test_taken_listed_verified_restored_and_pruned(small: Cluster, url: str, work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("Postgres is started as another user")
    for _ in range(2):
        code, said = command("run", "--dsn", small.dsn, "--to", url, "--fast-checkpoint")
        assert code == Exit.DONE, said
    code, said = command("list", "--from", url)
    assert code == Exit.DONE
    assert said.count("in the stream") == 2
    code, said = command("verify", "--from", url)
    assert code == Exit.DONE, said
    code, said = command("restore-test", "--from", url, "--work-dir", str(work))
    assert code == Exit.DONE, said
    assert "restores and starts" in said
    code, said = command("prune", "--from", url, "--keep", "1", "--confirm")
    assert code == Exit.DONE, said
    code, said = command("list", "--from", url)
    assert len(said.splitlines()) == 2, said


def test_a_second_run_is_told_who_has_the_lock(small: Cluster, url: str) -> None:
    store = Store.open(url)
    lock = acquire(store, "node-7 pid 12", time.time())
    code, said = command("run", "--dsn", small.dsn, "--to", url, "--fast-checkpoint")
    assert code == Exit.LOCKED
    assert "node-7 pid 12" in said
    lock.release()


def test_a_bucket_that_is_not_there_is_one_line(small: Cluster, url: str) -> None:
    away = url.replace(BUCKET, "nobody-has-this")
    code, said = command("run", "--dsn", small.dsn, "--to", away, "--fast-checkpoint")
    assert code not in (Exit.DONE, Exit.LOCKED)
    assert "Traceback" not in said
    assert "nobody-has-this" in said
    assert small.quiet()
