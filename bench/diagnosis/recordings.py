"""The truth of a bundle: ``truth.json``, or a ``README.txt`` read through recordings_truth.toml."""

from __future__ import annotations

import gzip
import json
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from agent.model import Cause, KillerKind
from bench.diagnosis.truth import Truth

TABLE = Path(__file__).parent.parent / "recordings_truth.toml"
_ARCHIVES = (".tar", ".tar.gz", ".tar.zst")
_EVIDENCE = ("journal.export*", "journal.json*", "events.json*")
_SCENARIO = re.compile(r"^Scenario:\s*(\S+)", re.MULTILINE)
_TRUE_CAUSE = re.compile(r"^True cause:\s*(.+)", re.MULTILINE)


def is_archive(path: Path) -> bool:
    """Whether the name is that of a packed bundle."""
    return path.name.endswith(_ARCHIVES)


def archive_truth(path: Path) -> Path:
    """Where the truth of a packed bundle stands: ``x.truth.json`` beside ``x.tar.zst``."""
    return path.with_name(path.name.partition(".tar")[0] + ".truth.json")


def is_recording(path: Path) -> bool:
    """Whether a folder is a bundle: a journal or events, unpacked."""
    return path.is_dir() and any(next(path.glob(pattern), None) for pattern in _EVIDENCE)


def truth_of(path: Path, table: Path = TABLE) -> Truth | str:
    """Return the truth of the bundle at ``path``, or why there is none."""
    stated = archive_truth(path) if is_archive(path) else path / "truth.json"
    if stated.exists():
        return _stated(stated)
    readme = path / "README.txt"
    try:
        said = readme.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "has neither truth.json nor README.txt"
    return _tabled(path, said, table)


def _stated(path: Path) -> Truth | str:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read: {error}"
    if not isinstance(data, Mapping):
        return f"{path.name} is not a mapping"
    quiet = bool(data.get("quiet", False))
    cause = data.get("cause") or Cause.UNKNOWN.value
    if cause not in set(Cause):
        return f"{path.name}: cause is {cause!r}: not a cause of agent/model.py"
    killer = data.get("killer")
    kind = killer.get("kind") if isinstance(killer, Mapping) else killer
    if kind is not None and kind not in set(KillerKind):
        return f"{path.name}: killer is {kind!r}: not a killer of agent/model.py"
    sufficient = str(data.get("sufficient", "yes"))
    return Truth(cause, sufficient, kind, _named_victims(data.get("victims")), quiet)


def _named_victims(value: object) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    return frozenset(_victim_name(item) for item in value)


def _victim_name(item: object) -> str:
    if isinstance(item, Mapping):
        return f"{item.get('namespace', '')}/{item.get('pod', item.get('name', ''))}".strip("/")
    return str(item)


def _tabled(path: Path, readme: str, table: Path) -> Truth | str:
    scenario = _SCENARIO.search(readme)
    cause = _TRUE_CAUSE.search(readme)
    names = {path.resolve().name, scenario.group(1) if scenario else ""}
    said = cause.group(1) if cause else ""
    for entry in tomllib.loads(table.read_text(encoding="utf-8"))["recording"]:
        fits = any(fnmatch(name, pattern) for name in names for pattern in entry["folder"])
        if fits and re.search(entry.get("says", ""), said):
            return _from_entry(entry, path)
    return f"no entry of {table.name} fits; add one for this kind of recording"


def _from_entry(entry: Mapping[str, Any], path: Path) -> Truth:
    if entry.get("quiet"):
        return Truth(Cause.UNKNOWN.value, quiet=True, victims=frozenset())
    before_after = entry.get("victims") == "before_after"
    return Truth(
        cause=Cause(entry["cause"]).value,
        killer=KillerKind(entry["killer"]).value if "killer" in entry else None,
        victims=hurt_pods(path) if before_after else None,
    )


def hurt_pods(path: Path) -> frozenset[str] | None:
    """Name the pods that restarted or were replaced between pods-before.json and pods.json."""
    before, after = _pods(path, "pods-before.json"), _pods(path, "pods.json")
    if before is None or after is None:
        return None
    return frozenset(
        name for name, (uid, restarts) in before.items() if _hurt(uid, restarts, after.get(name))
    )


def _hurt(uid: str, restarts: int, now: tuple[str, int] | None) -> bool:
    return now is None or now[0] != uid or now[1] > restarts


def _pods(path: Path, name: str) -> dict[str, tuple[str, int]] | None:
    for candidate, opener in ((path / name, open), (path / f"{name}.gz", gzip.open)):
        try:
            with opener(candidate, "rb") as stream:
                items = json.load(stream)["items"]
            return {_pod_name(pod): _pod_life(pod) for pod in items}
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def _pod_name(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _pod_life(pod: Mapping[str, Any]) -> tuple[str, int]:
    statuses = pod["status"].get("containerStatuses") or []
    return pod["metadata"]["uid"], sum(status["restartCount"] for status in statuses)
