"""An API server's part in a ValidatingAdmissionPolicy, with the CEL of its makers.

What is here follows the order of the real one: match constraints, match conditions, variables as
they are needed, validations; an expression that fails counts by the failure policy.
"""

from __future__ import annotations

from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext.ext_strings import ExtStrings

from tests.daemonset.manifest import Thing
from tests.fake_events import to_new

_DYN = cel.Type.DYN
_ENVIRONMENT = cel.NewEnv(
    variables={"object": _DYN, "request": _DYN, "variables": _DYN}, extensions=[ExtStrings()]
)


class Broken(Exception):
    """An expression could not be evaluated."""


def request(user: str, node: str | None, operation: str = "CREATE") -> Thing:
    """What the API server says of who asks (AdmissionReview v1)."""
    extra = {} if node is None else {"authentication.kubernetes.io/node-name": [node]}
    info: Thing = {"username": user, "groups": ["system:authenticated"]}
    return {"operation": operation, "userInfo": info | ({"extra": extra} if extra else {})}


def denied(policy: Thing, asked: Thing, event: Thing, api: str = "events.k8s.io") -> list[str]:
    """The messages with which a policy refuses an Event; none: it may pass."""
    spec = policy["spec"]
    if not _constrained(spec["matchConstraints"], api, asked["operation"]):
        return []
    thing = event if api == "events.k8s.io" else to_new(event)
    known: dict[str, Any] = {"object": thing, "request": asked, "variables": {}}
    try:
        conditions = spec.get("matchConditions", ())
        if not all(value(one["expression"], known) for one in conditions):
            return []
        for one in spec.get("variables", ()):
            known["variables"][one["name"]] = value(one["expression"], known)
        return [
            one["message"] for one in spec["validations"] if not value(one["expression"], known)
        ]
    except Broken as error:
        return [str(error)] if spec["failurePolicy"] == "Fail" else []


def value(expression: str, known: dict[str, Any]) -> Any:
    """The value of one expression; raises Broken."""
    found = _ENVIRONMENT.compile(expression).eval(data=known)
    if found.type() == cel.Type.ERROR:
        raise Broken(str(found.value()))
    return found.value()


def _constrained(constraints: Thing, api: str, operation: str) -> bool:
    """Whether a rule names this resource; by Equivalent also where both APIs store the same."""
    groups = {group for rule in constraints["resourceRules"] for group in rule["apiGroups"]}
    equal = constraints.get("matchPolicy", "Equivalent") == "Equivalent"
    named = api in groups or (equal and bool(groups & {"", "events.k8s.io"}))
    return named and any(operation in rule["operations"] for rule in constraints["resourceRules"])
