"""The agent's rights are what it asks of an API server that counts: no verb more or less."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

import pytest

from agent.daemon.config import KubeSettings
from agent.kube.announce import announcements
from agent.kube.answers import Refusal
from agent.kube.http import Api
from agent.kube.publisher import Publisher
from agent.kube.source import (
    SandboxEvents,
    sandbox_events_mode,
    sandbox_events_of,
    watch_pods,
    watch_sandbox_events,
    who_keeps_pods_off,
)
from agent.model import BlindSpot, Pod
from daemonset.rights import CORE, EVENTS, rights
from tests.daemonset.manifest import one
from tests.fake_api import FakeApi, SimClock
from tests.fake_pods import node, pod, sandbox_event
from tests.handmade import PODS, founding
from tests.kube_agent import NODE, Waits, quick

Verb = tuple[str, str, str]
MODES = ("auto", "watch", "on-demand", "off")


def granted(*settings: str) -> set[Verb]:
    """What the rendered ClusterRole allows."""
    return {
        (group, resource, verb)
        for rule in one("ClusterRole", *settings).get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def live(api: FakeApi, events: str, nodes: int) -> list[str]:
    """Let the agent's own code do all it does with the API; return what it complained about."""
    api.store.put("pods", pod("one"))
    api.store.put("events", sandbox_event("e", "one"))
    for number in range(nodes):
        api.store.put("nodes", node(f"node-{number}"))
    with closing(Api(api.access())) as client:
        wrong = _complaints(watch_pods(client, NODE, brief(api).work, quick()))
        drained = who_keeps_pods_off(client, NODE)
        wrong += [drained.why] if isinstance(drained, Refusal) else []
        if events != "off":
            wrong += _sandboxes(api, client, SandboxEvents(events))
        publisher = Publisher(client, brief(api).work)
        publisher.offer(announcements(founding(), PODS)[:1])
        publisher.step()
        return wrong + [one.why for one in publisher.news()]


def _sandboxes(api: FakeApi, client: Api, wanted: SandboxEvents) -> list[str]:
    mode, doubt = sandbox_events_mode(client, wanted)
    wrong = [doubt.why] if doubt else []
    if mode is SandboxEvents.WATCH:
        return wrong + _complaints(watch_sandbox_events(client, NODE, brief(api).work, quick()))
    answer = sandbox_events_of(client, Pod("default", "one", "u"), brief(api).work)
    return wrong + ([answer.why] if isinstance(answer, Refusal) else [])


def brief(api: FakeApi) -> Waits:
    """A clock that tells whoever waits for the sixth time to stop."""
    assert api.clock is not None
    waits = Waits(api.clock)
    waits.stop_after = 6
    return waits


def _complaints(told: object) -> list[str]:
    return [one.why for one in islice(told, 8) if isinstance(one, BlindSpot)]  # type: ignore[call-overload]


def asked(api: FakeApi) -> set[Verb]:
    return {
        (EVENTS if "/apis/events.k8s.io/" in seen.path else CORE, seen.resource, seen.verb)
        for seen in api.seen
    }


@pytest.mark.parametrize("events", MODES)
def test_the_agent_asks_for_all_it_may_and_nothing_else(events: str) -> None:
    seen: set[Verb] = set()
    for nodes in (3, 150):
        with FakeApi(clock=SimClock()) as api:
            assert live(api, events, nodes) == []
            seen |= asked(api)
    assert seen == granted(f"agent.config.kube.events={events}")


@pytest.mark.parametrize("taken", sorted(granted()))
def test_without_any_one_verb_the_agent_says_what_it_misses(taken: Verb) -> None:
    _, resource, verb = taken
    with FakeApi(clock=SimClock()) as api:
        api.forbidden.add((verb, resource))
        found = [*live(api, "auto", 3)]
    assert any("grant the verb" in one or "forbidden" in one.lower() for one in found), found


def test_what_is_switched_off_is_not_granted() -> None:
    assert granted("agent.config.kube.access=off") == set()
    assert granted("agent.config.kube.publish=false") == granted() - {(EVENTS, "events", "create")}


def test_the_settings_known_here_are_those_of_the_agent() -> None:
    choices = KubeSettings.__dataclass_fields__["events"].metadata["rule"].choice
    assert sorted(choices) == sorted(MODES)


def test_no_rule_says_all_and_every_right_has_its_reason() -> None:
    for rule in one("ClusterRole")["rules"]:
        assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
    every = list(rights(access="in-cluster", events="auto", publish=True))
    assert all(one.why for one in every)
    assert {one.verb for one in every} <= {"list", "watch", "create"}


def test_the_role_goes_to_the_agents_account_alone() -> None:
    binding = one("ClusterRoleBinding")
    assert binding["roleRef"]["name"] == one("ClusterRole")["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "knockon", "namespace": "knockon"}
    ]
    backup = one("ServiceAccount", everything=True, named="knockon-backup")
    assert backup["automountServiceAccountToken"] is False
