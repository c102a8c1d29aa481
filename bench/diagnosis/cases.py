"""Load cases: what was seen, and what really happened. Knows nothing of rules or of the engine.

Two forms are read, from directories never seen before: corpus files (``*.yaml``, ``*.yml``; one
case or a list of cases a file) and bundles (a folder, or ``x.tar.zst`` beside ``x.truth.json``).
What cannot be used is said, never raised.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.errors import UserError
from agent.model import Cause, KillerKind
from bench.diagnosis import recordings
from bench.diagnosis.truth import Truth

_SUFFICIENT_IN_NOTES = re.compile(r"\(sufficient:\s*(yes|partly|no)\b", re.IGNORECASE)
# The words of published corpora for "who pulled the trigger", where they differ from KillerKind.
_MECHANISMS = {
    "health_monitor_kill": KillerKind.HEALTH_MONITOR,
    "monitor_kill": KillerKind.HEALTH_MONITOR,
    "supervisor_kill": KillerKind.HEALTH_MONITOR,
    "oom": KillerKind.OOM_KILLER,
    "oom_kill": KillerKind.OOM_KILLER,
    "kernel_oom": KillerKind.OOM_KILLER,
    "kernel_oom_kill": KillerKind.OOM_KILLER,
    "watchdog_kill": KillerKind.WATCHDOG,
    "systemd_watchdog": KillerKind.WATCHDOG,
    "kubelet_eviction": KillerKind.EVICTION,
    "eviction_manager": KillerKind.EVICTION,
    "probe_kill": KillerKind.LIVENESS_PROBE,
    "liveness_probe_kill": KillerKind.LIVENESS_PROBE,
    "power_loss": KillerKind.POWER,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line or one Kubernetes event of a case, as text; missing values are empty."""

    at: str
    source: str
    unit: str
    identifier: str
    text: str
    raw: str


@dataclass(frozen=True, slots=True)
class Case:
    """One incident with a known truth: quoted entries and events, or a bundle at ``path``."""

    id: str
    path: Path
    truth: Truth
    bundle: bool = False
    entries: tuple[Entry, ...] = ()
    events: tuple[Mapping[str, object], ...] = ()
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file or folder that looked like a case and could not be scored, and why."""

    path: Path
    why: str


def discover(directories: Sequence[Path]) -> tuple[list[Case], list[Unusable]]:
    """Return every case below ``directories``, sorted by path, and what could not be used."""
    found: list[Case | Unusable] = []
    for directory in directories:
        if not directory.exists():
            raise UserError(f"{directory}: no such file or directory", "name a folder of cases")
        found += _below(directory)
    cases = [item for item in found if isinstance(item, Case)]
    return cases, [item for item in found if isinstance(item, Unusable)]


def _below(path: Path) -> Iterator[Case | Unusable]:
    if path.is_file():
        if path.suffix in (".yaml", ".yml"):
            yield from corpus_file(path)
        elif recordings.is_archive(path) and recordings.archive_truth(path).exists():
            yield _bundle(path)
    elif recordings.is_recording(path):
        yield _bundle(path)
    else:
        for child in sorted(path.iterdir()):
            yield from _below(child)


def _bundle(path: Path) -> Case | Unusable:
    truth = recordings.truth_of(path)
    if isinstance(truth, str):
        return Unusable(path, truth)
    name = path.name.partition(".tar")[0]
    return Case(id=name, path=path, truth=truth, bundle=True)


def corpus_file(path: Path) -> Iterator[Case | Unusable]:
    """Read one corpus file: a mapping, or a list of mappings."""
    try:
        data = yaml.load(path.read_bytes(), Loader=_TextLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        yield Unusable(path, f"cannot be read: {str(error).splitlines()[0]}")
        return
    for number, item in enumerate(data if isinstance(data, list) else [data]):
        if not isinstance(item, Mapping):
            yield Unusable(path, "is not a mapping")
        else:
            yield corpus_case(item, path, number)


def corpus_case(data: Mapping[Any, Any], path: Path, number: int = 0) -> Case | Unusable:
    """Turn one mapping of the corpus schema into a Case; keys it does not know are ignored."""
    truth_data = data.get("truth")
    truth = truth_data if isinstance(truth_data, Mapping) else {}
    cause = text_of(truth.get("cause"))
    entries = tuple(_entry(item) for item in _list(data.get("entries")))
    events = tuple(_event(item) for item in _list(data.get("events")))
    if cause not in set(Cause):
        return Unusable(path, f"truth.cause is {cause!r}: not a cause of agent/model.py")
    if not entries and not events:
        return Unusable(path, "has neither entries nor events")
    notes = text_of(data.get("notes"))
    default_id = path.stem if number == 0 else f"{path.stem}#{number}"
    return Case(
        id=text_of(data.get("id")) or default_id,
        path=path,
        truth=Truth(
            cause=cause,
            sufficient=_sufficient(data.get("sufficient", truth.get("sufficient")), notes),
            killer=killer_word(text_of(truth.get("mechanism", truth.get("killer")))),
        ),
        entries=entries,
        events=events,
        notes=notes,
    )


def killer_word(mechanism: str) -> str | None:
    """Translate a corpus's ``mechanism`` to a killer's kind; ``None`` means it is not scored."""
    if mechanism in set(KillerKind):
        return mechanism
    return _MECHANISMS.get(mechanism)


def text_of(value: object) -> str:
    """Return what a person wrote, whatever YAML made of it (a date, a number, a yes)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _sufficient(value: object, notes: str) -> str:
    word = text_of(value).strip().lower()
    if word in ("yes", "partly", "no"):
        return word
    quoted = _SUFFICIENT_IN_NOTES.search(notes)
    return quoted.group(1).lower() if quoted else "yes"


def _entry(item: object) -> Entry:
    if not isinstance(item, Mapping):
        return Entry("", "", "", "", text_of(item), "")
    names = ("ts", "source", "unit", "identifier", "text", "raw")
    return Entry(*(text_of(item.get(name)) for name in names))


def _event(item: object) -> Mapping[str, object]:
    if not isinstance(item, Mapping):
        return {"message": text_of(item)}
    return {str(key): value for key, value in item.items() if value is not None}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


class _TextLoader(yaml.SafeLoader):
    """SafeLoader that leaves times as they are written: a zone must not be lost or invented."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
