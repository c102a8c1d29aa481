r"""Reads `-s key=value,…` as helm reads `--set`: nested keys, list items, lists, escapes.

name=web                     name: web
image.tag=1.10               image: {tag: "1.10"}        (no floats: helm has none either)
ports[0].port=80             ports: [{port: 80}]
zones={a,b}                  zones: [a, b]
note=one\,two                note: "one,two"
nodeSelector.a\.b/c=x        nodeSelector: {"a.b/c": x}
limit=null                   removes limit
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from agent.errors import UserError
from agent.printable import safe

Key = tuple[str | int, ...]
MOST_ITEMS = 1000
_HINT = "write -s name=web,image.tag=1.2,ports[0].port=80"
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_WORDS: Mapping[str, object] = {"true": True, "false": False, "null": None}
_INDEXED = re.compile(r"(?P<name>[^\[\]]*)(?P<indexes>(?:\[\d{1,6}\])*)")


class Word(str):
    """A value as it was typed; what type it has is known only beside the default it replaces."""

    __slots__ = ()

    @property
    def guess(self) -> object:
        """What helm would make of it."""
        if self in _WORDS:
            return _WORDS[self]
        return int(self) if _INTEGER.fullmatch(self) else str(self)


def parse(text: str) -> Iterator[tuple[Key, object]]:
    """Yield each key and its value; words stay Words.

    >>> list(parse("a.b=1,c={x,y}"))
    [(('a', 'b'), '1'), (('c',), ['x', 'y'])]
    """
    for part in _split(text, ","):
        if not part:
            continue
        key, *value = _split(part, "=", most=1)
        if not value:
            raise UserError(f"-s {safe(part, 80)} has no value", _HINT)
        yield _key(key), _value(value[0])


def assigned(tree: object, key: Key, value: object) -> object:
    """Return the tree with one value put in its place; None removes."""
    if not key:
        return value
    head, rest = key[0], key[1:]
    if isinstance(head, int):
        items = list(tree) if isinstance(tree, list) else []
        items += [None] * (head + 1 - len(items))
        items[head] = assigned(items[head], rest, value)
        return items
    table = dict(tree) if isinstance(tree, Mapping) else {}
    if not rest and (value is None or (isinstance(value, Word) and value.guess is None)):
        table.pop(head, None)
    else:
        table[head] = assigned(table.get(head), rest, value)
    return table


def _key(text: str) -> Key:
    key: list[str | int] = []
    for segment in _split(text, "."):
        found = _INDEXED.fullmatch(segment)
        if found is None or not (found["name"] or (key and found["indexes"])):
            raise UserError(f"-s {safe(text, 80)}: this is no key", _HINT)
        if found["name"]:
            key.append(_plain(found["name"]))
        indexes = [int(one) for one in re.findall(r"\d+", found["indexes"])]
        if any(one >= MOST_ITEMS for one in indexes):
            raise UserError(f"-s {safe(text, 80)}: a list of so many items", f"below {MOST_ITEMS}")
        key += indexes
    return tuple(key)


def _value(text: str) -> object:
    if text.startswith("{") and text.endswith("}"):
        inner = text[1:-1]
        return [Word(_plain(one.strip())) for one in _split(inner, ",")] if inner.strip() else []
    return Word(_plain(text))


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _split(text: str, at: str, most: int = -1) -> Sequence[str]:
    """Split at a character that is neither escaped nor inside braces."""
    parts: list[str] = []
    begin = depth = index = 0
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char in "{}":
            depth = max(0, depth + (1 if char == "{" else -1))
        elif char == at and not depth and len(parts) != most:
            parts.append(text[begin:index])
            begin = index + 1
        index += 1
    return [*parts, text[begin:]]
