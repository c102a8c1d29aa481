"""Runs that end badly half-way, against a real server: one line, a status, and nothing left.

Nothing left means: nothing published, no walsender in pg_stat_activity, no slot, and a server that
read no further once the run had ended.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backup.exits import Exit
from tests.backup.client import command, finish, paced_run, read_bytes, start_paced
from tests.backup.cluster import Cluster, as_owner, free_port
from tests.backup.s3 import BUCKET, S3, refuse

MOST_AFTERWARDS_BYTES = 1e6
PARTS_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended, and what the server still read for it afterwards."""

    status: int
    said: str
    read_after_bytes: int

    @property
    def last_line(self) -> str:
        return self.said.strip().splitlines()[-1]


def watched(server: Cluster, *words: str, meanwhile: Callable[[], object] = lambda: None) -> Ending:
    """Begin a run, do something once it streams, and watch the walsender to its end."""
    process = start_paced("--dsn", server.dsn, "--fast-checkpoint", "--ceiling", "40MB/s", *words)
    try:
        pid = server.backup_pid()
        meanwhile()
        last = read_bytes(pid) or 0
        while process.poll() is None:
            last = read_bytes(pid) or last
            time.sleep(0.002)
        at_end, until_s = last, time.monotonic() + 10
        while (now := read_bytes(pid)) is not None:
            last = now
            assert time.monotonic() < until_s, "the walsender never ended"
        status, said = finish(process)
    finally:
        process.kill()
        if process.stdout and not process.stdout.closed:
            process.communicate()
    return Ending(status, said, last - at_end)


def assert_nothing_left(server: Cluster, ending: Ending) -> None:
    assert ending.read_after_bytes <= MOST_AFTERWARDS_BYTES
    assert server.quiet()
    assert "Traceback" not in ending.said
    assert " (" in ending.last_line, "a hint stands behind the line"


# ------------------------------------------------------------------------------------- the server
@pytest.fixture
def standby(small: Cluster) -> Iterator[Cluster]:
    """A standby of the primary, made as a user would make it: by backup and restore."""
    with tempfile.TemporaryDirectory(prefix="knockon-standby-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        store, data = f"file://{folder}/store", folder / "data"
        owner = ("--owner", "postgres") if os.geteuid() == 0 else ()
        assert paced_run("--dsn", small.dsn, "--to", store, "--fast-checkpoint")[0] == 0
        status, said = command("restore", "--from", store, "--target", str(data), *owner)
        assert status == 0, said
        one = replace(small, folder=folder, port=free_port())
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        with (data / "postgresql.auto.conf").open("a") as file:
            file.write(f"port = {one.port}\nunix_socket_directories = '{folder}'\n")
            file.write(f"primary_conninfo = '{small.dsn}'\nhot_standby = on\n")
        (data / "standby.signal").touch()
        control: list[str | Path] = [one.programs / "pg_ctl", "-D", data, "-w"]
        as_owner([*control, "-l", folder / "log", "start"])
        try:
            yield one
        finally:
            as_owner([*control, "-m", "immediate", "stop"])


def test_a_standby_is_backed_up_and_one_promoted_half_way_is_not(
    standby: Cluster, tmp_path: Path
) -> None:
    store = f"file://{tmp_path}/store"
    status, said = paced_run("--dsn", standby.dsn, "--to", store)
    assert status == Exit.DONE, said
    ending = watched(
        standby, "--to", store, meanwhile=lambda: standby.sql("SELECT pg_promote(false)")
    )
    assert ending.status == Exit.FAILED, ending.said
    assert "the standby was promoted while it was backed up" in ending.last_line
    assert "run again" in ending.last_line
    assert len(list((tmp_path / "store").glob("*/knockon.json"))) == 1
    assert_nothing_left(standby, ending)


# -------------------------------------------------------------------------------------- the store
@pytest.fixture
def bucket(s3: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The S3 server as the environment of a run names it."""
    monkeypatch.setenv("AWS_ENDPOINT", s3.endpoint)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "us")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return s3


def late(status: str, code: str) -> Callable[[dict[str, Any]], tuple[str, bytes] | None]:
    """Refuse everything from the second part of the archive on."""
    seen = {"parts": 0}

    def fault(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if environ["REQUEST_METHOD"] == "PUT" and "/base" in environ["PATH_INFO"]:
            seen["parts"] += 1
        return refuse(status, code) if seen["parts"] >= PARTS_BEFORE else None

    return fault


@pytest.fixture
def noisy(small: Cluster) -> Iterator[Cluster]:
    """A server with rows that no compression makes small."""
    small.sql(
        "CREATE EXTENSION IF NOT EXISTS pgcrypto;"
        "CREATE TABLE noise AS SELECT gen_random_bytes(1000) FROM generate_series(1, 40000)"
    )
    yield small
    small.sql("DROP TABLE noise")


@pytest.mark.parametrize(
    ("status", "code", "words", "hint"),
    [
        ("400 Bad Request", "ExpiredToken", "the credentials expired", "renew them"),
        ("403 Forbidden", "AccessDenied", "do not allow this", "list, read, write and delete"),
        ("403 Forbidden", "RequestTimeTooSkewed", "clock is wrong", "NTP"),
    ],
)
def test_a_store_that_refuses_half_way(
    noisy: Cluster, bucket: S3, status: str, code: str, words: str, hint: str
) -> None:
    bucket.valve.fault = late(status, code)
    place = f"s3://{BUCKET}/{code}"  # of its own: even the lock could not be released
    ending = watched(noisy, "--to", place)
    assert ending.status == Exit.FAILED, ending.said
    assert words in ending.last_line
    assert hint in ending.last_line
    assert "the lock could not be given back" in ending.said
    assert "for 3 min other runs will find it held" in ending.said
    assert not bucket.valve.puts("knockon.json")
    assert_nothing_left(noisy, ending)


def test_a_missing_bucket_is_told_before_the_server_is_asked(small: Cluster, bucket: S3) -> None:
    assert bucket.endpoint
    status, said = paced_run("--dsn", small.dsn, "--to", "s3://no-such-bucket/here")
    assert status == Exit.USER_ERROR
    assert "there is no such bucket" in said
    assert len(said.strip().splitlines()) == 1
    assert small.quiet()


def test_a_disk_that_fills_up_half_way(noisy: Cluster, tmp_path: Path) -> None:
    place = tmp_path / "filling"
    place.mkdir()
    mount: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", place]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system, and not in every container")
    try:
        ending = watched(noisy, "--to", f"file://{place}/store")
        left = [one.name for one in (place / "store").rglob("*")]
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    assert ending.status == Exit.FAILED, ending.said
    assert "there is no space left" in ending.last_line
    assert left in ([], ["lock.guard"]), "what was not published is swept at once"
    assert_nothing_left(noisy, ending)
