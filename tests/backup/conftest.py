"""Servers that the tests of the backup half share."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backup.store.store import Store
from tests.backup.cluster import Cluster, free_port, running
from tests.backup.s3 import S3, running_s3


def _server(scale: int) -> Iterator[Cluster]:
    with (
        tempfile.TemporaryDirectory(prefix="knockon-pg-", ignore_cleanup_errors=True) as folder,
        running(Path(folder), free_port()) as cluster,
    ):
        cluster.bench("-i", "-q", "-s", str(scale))
        yield cluster


@pytest.fixture(scope="session")
def primary() -> Iterator[Cluster]:
    """A primary with one table of about 320 MB in one file."""
    yield from _server(25)


@pytest.fixture(scope="session")
def small() -> Iterator[Cluster]:
    """A primary with about 70 MB."""
    yield from _server(3)


@pytest.fixture
def damaged() -> Iterator[Cluster]:
    """A primary on whose disk a page of a table was overwritten behind its back."""
    for cluster in _server(1):
        name = cluster.sql("CHECKPOINT; SELECT pg_relation_filepath('pgbench_accounts')")
        with (cluster.data / name).open("r+b") as file:
            file.seek(8192 * 7 + 4000)
            file.write(b"not what was written here")
        yield cluster


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 2 MB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system, and not in every container")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3]:
    """A real S3 server."""
    with running_s3() as s3:
        yield s3


@pytest.fixture
def s3(s3_server: S3) -> Iterator[S3]:
    """The server with an empty bucket and an honest valve."""
    s3_server.valve.be_honest()
    yield s3_server
    s3_server.valve.be_honest()
    store = s3_server.store()
    store.delete([one.key for one in store.list()])


@pytest.fixture(params=["file", "memory", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind that can be had here."""
    if request.param == "s3":
        found: S3 = request.getfixturevalue("s3")
        return found.store()
    url = f"file://{tmp_path}/new" if request.param == "file" else "memory://"
    return Store.open(url, create=True)
