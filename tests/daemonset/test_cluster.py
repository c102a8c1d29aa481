"""The cluster's replica: the least rights, the restricted level, and settings that it takes."""

from __future__ import annotations

import tomllib
from collections import Counter
from contextlib import closing
from itertools import islice

import pytest

from agent.daemon.config_file import parse
from agent.daemon.inbox import Inbox
from agent.errors import UserError
from agent.fleet.assemble import labels_of
from agent.fleet.election import Election
from agent.fleet.leases import Leases
from agent.fleet.watches import SOURCES, Choice, Stream
from agent.kube.http import Api
from agent.model import BlindSpot
from daemonset.rights import CORE, LEASES, cluster_rights, lease_rights, own_rights
from tests.daemonset.manifest import agent_pod, cluster_pod, one, things
from tests.fake_api import FakeApi, SimClock
from tests.fake_pods import node, pod
from tests.kube_agent import Waits

ON = "cluster.enabled=true"
NAME = "knockon-cluster"
CHOICE = Choice("knockon", {}, {})
Verb = tuple[str, str, str]


def granted() -> set[Verb]:
    roles = [one("ClusterRole", ON, named=NAME), one("Role", ON, named=NAME)]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def live(api: FakeApi) -> list[str]:
    """Let the replica's own code do all it does with the API; return what it complained about."""
    api.store.put("nodes", node("node-1"))
    api.store.put("pods", pod("agent-1", namespace="knockon"))
    wrong: list[str] = []
    for name in SOURCES:
        waits = Waits(api.clock or SimClock())
        waits.stop_after = 6
        with closing(Api(api.access())) as client:
            stream = Stream(name, client, waits.work, Inbox(), Counter(), CHOICE)
            wrong += [one.why for one in islice(stream.told(), 8) if isinstance(one, BlindSpot)]
    clock = SimClock()
    with closing(Api(api.access())) as client:
        leases = Leases(client, "knockon", NAME)
        election = Election(leases, "a", 15.0, clock.now_s, clock.now_s)
        for _ in range(2):  # created, then renewed
            election.step()
            wrong += [election.why] if election.why else []
    return wrong


def test_it_asks_for_all_it_may_and_nothing_else() -> None:
    with FakeApi(clock=SimClock()) as api:
        assert live(api) == []
        asked = {
            (LEASES if seen.resource == "leases" else CORE, seen.resource, seen.verb)
            for seen in api.seen
        }
    assert asked == granted()


@pytest.mark.parametrize("taken", sorted(granted()))
def test_without_any_one_verb_it_says_what_it_misses(taken: Verb) -> None:
    _, resource, verb = taken
    with FakeApi(clock=SimClock()) as api:
        api.forbidden.add((verb, resource))
        found = live(api)
    assert any(resource in one or "403" in one for one in found), found


def test_its_lease_is_the_only_one_it_may_touch() -> None:
    rules = one("Role", ON, named=NAME)["rules"]
    named = [rule for rule in rules if set(rule["verbs"]) & {"get", "update"}]
    assert [rule["resourceNames"] for rule in named] == [[NAME]]
    assert all(right.why for right in (*cluster_rights(), *own_rights(), *lease_rights()))


def test_it_is_not_there_unless_asked_for() -> None:
    assert not [one for one in things() if one["kind"] == "Deployment"]
    assert not [one for one in things() if NAME in str(one["metadata"]["name"])]


def test_it_meets_the_restricted_level_and_sees_nothing_of_the_node() -> None:
    made = cluster_pod()
    assert made["securityContext"]["runAsNonRoot"] is True
    assert all("hostPath" not in volume for volume in made["volumes"])
    assert agent_pod()["serviceAccountName"] != made["serviceAccountName"]


def test_its_settings_are_what_it_takes_and_find_the_agents() -> None:
    text = one("ConfigMap", ON, named=NAME)["data"]["cluster.toml"]
    config, faults = parse(tomllib.loads(text))
    assert faults == []
    wanted = labels_of(config.cluster.agents)
    labels = one("DaemonSet")["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= labels.items()
    assert config.cluster.lease == NAME
    chosen = one("ConfigMap", ON, r"agent.nodeSelector.example\.com/pool=db", named=NAME)
    config, _ = parse(tomllib.loads(chosen["data"]["cluster.toml"]))
    assert labels_of(config.cluster.nodes) == {"example.com/pool": "db"}


def test_a_port_with_certificates_is_the_same_as_the_agents() -> None:
    sure = ("metrics.tlsSecret=s", "metrics.clientCertificates=true")
    text = one("ConfigMap", ON, *sure, named=NAME)["data"]["cluster.toml"]
    assert tomllib.loads(text)["http"]["client_authority"] == "/etc/knockon-tls/ca.crt"
    (inside,) = cluster_pod(*sure)["containers"]
    assert "tcpSocket" in inside["livenessProbe"]
    assert "/etc/knockon-tls" in {mount["mountPath"] for mount in inside["volumeMounts"]}


def test_a_setting_it_would_refuse_is_refused_when_it_is_rendered() -> None:
    with pytest.raises(UserError, match=r"cluster\.config: cluster\.lease_s must lie between"):
        things(ON, "cluster.config.cluster.lease_s=0")
