"""The backup's rights: none, or those on the one Lease that it was told to hold."""

from __future__ import annotations

import time
from typing import Any

import pytest

from agent.fleet.leases import Leases
from agent.kube.http import Api
from backup.exits import Failure
from backup.run.lease import Held
from daemonset.rights import LEASES, run_lease_rights, run_rights
from tests.daemonset.manifest import one, things
from tests.fake_api import FakeApi

NAME = "pg-node"
ACCOUNT = "knockon-backup"
ON = ("backup.enabled=true", "backup.image=x", "backup.to=s3://bucket/x")
HELD = (*ON, f"backup.lease={NAME}")


def pod(*settings: str) -> dict[str, Any]:
    made = one("CronJob", *settings, named=ACCOUNT)
    found: dict[str, Any] = made["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def granted() -> set[str]:
    rules = one("Role", *HELD, named=ACCOUNT)["rules"]
    assert {tuple(rule["apiGroups"]) for rule in rules} == {(LEASES,)}
    assert {tuple(rule["resources"]) for rule in rules} == {("leases",)}
    return {verb for rule in rules for verb in rule["verbs"]}


def hold(api: FakeApi) -> None:
    """Take the Lease as a run does, renew it, and let go."""
    lease = Held(Leases(Api(api.access()), "default", NAME), "a", time.time)
    lease.acquire(time.sleep)
    lease.renew(time.time())
    lease.release()


def test_without_a_lease_it_has_no_token_and_no_right() -> None:
    assert pod(*ON)["automountServiceAccountToken"] is False
    assert "--lease" not in pod(*ON)["containers"][0]["args"]
    made = things(*ON)
    assert not [each for each in made if each["metadata"]["name"] == ACCOUNT and "rules" in each]


def test_with_one_it_may_hold_that_one() -> None:
    assert pod(*HELD)["automountServiceAccountToken"] is True
    args = pod(*HELD)["containers"][0]["args"]
    assert args[args.index("--lease") + 1] == NAME
    rules = one("Role", *HELD, named=ACCOUNT)["rules"]
    named = [rule for rule in rules if set(rule["verbs"]) & {"get", "update"}]
    assert [rule["resourceNames"] for rule in named] == [[NAME]]
    binding = one("RoleBinding", *HELD, named=ACCOUNT)
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "knockon"}
    ]
    assert all(right.why for right in (*run_rights(), *run_lease_rights()))


def test_the_role_lives_where_the_pod_does() -> None:
    for kind in ("Role", "RoleBinding", "CronJob"):
        found = one(kind, *HELD, "backup.namespace=prod", named=ACCOUNT)
        assert found["metadata"]["namespace"] == "prod"


def test_a_run_asks_for_all_it_may_and_nothing_else() -> None:
    with FakeApi() as api:
        hold(api)
        assert {seen.resource for seen in api.seen} == {"leases"}
        assert {seen.verb for seen in api.seen} == granted()


@pytest.mark.parametrize("taken", ["create", "get", "update"])
def test_without_any_one_verb_it_says_what_it_needs(taken: str) -> None:
    with FakeApi() as api:
        if taken != "create":
            hold(api)
        api.forbidden.add((taken, "leases"))
        with pytest.raises(Failure) as refused:
            hold(api)
    assert "the pod's account needs" in refused.value.hint


def test_a_retry_outwaits_the_lock_of_a_first_that_was_killed() -> None:
    args = pod(*ON)["containers"][0]["args"]
    assert args[args.index("--lock-wait") + 1] == "4m"
