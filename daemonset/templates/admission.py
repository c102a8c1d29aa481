"""Pins what an agent says to the node it runs on.

A token stolen from one node cannot write Events in the name of another node's agent, nor about
another Node: the API server itself knows the node of a pod's token
(authentication.kubernetes.io/node-name, on by default since 1.30). Whose token names no node is
refused. CEL cannot look up on which node a pod runs, so the token may still speak about any pod,
but only as its own node.

A second policy keeps our name for the agents: nobody else may write an Event as knockon.dev/agent,
so what is read back (`knockon incidents`, the cluster's replica) was said by an agent. It looks at
every Event of the cluster; should it ever fail it lets them pass, for Events matter more.
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import cluster_meta

NODE = "authentication.kubernetes.io/node-name"
CONTROLLER = "knockon.dev/agent"
LONGEST_INSTANCE = 128
_VERSION = "admissionregistration.k8s.io/v1"


def template(context: Context) -> list[object] | None:
    """Return the policy and its binding."""
    if not context["admissionPolicy"]["enabled"]:
        return None
    name = context["name"]
    return [
        *_enforced(context, name, _pinned(context)),
        *_enforced(context, f"{name}-name", _name_kept(context)),
    ]


def _enforced(
    context: Context, name: str, spec: client.V1ValidatingAdmissionPolicySpec
) -> list[object]:
    return [
        client.V1ValidatingAdmissionPolicy(
            api_version=_VERSION,
            kind="ValidatingAdmissionPolicy",
            metadata=cluster_meta(context, name=name),
            spec=spec,
        ),
        client.V1ValidatingAdmissionPolicyBinding(
            api_version=_VERSION,
            kind="ValidatingAdmissionPolicyBinding",
            metadata=cluster_meta(context, name=name),
            spec=client.V1ValidatingAdmissionPolicyBindingSpec(
                policy_name=name, validation_actions=["Deny", "Audit"]
            ),
        ),
    ]


def _by_the_agent(context: Context) -> str:
    account = f"system:serviceaccount:{context['namespace']}:{context['name']}"
    return f"request.userInfo.username == '{account}'"


def _events() -> client.V1MatchResources:
    """Events of either API: core/v1 is matched as its equivalent, and converted."""
    rule = client.V1NamedRuleWithOperations(
        api_groups=["events.k8s.io"],
        api_versions=["*"],
        operations=["CREATE", "UPDATE"],
        resources=["events"],
    )
    return client.V1MatchResources(match_policy="Equivalent", resource_rules=[rule])


def _name_kept(context: Context) -> client.V1ValidatingAdmissionPolicySpec:
    ours = f"has(object.reportingController) && object.reportingController == '{CONTROLLER}'"
    return client.V1ValidatingAdmissionPolicySpec(
        failure_policy="Ignore",
        match_constraints=_events(),
        match_conditions=[client.V1MatchCondition(name="in-our-name", expression=ours)],
        validations=[
            _validation(_by_the_agent(context), f"only the agents may speak as {CONTROLLER}")
        ],
    )


def _pinned(context: Context) -> client.V1ValidatingAdmissionPolicySpec:
    return client.V1ValidatingAdmissionPolicySpec(
        failure_policy="Fail",
        match_constraints=_events(),
        match_conditions=[
            client.V1MatchCondition(name="only-the-agent", expression=_by_the_agent(context))
        ],
        variables=[
            client.V1Variable(
                name="node",
                expression="has(request.userInfo.extra)"
                f" && '{NODE}' in request.userInfo.extra"
                f" ? request.userInfo.extra['{NODE}'][0] : ''",
            )
        ],
        validations=[_validation(*one) for one in _promises()],
    )


def _promises() -> tuple[tuple[str, str], ...]:
    node = f"size(variables.node) > {LONGEST_INSTANCE}"
    short = f"({node} ? variables.node.substring(0, {LONGEST_INSTANCE}) : variables.node)"
    return (
        ("variables.node != ''", "the token names no node: only a pod's own token may write"),
        (
            f"object.reportingInstance == {short}",
            "reportingInstance must be the node of the token",
        ),
        (
            f"object.reportingController == '{CONTROLLER}'",
            f"reportingController must be {CONTROLLER}",
        ),
        (
            "object.regarding.kind != 'Node' || object.regarding.name == variables.node",
            "an agent speaks about its own Node only",
        ),
    )


def _validation(expression: str, message: str) -> client.V1Validation:
    return client.V1Validation(expression=expression, message=message, reason="Forbidden")
