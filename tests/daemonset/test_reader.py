"""Who asks from a laptop may do what the command does, and no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemonset.rights import proxy_rights, reader_rights
from tests.cluster.behind import POD, agent_pod, asked, events_of, listening, stored
from tests.daemonset.manifest import one, things
from tests.fake_api import FakeApi
from tests.fake_pods import node, pod
from tests.handmade import NODE, founding

ON, NAME = "readers.enabled=true", "knockon-reader"
Verb = tuple[str, str]


def granted() -> set[Verb]:
    """What the rendered roles allow."""
    return {
        (verb, resource)
        for kind in ("ClusterRole", "Role")
        for rule in one(kind, ON, named=NAME)["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_commands_ask_for_all_they_may_and_nothing_else(tmp_path: Path) -> None:
    with FakeApi() as api, listening(stored(tmp_path / "kept", founding())) as port:
        api.store.put("pods", pod("pg-0", node=NODE))
        api.store.put("nodes", node(NODE))
        events_of(api)
        assert asked(api, tmp_path, *POD).returncode == 0  # the agent is away
        api.store.put("pods", agent_pod(NODE, port))
        assert asked(api, tmp_path, *POD).returncode == 0
        assert asked(api, tmp_path, "incidents").returncode == 0
        assert {(seen.verb, seen.resource) for seen in api.seen} == granted()


def test_the_proxy_is_for_the_agents_namespace_alone() -> None:
    (rule,) = one("Role", ON, named=NAME)["rules"]
    assert rule == {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}
    assert one("Role", ON, named=NAME)["metadata"]["namespace"] == "knockon"
    wide = one("ClusterRole", ON, named=NAME)["rules"]
    assert "pods/proxy" not in {each for rule in wide for each in rule["resources"]}
    assert all(right.why for right in (*reader_rights(), *proxy_rights()))


@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
def test_groups_and_users_are_bound(kind: str) -> None:
    bound = one(kind, ON, "readers.groups={oncall}", "readers.users={ada}", named=NAME)
    assert [(who["kind"], who["name"]) for who in bound["subjects"]] == [
        ("Group", "oncall"),
        ("User", "ada"),
    ]


def test_they_are_not_there_unless_asked_for() -> None:
    assert not [each for each in things() if each["metadata"]["name"] == NAME]
