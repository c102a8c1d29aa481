"""Renders a folder of templates: values in, objects out, in the order a cluster takes them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from daemonset import folder as folders
from daemonset.context import Context
from daemonset.folder import OURS, Template
from daemonset.text import Json, Rendered
from daemonset.values import nearest, read, resolve

# What others refer to comes first, what runs comes last; the rest stands between.
_FIRST = (
    "Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "NetworkPolicy",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ServiceAccount", "Secret",
    "ConfigMap", "PersistentVolumeClaim", "ClusterRole", "ClusterRoleBinding", "Role",
    "RoleBinding", "Service",
)  # fmt: skip
_LAST = ("DaemonSet", "Deployment", "StatefulSet", "Job", "CronJob", "Ingress")
_RANK = {kind: index - len(_FIRST) for index, kind in enumerate(_FIRST)} | {
    kind: index + 1 for index, kind in enumerate(_LAST)
}


@dataclass(frozen=True, slots=True)
class Order:
    """What to render, and with which values."""

    paths: tuple[Path, ...] = (OURS,)
    files: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()


def render(order: Order) -> list[Rendered]:
    """Return every object of every template; raises UserError for whatever is wrong."""
    things: list[Rendered] = []
    for path in order.paths:
        found = folders.find(path)
        defaults = read(found.defaults) if found.defaults else None
        context = Context(resolve(defaults, order.files, order.settings))
        for template in found.templates:
            things += _of(template, context)
        _refuse_unread(context, known=bool(defaults))
    return sorted(things, key=lambda one: _RANK.get(str(one.thing.get("kind")), 0))


def _refuse_unread(context: Context, *, known: bool) -> None:
    """Without defaults, a value that no template has asked for is most likely misspelt."""
    unread = [] if known else context.unread()
    if unread:
        others = [name for name in context.asked() if name != unread[0]]
        raise UserError(f"no template asks for the value {unread[0]}", nearest(unread[0], others))


def _of(template: Template, context: Context) -> Iterator[Rendered]:
    try:
        made = template.make(context)
        things = [_plain(one) for one in (made if isinstance(made, list | tuple) else [made])]
    except UserError as error:
        raise UserError(f"{template.path.name}: {error.message}", error.hint) from error
    except folders.MAY_FAIL as error:
        raise folders.complaint(template.path, error) from error
    for thing in things:
        if thing is not None:
            yield Rendered(template.path, template.why, _object(thing, template.path))


def _plain(made: object) -> object:
    """Turn models, also those inside dicts, into what JSON has; None stands for nothing."""
    from kubernetes.client import ApiClient  # noqa: TID251 - on a laptop, where weight is no matter

    plain: object = ApiClient().sanitize_for_serialization(made)  # type: ignore[no-untyped-call, unused-ignore]
    return plain


def _object(thing: object, path: Path) -> Json:
    if not isinstance(thing, Mapping):
        raise UserError(
            f"{path.name} returned {type(thing).__name__}",
            "return a model of kubernetes.client, a dict, or a list of them",
        )
    try:
        found = json.loads(json.dumps(thing, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"{path.name} returned what no API takes: {error}") from None
    assert isinstance(found, dict)
    return found


def things_of(rendered: Sequence[Rendered]) -> list[Json]:
    """Return the objects alone."""
    return [one.thing for one in rendered]
