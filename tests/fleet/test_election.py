"""One leader at a time, by a Lease of an API server that keeps versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import pytest

from agent.fleet.election import Election
from agent.fleet.leases import Leases
from agent.kube.http import Api
from tests.fake_api import FakeApi, SimClock
from tests.fake_faults import Fault, Wrong

LEASE_S = 15.0
Stand = Callable[[str], Election]


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as made:
        yield made


@pytest.fixture
def clock() -> SimClock:
    return SimClock(1000.0)


@pytest.fixture
def stand(api: FakeApi, clock: SimClock) -> Iterator[Stand]:
    """Makes candidates by name."""
    with ExitStack() as stack:

        def candidate(name: str) -> Election:
            client = stack.enter_context(closing(Api(api.access())))
            # A wall clock of its own, wrong by a day: only our own waiting may count.
            wrong_s = 86_400.0 if name == "b" else 0.0
            leases = Leases(client, "knockon", "fleet")
            return Election(leases, name, LEASE_S, clock.now_s, lambda: clock.now_s() + wrong_s)

        yield candidate


def holder(api: FakeApi) -> str:
    lease = api.store.get("leases", "knockon", "fleet")
    return str(lease["spec"]["holderIdentity"]) if lease else ""


def test_the_first_leads_and_the_second_waits(stand: Stand, api: FakeApi, clock: SimClock) -> None:
    a, b = (stand(name) for name in "ab")
    assert a.step()
    assert not b.step()
    assert (a.leads, b.leads, holder(api)) == (True, False, "a")
    for _ in range(10):
        clock.advance(LEASE_S / 3)
        assert a.step()
        assert not b.step()


def test_a_dead_leader_is_followed_once_its_lease_has_run_out(
    stand: Stand, api: FakeApi, clock: SimClock
) -> None:
    a, b = (stand(name) for name in "ab")
    assert a.step()
    assert not b.step()
    clock.advance(LEASE_S - 1)
    assert not b.step()
    clock.advance(1)
    assert not a.leads, "the old leader has stopped before the new one begins"
    assert b.step()
    assert holder(api) == "b"
    assert not a.step()
    lease = api.store.get("leases", "knockon", "fleet")
    assert lease
    assert lease["spec"]["leaseTransitions"] == 1


def test_of_many_who_find_it_free_one_wins(stand: Stand) -> None:
    many = [stand(str(n)) for n in range(5)]
    assert sum(one.step() for one in many) == 1
    assert sum(one.leads for one in many) == 1


def test_who_read_an_old_version_cannot_take_it(
    stand: Stand, api: FakeApi, clock: SimClock
) -> None:
    a, b, c = (stand(name) for name in "abc")
    assert a.step()
    assert not b.step()
    assert not c.step()
    clock.advance(LEASE_S)
    stale = c.leases.read()
    assert stale
    assert b.step()
    assert c.leases.replace(stale, {"holderIdentity": "c"}) is False
    assert holder(api) == "b"


def test_who_leaves_lets_go(stand: Stand) -> None:
    a, b = (stand(name) for name in "ab")
    assert a.step()
    a.resign()
    assert not a.leads
    assert b.step(), "nobody has to wait"


def test_an_api_server_in_trouble_costs_the_lead_only_when_it_lasts(
    stand: Stand, api: FakeApi, clock: SimClock
) -> None:
    a = stand("a")
    assert a.step()
    api.faults.add(
        Fault(Wrong.STATUS, "get", status=500, times=1), Fault(Wrong.RESET, "get", times=2)
    )
    for _ in range(2):
        clock.advance(3)
        assert not a.step()
        assert a.why
        assert a.leads
    clock.advance(3)
    assert a.step()
    assert a.why == ""
    api.refuse()
    clock.advance(LEASE_S * 2 / 3)
    assert not a.step()
    assert not a.leads


def test_without_the_right_it_says_so(stand: Stand, api: FakeApi) -> None:
    api.forbidden.add(("create", "leases"))
    a = stand("a")
    assert not a.step()
    assert a.why.startswith("403")


def test_the_lease_is_what_other_clients_read(stand: Stand, api: FakeApi) -> None:
    assert stand("a").step()
    lease = api.store.get("leases", "knockon", "fleet")
    assert lease
    assert lease["spec"]["leaseDurationSeconds"] == LEASE_S
    stamp = datetime.fromisoformat(lease["spec"]["renewTime"])
    assert stamp == datetime.fromtimestamp(1000, UTC)
