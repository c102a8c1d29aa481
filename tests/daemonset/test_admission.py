"""The two admission policies, evaluated: who may say what about which node."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from agent.kube.announce import announcements
from agent.kube.node_notes import (
    Ended,
    Recovery,
    journal_unreadable,
    recorder_gap,
    resolved,
    unresolved,
)
from daemonset.templates import admission
from tests.daemonset.admission import Broken, denied, request, value
from tests.daemonset.manifest import Thing, one
from tests.fake_events import to_core
from tests.handmade import PODS, founding

AGENT = "system:serviceaccount:knockon:knockon"
KUBELET = "system:node:node-1"
PINNED = one("ValidatingAdmissionPolicy", named="knockon")
NAME_KEPT = one("ValidatingAdmissionPolicy", named="knockon-name")


def said(node: str = "") -> list[Thing]:
    """All Events of the founding incident, as they are posted."""
    told = founding()
    if node:
        told = replace(told, incident=replace(told.incident, node=node))
    return [json.loads(json.dumps(each.body)) for each in announcements(told, PODS)]


NODE = founding().incident.node
ABOUT_THE_NODE = next(each for each in said() if each["regarding"]["kind"] == "Node")
ABOUT_A_POD = next(each for each in said() if each["regarding"]["kind"] == "Pod")


def refusals(who: str, node: str | None, event: Thing, api: str = "events.k8s.io") -> list[str]:
    asked = request(who, node)
    return [*denied(PINNED, asked, event, api), *denied(NAME_KEPT, asked, event, api)]


def test_everything_the_agent_says_passes() -> None:
    for event in (*said(), *said_of_itself()):
        assert refusals(AGENT, NODE, event) == []


def said_of_itself() -> list[Thing]:
    """What is said on the Node besides incidents."""
    ended = Ended("7f3a", NODE, 0.0, "Docker was killed.", (("prod", "pg-0"),))
    notes = (
        resolved(ended, Recovery(ready=1), 60.0),
        unresolved(ended, Recovery(waiting=ended.victims), 60.0),
        journal_unreadable(NODE, ("There is no journal folder.",), 60.0),
        recorder_gap(NODE, 10.0, 60.0, "the agent was not running", 60.0),
    )
    return [json.loads(json.dumps(each.body)) for each in notes]


def test_also_on_a_node_with_the_longest_name() -> None:
    name = "n" * 253
    for event in said(name):
        assert len(event["reportingInstance"]) == admission.LONGEST_INSTANCE
        assert refusals(AGENT, name, event) == []


@pytest.mark.parametrize(
    ("node", "change", "says"),
    [
        (None, lambda event: event, "the token names no node"),
        ("", lambda event: event, "the token names no node"),
        ("other", lambda event: event, "reportingInstance must be the node of the token"),
        (
            NODE,
            lambda event: event | {"reportingInstance": "other"},
            "reportingInstance must be the node of the token",
        ),
        (
            NODE,
            lambda event: event | {"reportingController": "kubelet"},
            "reportingController must be knockon.dev/agent",
        ),
        (
            NODE,
            lambda event: event | {"regarding": {"kind": "Node", "name": "other"}},
            "an agent speaks about its own Node only",
        ),
    ],
)
def test_a_stolen_token_cannot_speak_for_another_node(
    node: str | None, change: Callable[[Thing], Thing], says: str
) -> None:
    found = denied(PINNED, request(AGENT, node), change(ABOUT_THE_NODE))
    assert any(says in each for each in found), found


@pytest.mark.parametrize("api", ["events.k8s.io", ""])
def test_the_older_api_is_no_way_around(api: str) -> None:
    event = ABOUT_THE_NODE if api else to_core(ABOUT_THE_NODE)
    assert refusals(AGENT, NODE, event, api) == []
    assert refusals(AGENT, "other", event, api)
    assert refusals(KUBELET, NODE, event, api) == ["only the agents may speak as knockon.dev/agent"]


def test_an_update_is_looked_at_too() -> None:
    asked = request(AGENT, "other", "UPDATE")
    assert denied(PINNED, asked, ABOUT_A_POD)


def test_what_others_say_in_their_own_name_is_none_of_our_business() -> None:
    theirs = ABOUT_A_POD | {"reportingController": "kubelet"}
    assert refusals(KUBELET, None, theirs) == []
    nameless = {key: each for key, each in theirs.items() if key != "reportingController"}
    assert refusals(KUBELET, None, nameless) == [], "core/v1 Events often name no controller"


def test_nobody_else_speaks_in_our_name() -> None:
    for who in (KUBELET, "system:serviceaccount:knockon:knockon-cluster", "alice"):
        assert refusals(who, NODE, ABOUT_A_POD) == [
            "only the agents may speak as knockon.dev/agent"
        ]


def test_a_failing_expression_costs_the_agent_its_events_and_nobody_else_theirs() -> None:
    asked = {"operation": "CREATE", "userInfo": {}}
    assert denied(PINNED, asked, ABOUT_A_POD), "without a user name nothing is let through"
    assert denied(NAME_KEPT, asked, ABOUT_A_POD) == []
    with pytest.raises(Broken):
        value("request.nothing.there == 1", {"request": {}, "object": {}, "variables": {}})


def test_another_name_and_namespace_make_another_account() -> None:
    policy = one("ValidatingAdmissionPolicy", "name=k,namespace=watch", named="k")
    mine = request("system:serviceaccount:watch:k", "other")
    assert denied(policy, mine, ABOUT_THE_NODE)
    assert denied(policy, request(AGENT, "other"), ABOUT_THE_NODE) == []


@pytest.mark.parametrize("promise", range(4))
def test_each_promise_is_needed(promise: int) -> None:
    """Without it something above would pass."""
    left = {**PINNED, "spec": {**PINNED["spec"]}}
    left["spec"]["validations"] = [
        each for index, each in enumerate(PINNED["spec"]["validations"]) if index != promise
    ]
    forged = (
        (request(AGENT, None), ABOUT_A_POD | {"reportingInstance": ""}),
        (request(AGENT, "other"), ABOUT_A_POD),
        (request(AGENT, NODE), ABOUT_A_POD | {"reportingController": "kubelet"}),
        (request(AGENT, NODE), ABOUT_THE_NODE | {"regarding": {"kind": "Node", "name": "other"}}),
    )
    asked, event = forged[promise]
    assert denied(PINNED, asked, event)
    assert denied(left, asked, event) == []


def test_both_are_bound_and_deny() -> None:
    for name in ("knockon", "knockon-name"):
        binding = one("ValidatingAdmissionPolicyBinding", named=name)["spec"]
        assert binding == {"policyName": name, "validationActions": ["Deny", "Audit"]}
