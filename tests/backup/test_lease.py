"""A Lease beside the store's lock: one run in a cluster, whatever clocks say and who dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import UserError
from agent.fleet.leases import Leases
from agent.kube.http import Api
from agent.times import rfc3339
from backup.exits import Exit, Failure
from backup.run.lease import Held, checked_name
from backup.store.lock import Keeper
from tests.backup.client import API_PORT, command, finish, paced_run, start_paced
from tests.backup.cluster import Cluster
from tests.fake_api import FakeApi

NAME = "pg-main"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as api:
        yield api


def held(api: FakeApi, identity: str, life_s: float = 60.0, ahead_s: float = 0.0) -> Held:
    leases = Leases(Api(api.access()), "default", NAME)
    return Held(leases, identity, lambda: time.time() + ahead_s, life_s)


def holder(api: FakeApi) -> str:
    lease = api.store.get("leases", "default", NAME)
    assert lease is not None
    return str(lease["spec"]["holderIdentity"])


def left_behind(api: FakeApi, renewed_ago_s: float, lasts_s: int) -> None:
    """A Lease whose holder was killed."""
    spec = {
        "holderIdentity": "dead",
        "renewTime": rfc3339(time.time() - renewed_ago_s),
        "leaseDurationSeconds": lasts_s,
    }
    api.store.put("leases", {"metadata": {"name": NAME, "namespace": "default"}, "spec": spec})


def test_a_second_one_is_told_who_holds_it_and_gets_it_afterwards(api: FakeApi) -> None:
    first = held(api, "node-7 pid 12")
    first.acquire(time.sleep)
    with pytest.raises(Failure, match="node-7 pid 12") as told:
        held(api, "another").acquire(time.sleep)
    assert told.value.status == Exit.LOCKED
    assert "free in" in told.value.hint
    first.release()
    second = held(api, "another")
    second.acquire(time.sleep)
    assert holder(api) == "another"
    second.release()


def test_a_dead_holders_lease_is_taken_over_only_when_it_has_run_out(api: FakeApi) -> None:
    left_behind(api, renewed_ago_s=0.0, lasts_s=1)
    with pytest.raises(Failure, match="dead"):
        held(api, "next", life_s=1.0).acquire(time.sleep)
    left_behind(api, renewed_ago_s=5.0, lasts_s=1)
    began_s = time.monotonic()
    heir = held(api, "next", life_s=1.0)
    heir.acquire(time.sleep)
    assert time.monotonic() - began_s >= 1.0, "it was believed to be dead at once"
    assert holder(api) == "next"
    heir.release()


def test_a_clock_an_hour_ahead_takes_nothing_from_the_living(api: FakeApi) -> None:
    living = held(api, "living", life_s=1.0)
    living.acquire(time.sleep)
    keeper = Keeper(living, time.time, every_s=0.2)
    keeper.start()
    with pytest.raises(Failure, match="living"):
        held(api, "wrong clock", life_s=1.0, ahead_s=3600.0).acquire(time.sleep)
    keeper.stop()
    assert keeper.lost is None
    assert holder(api) == ""


def test_of_many_at_once_one_gets_it(api: FakeApi) -> None:
    won: list[str] = []
    contenders = {name: held(api, name) for name in (f"run-{number}" for number in range(8))}

    def contend(name: str) -> None:
        try:
            contenders[name].acquire(time.sleep)
        except Failure:
            return
        won.append(name)

    threads = [threading.Thread(target=contend, args=(name,)) for name in contenders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert holder(api) == won[0]
    contenders[won[0]].release()


def test_who_lost_it_is_told_and_releases_nothing(api: FakeApi) -> None:
    ours = held(api, "us")
    ours.acquire(time.sleep)
    left_behind(api, renewed_ago_s=0.0, lasts_s=60)
    with pytest.raises(Failure, match="taken from us") as told:
        ours.renew(time.time())
    assert told.value.status == Exit.LOCKED
    ours.release()
    assert holder(api) == "dead"


def test_an_api_server_that_goes_away_stops_no_run(api: FakeApi) -> None:
    ours = held(api, "us")
    ours.acquire(time.sleep)
    api.refuse()
    ours.renew(time.time())
    ours.release()
    api.accept()
    ours.renew(time.time())
    assert holder(api) == "us"
    ours.release()


@pytest.mark.parametrize("name", ["", "Upper", "a/b", "-a", "a\n", "x" * 254])
def test_a_name_is_checked_before_anything_is_asked(name: str) -> None:
    with pytest.raises(UserError):
        checked_name(name)


def test_runs_into_two_places_exclude_each_other(
    small: Cluster, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_PORT, str(api.port))
    words = ("--dsn", small.dsn, "--fast-checkpoint", "--lease", NAME)
    running = start_paced(*words, "--to", f"file://{tmp_path}/one")
    try:
        small.backup_pid()
        status, said = paced_run(*words, "--to", f"file://{tmp_path}/two")
        assert status == Exit.LOCKED, said
        assert f"pid {running.pid}" in said
        assert len(said.strip().splitlines()) == 1
    finally:
        running.terminate()
        finish(running)
    status, said = paced_run(*words, "--to", f"file://{tmp_path}/two")
    assert status == Exit.DONE, said
    assert holder(api) == ""


def test_an_account_without_the_right_is_one_line(
    small: Cluster, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(API_PORT, str(api.port))
    api.forbidden = {("create", "leases")}
    status, said = paced_run(
        "--dsn", small.dsn, "--to", f"file://{tmp_path}/store", "--lease", NAME
    )
    assert status == Exit.USER_ERROR
    assert "needs `create` on leases" in said
    assert len(said.strip().splitlines()) == 1
    assert small.quiet()


def test_outside_of_a_pod_it_is_the_users_to_mend(small: Cluster, tmp_path: Path) -> None:
    words = ("--dsn", small.dsn, "--to", f"file://{tmp_path}/store", "--lease", NAME)
    status, said = command("run", *words)
    assert status == Exit.USER_ERROR
    assert "not run in a Kubernetes pod" in said
