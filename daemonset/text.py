"""Objects as YAML: always in the same order, and read alike by every YAML parser."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

Json = dict[str, object]
_FIRST = ("apiVersion", "kind", "metadata", "name", "namespace")
# YAML 1.1 and 1.2 disagree on these: 1e3, 0o17, 1_000, y, 12:30. Quoted, they are text everywhere.
_AMBIGUOUS = re.compile(
    r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?|0[xobXOB][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9]*)?"
    r"|[yYnN]|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|=|<<"
)
_BREAKS = ("\x85", "\u2028", "\u2029", "\r")  # line ends to some parsers, text to others


@dataclass(frozen=True, slots=True)
class Rendered:
    """One object and the template it came from."""

    source: Path
    why: str
    thing: Json


def as_yaml(things: Sequence[Rendered]) -> str:
    """Return all documents; the first of each template carries why it is there."""
    told: set[Path] = set()
    return "".join(f"---\n{''.join(_heading(one, told))}{dump(one.thing)}" for one in things)


def dump(thing: object) -> str:
    """Return one document."""
    return yaml.dump(
        _ordered(thing), Dumper=_Dumper, sort_keys=False, width=1 << 20, allow_unicode=True
    )


def name_of(thing: Mapping[str, object]) -> str:
    """Return ``DaemonSet knockon/knockon`` for a person."""
    meta = thing.get("metadata")
    meta = meta if isinstance(meta, Mapping) else {}
    names = [str(meta[key]) for key in ("namespace", "name") if meta.get(key)]
    return f"{thing.get('kind', '?')} {'/'.join(names) or '?'}"


def _heading(one: Rendered, told: set[Path]) -> Iterator[str]:
    yield f"# Source: {one.source.name}\n"
    if one.source not in told and one.why:
        told.add(one.source)
        yield from (f"# {line}".rstrip() + "\n" for line in one.why.splitlines())


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: (_rank(key), key))
        return {key: _ordered(value[key]) for key in keys}
    return [_ordered(one) for one in value] if isinstance(value, list | tuple) else value


def _rank(key: str) -> int:
    return _FIRST.index(key) if key in _FIRST else len(_FIRST)


class _Dumper(yaml.SafeDumper):
    """Block style, no anchors, several lines as they read."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "'" if _AMBIGUOUS.fullmatch(text) else "|" if "\n" in text else None
    if any(one in text for one in _BREAKS):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
