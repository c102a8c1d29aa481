"""Values of a rendering: defaults, then files, then `-s`, merged as helm merges them, but strict.

Tables merge key by key, anything else replaces what was there, null removes. Where there are
defaults, an unknown key or another type is a mistake that is said, with the nearest name; an empty
table or a null among the defaults takes anything.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from agent.errors import UserError
from agent.printable import safe
from daemonset.assignments import Word, assigned, parse

Values = Mapping[str, object]
_NAMES = {
    bool: "true or false",
    int: "a whole number",
    str: "a text",
    dict: "a table",
    list: "a list",
}
_LARGEST_BYTES = 1 << 20
_DEEPEST = 50


def resolve(
    defaults: Values | None, files: Sequence[Path], settings: Iterable[str]
) -> dict[str, object]:
    """Return the values of one rendering."""
    merged: object = dict(defaults or {})
    for path in files:
        merged = merge(merged, read(path))
    for text in settings:
        for key, value in parse(text):
            merged = assigned(merged, key, value)
    found = conform(merged, None if defaults is None else dict(defaults))
    assert isinstance(found, dict)
    return found


def read(path: Path) -> dict[str, object]:
    """Read a values file: YAML without tags, one table."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST_BYTES + 1)
        if len(raw) > _LARGEST_BYTES:
            raise UserError(f"{path} is larger than a mebibyte", "a values file is small")
        found = yaml.load(raw, _Plain)  # noqa: S506 - a SafeLoader without aliases
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", "-f names a YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise UserError(f"{path}: {safe(where, 300)}", "a values file is plain YAML") from None
    if found is None:
        return {}
    if not isinstance(found, dict) or _depth(found) > _DEEPEST:
        raise UserError(f"{path} holds no table of values", "key: value, one a line")
    return found


def merge(base: object, over: object) -> object:
    """Put one tree over another; neither is changed.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": [3]}})
    {'a': {'c': 2, 'd': [3]}}
    """
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)):
        return over
    merged = dict(base)
    for key, value in over.items():
        if value is None and base.get(key) is not None:
            merged.pop(key, None)
        else:
            merged[key] = merge(base.get(key), value)
    return merged


def conform(value: object, default: object, where: str = "") -> object:
    """Return the value with its words typed; raises UserError where it cannot stand here."""
    if isinstance(value, Word):
        value = str(value) if isinstance(default, str) else value.guess
    if default is None or value is None:
        return _typed(value)
    if type(value) is not type(default):
        hint = f'write "{value}"' if isinstance(default, str) and type(value) is int else ""
        raise UserError(
            f"{where} must be {_NAMES.get(type(default), 'another type')}, not {_shown(value)}",
            hint,
        )
    if not isinstance(value, dict) or not isinstance(default, dict) or not default:
        return _typed(value)
    unknown = next((key for key in value if key not in default), None)
    if unknown is not None:
        raise UserError(
            f"unknown value {safe(_below(where, str(unknown)), 120)}", nearest(unknown, default)
        )
    return {key: conform(one, default[key], _below(where, key)) for key, one in value.items()}


def nearest(word: object, known: Iterable[object]) -> str:
    """Return "did you mean …?", or what there is."""
    names = sorted(str(one) for one in known)
    close = difflib.get_close_matches(str(word), names, 1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(names)}"[:300]


def _typed(value: object) -> object:
    if isinstance(value, Word):
        return value.guess
    if isinstance(value, dict):
        return {str(key): _typed(one) for key, one in value.items()}
    return [_typed(one) for one in value] if isinstance(value, list) else value


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _shown(value: object) -> str:
    return _NAMES[type(value)] if isinstance(value, dict | list) else safe(repr(value), 80)


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


class _Plain(yaml.SafeLoader):
    """YAML as JSON has it: no anchors that multiply, no key twice, no dates."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not taken in values")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        found: dict[object, object] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"the key {key!r} is no text: quote it")
            if key in found:
                raise yaml.YAMLError(f"the key {key} stands here twice")
            found[key] = self.construct_object(value_node, deep=deep)
        return found


def _as_text(loader: yaml.SafeLoader, node: yaml.Node) -> str:
    del loader
    return str(node.value)


_Plain.add_constructor("tag:yaml.org,2002:timestamp", _as_text)
