"""Checks rendered objects before anything reaches a cluster: structure, and the API's schemas."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import UserError
from agent.printable import safe
from agent.sources.untyped import text
from daemonset.structure import faults as structural
from daemonset.text import Rendered, name_of

SUPPORTED = ("1.30", "1.33", "1.37")
"""Oldest, middle and newest: ValidatingAdmissionPolicy and recursiveReadOnly came with 1.30."""

_BUILT_IN = re.compile(r"v\d\w*|(apps|autoscaling|batch|policy|[a-z.]+\.k8s\.io)/v\d\w*")
_NEEDS = "pip install 'knockon[k8s]', or leave it out with --no-check"
Validator = Callable[[Mapping[str, object]], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Findings:
    """What is wrong, and what could not be looked at: kinds of which no schema is at hand."""

    faults: tuple[str, ...]
    unchecked: tuple[str, ...]


def check(rendered: Sequence[Rendered], versions: Sequence[str] = SUPPORTED) -> Findings:
    """Check every object against every version."""
    faults = [
        f"{rendered[index].source.name}: {name_of(rendered[index].thing)} {fault}"
        for index, fault in structural([one.thing for one in rendered])
    ]
    unchecked: list[str] = []
    for one in rendered:
        if not _BUILT_IN.fullmatch(text(one.thing, "apiVersion")):
            unchecked.append(name_of(one.thing))
            continue
        faults += [
            f"{one.source.name}: {name_of(one.thing)} {fault}"
            for version in versions
            for fault in schema_faults(one.thing, version)
        ]
    return Findings(tuple(faults), tuple(unchecked))


def schema_faults(thing: Mapping[str, object], version: str) -> Iterator[str]:
    """Yield what the API of one Kubernetes version says against an object."""
    where = f"(Kubernetes {version})"
    try:
        validate = _validator(version, text(thing, "apiVersion"), text(thing, "kind"))
    except FileNotFoundError:
        yield f"{where}: there is no {text(thing, 'kind')} in {text(thing, 'apiVersion')}"
        return
    for fault in validate(thing):
        yield f"{where}: {safe(fault, 300)}"


@functools.cache
def _validator(version: str, api_version: str, kind: str) -> Validator:
    """Make a validator of one kind; FileNotFoundError where that version has no such kind."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped, unused-ignore]
    from referencing import Registry, Resource

    validate = _library()
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    if not re.fullmatch(r"\w+", kind):
        raise FileNotFoundError(kind)
    schema = validate.schema_contents(f"{folder}/{kind.lower()}-{group}.json", version)
    registry: Any = Registry().with_resources([_definitions(folder, version, Resource)])
    registry = Resource.from_contents(schema) @ registry
    checker = Draft202012Validator(schema, registry=registry)

    def said(thing: Mapping[str, object]) -> Iterator[str]:
        for error in sorted(checker.iter_errors(thing), key=lambda one: list(map(str, one.path))):
            yield f"{'.'.join(map(str, error.path)) or 'object'}: {error.message}"

    return said


@functools.cache
def _definitions(folder: str, version: str, resource: Any) -> tuple[str, Any]:  # noqa: ANN401
    contents = _library().schema_contents(f"{folder}/_definitions.json", version)
    found = resource.from_contents(contents)
    return found.id() or "", found


def _library() -> Any:  # noqa: ANN401 - a module without types
    try:
        from kubernetes_validate import (  # type: ignore[import-untyped, unused-ignore]
            utils,
        )
    except ModuleNotFoundError as missing:
        raise UserError(f"the check needs {missing.name}", _NEEDS) from None
    return utils


def known_version(word: str) -> str:
    """Return the version as ``1.33``; raises UserError where there are no schemas of it."""
    found = re.fullmatch(r"v?(\d+\.\d+)(\.\d+.*)?", word)
    known = {".".join(one.split(".")[:2]) for one in _library().all_versions()}
    if not found or found[1] not in known:
        listed = ", ".join(sorted(known, key=lambda one: int(one.split(".")[1])))
        raise UserError(f"no schemas of Kubernetes {safe(word, 40)}", f"there are {listed}")
    return found[1]
