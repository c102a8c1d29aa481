"""`--wal fetch`: that the server will recycle what the backup needs is said long before it does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from backup.abort import Abort
from backup.postgres.session import Session
from backup.postgres.wal import lsn_number
from backup.run.wal_watch import Runway, WalWatch
from tests.backup.client import paced_run
from tests.backup.cluster import Cluster

GB = 1_000_000_000


@pytest.mark.parametrize("bytes_per_s", [100_000, 1_000_000, 5_000_000])
def test_it_is_said_at_least_half_an_hour_ahead(bytes_per_s: int) -> None:
    runway = Runway(0, 20 * GB, 0.0)
    full_s = 20 * GB / bytes_per_s
    said = {
        now_s: news
        for now_s in range(0, int(full_s), 10)
        if (news := runway.check(float(now_s), now_s * bytes_per_s, 0.0))
    }
    [(at_s, sentence)] = said.items()
    assert full_s - at_s >= min(1800, full_s - 40)
    assert "may recycle WAL that this backup needs" in sentence
    assert "--wal stream" in sentence


def test_a_backup_that_ends_before_is_not_worth_a_word() -> None:
    runway = Runway(0, 2 * GB, 0.0)
    assert not runway.check(100.0, GB, 0.9)
    assert runway.check(100.0, GB, 0.1)


def test_a_quiet_server_and_the_first_seconds_say_nothing() -> None:
    runway = Runway(5 * GB, GB, 0.0)
    assert not runway.check(600.0, 5 * GB, 0.1)
    assert not runway.check(10.0, 5 * GB + GB // 2, 0.1)


def test_what_is_over_is_said_once() -> None:
    runway = Runway(0, GB, 0.0)
    assert "may have recycled" in runway.check(5.0, 2 * GB, 0.1)
    assert not runway.check(15.0, 3 * GB, 0.2)


def test_a_real_server_is_asked_and_left_in_peace(small: Cluster) -> None:
    said: list[str] = []
    abort = Abort()
    session = Session.connect(small.dsn, abort)
    runway = Runway(lsn_number(session.identify().lsn), 1 << 20, time.monotonic())
    watch = WalWatch(
        session, lambda lsn: runway.check(time.monotonic(), lsn, 0.1), said.append, every_s=0.05
    )
    watch.start()
    try:
        small.sql("CREATE TABLE written AS SELECT repeat('x', 500) FROM generate_series(1, 10000)")
        until_s = time.monotonic() + 20
        while not said and time.monotonic() < until_s:
            time.sleep(0.05)
    finally:
        watch.close()
        abort.close()
        small.sql("DROP TABLE IF EXISTS written")
    assert "than wal_keep_size holds" in said[0]
    assert small.quiet()


def test_a_run_watches_and_leaves_nothing(small: Cluster, tmp_path: Path) -> None:
    small.sql("ALTER SYSTEM SET wal_keep_size = '64MB'")
    small.reload()
    try:
        status, words = paced_run(
            *("--dsn", small.dsn, "--to", f"file://{tmp_path}/store"),
            *("--fast-checkpoint", "--ceiling", "40MB/s", "--wal", "fetch"),
        )
    finally:
        small.sql("ALTER SYSTEM RESET wal_keep_size")
        small.reload()
    assert status == 0, words
    assert "watching" not in words
    assert small.quiet()
