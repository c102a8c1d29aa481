"""The lock: one run at a time, a dead one's lock inherited, and no clock of ours believed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from backup.exits import Exit, Failure
from backup.store.layout import LOCK_KEY
from backup.store.lock import GRACE_S, LIFE_S, Keeper, acquire
from backup.store.store import Store
from tests.backup.s3 import S3

NOW_S = 1_795_434_256.0


def test_a_second_run_is_told_who_has_the_lock(any_store: Store) -> None:
    store = any_store
    now_s = time.time()
    lock = acquire(store, "node-7 pid 12", now_s)
    assert lock.warnings == ()
    with pytest.raises(Failure, match="node-7 pid 12") as told:
        acquire(store, "another", now_s)
    assert told.value.status == Exit.LOCKED
    assert "free in" in told.value.hint
    lock.renew(now_s + 1)
    lock.release()
    acquire(store, "another", now_s).release()
    assert store.list() == ()


def test_a_dead_holders_lock_is_taken_over_once_and_the_dead_one_notices(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    dead = acquire(store, "dead", time.time())
    _age(tmp_path / LOCK_KEY, LIFE_S + GRACE_S - 5)
    with pytest.raises(Failure, match="dead"):
        acquire(store, "too early", time.time())
    # A clock that is a year ahead cannot make it older: the store's clock decides.
    with pytest.raises(Failure, match="ahead of the store's"):
        acquire(store, "hasty", time.time() + 3e7)
    _age(tmp_path / LOCK_KEY, LIFE_S + GRACE_S + 5)
    heir = acquire(store, "heir", time.time())
    with pytest.raises(Failure, match="taken from us") as told:
        dead.renew(time.time())
    assert told.value.status == Exit.LOCKED
    dead.release()
    assert b"heir" in store.read(LOCK_KEY)
    heir.release()


def test_a_wrong_clock_is_said(any_store: Store) -> None:
    store = any_store
    lock = acquire(store, "us", time.time() - 400)
    assert any("behind the store's" in one for one in lock.warnings)
    lock.release()


def test_a_torn_lock_still_counts_until_it_is_old(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}")
    store.put(LOCK_KEY, b'{"holder": ')
    with pytest.raises(Failure, match="wrote no name"):
        acquire(store, "us", time.time())
    _age(tmp_path / LOCK_KEY, 1000)
    acquire(store, "us", time.time()).release()


def test_a_store_that_ignores_conditions_is_named(s3: S3) -> None:
    s3.valve.deaf_to = ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH")
    lock = acquire(s3.store(), "us", time.time())
    assert any("ignores conditional writes" in one for one in lock.warnings)
    lock.release()


def test_a_keeper_renews_and_gives_up_a_lost_lock() -> None:
    store = Store.open("memory://")
    lock = acquire(store, "us", NOW_S)
    first = lock.holder.renewed_at_s
    keeper = Keeper(lock, time.time, every_s=0.01)
    keeper.start()
    _until(lambda: lock.holder.renewed_at_s > first)
    store.put(LOCK_KEY, b"{}")
    _until(lambda: keeper.lost is not None)
    keeper.stop()
    assert store.read(LOCK_KEY) == b"{}"


def _age(path: Path, age_s: float) -> None:
    at_s = time.time() - age_s
    os.utime(path, (at_s, at_s))


def _until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.005)
