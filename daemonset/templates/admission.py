"""Pins what an agent says to the node it runs on.

A token stolen from one node cannot write Events in the name of another node's agent, nor about
another Node: the API server itself knows the node of a pod's token
(authentication.kubernetes.io/node-name, on by default since 1.30). Whose token names no node is
refused. CEL cannot look up on which node a pod runs, so the token may still speak about any pod,
but only as its own node.
"""

from __future__ import annotations

from kubernetes import client

from daemonset.context import Context
from daemonset.parts import cluster_meta

NODE = "authentication.kubernetes.io/node-name"
CONTROLLER = "knockon.dev/agent"
LONGEST_INSTANCE = 128


def template(context: Context) -> list[object] | None:
    """Return the policy and its binding."""
    if not context["admissionPolicy"]["enabled"]:
        return None
    return [
        client.V1ValidatingAdmissionPolicy(
            api_version="admissionregistration.k8s.io/v1",
            kind="ValidatingAdmissionPolicy",
            metadata=cluster_meta(context),
            spec=_policy(context),
        ),
        client.V1ValidatingAdmissionPolicyBinding(
            api_version="admissionregistration.k8s.io/v1",
            kind="ValidatingAdmissionPolicyBinding",
            metadata=cluster_meta(context),
            spec=client.V1ValidatingAdmissionPolicyBindingSpec(
                policy_name=context["name"], validation_actions=["Deny", "Audit"]
            ),
        ),
    ]


def _policy(context: Context) -> client.V1ValidatingAdmissionPolicySpec:
    account = f"system:serviceaccount:{context['namespace']}:{context['name']}"
    return client.V1ValidatingAdmissionPolicySpec(
        failure_policy="Fail",
        match_constraints=client.V1MatchResources(
            resource_rules=[
                client.V1NamedRuleWithOperations(
                    api_groups=["events.k8s.io"],
                    api_versions=["*"],
                    operations=["CREATE", "UPDATE"],
                    resources=["events"],
                )
            ]
        ),
        match_conditions=[
            client.V1MatchCondition(
                name="only-the-agent", expression=f"request.userInfo.username == '{account}'"
            )
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
