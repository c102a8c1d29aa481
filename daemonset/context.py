"""What a template is given: values as a dict that says what is missing and knows what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.errors import UserError
from daemonset.values import nearest


class MissingValue(UserError, KeyError):
    """A template asked for a value that nobody gave."""


class Context(dict[str, Any]):
    """Values for templates; tables inside are Contexts too."""

    def __init__(self, values: Mapping[str, object], where: str = "") -> None:
        super().__init__({key: _inner(value, _below(where, key)) for key, value in values.items()})
        self._where = where
        self._read: set[str] = set()

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401 - values are of any type
        self._read.add(key)
        if not super().__contains__(key):
            known = list(super().keys())
            hint = nearest(key, known) if known else f"give it: -s {_below(self._where, key)}=…"
            raise MissingValue(f"the value {_below(self._where, key)} is needed", hint)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._read.add(str(key))
        return super().__contains__(key)

    def __iter__(self) -> Iterator[str]:
        self._read.update(super().keys())
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict.get
        """Return a value, or the default where there is none."""
        self._read.add(key)
        return super().get(key, default)

    def keys(self) -> Any:  # noqa: ANN401 - a view, whose type has no public name
        """Return all names, which counts as reading them."""
        self._read.update(super().keys())
        return super().keys()

    def items(self) -> Any:  # noqa: ANN401 - as keys
        """Return all pairs, which counts as reading them."""
        self._read.update(super().keys())
        return super().items()

    def values(self) -> Any:  # noqa: ANN401 - as keys
        """Return all values, which counts as reading them."""
        self._read.update(super().keys())
        return super().values()

    def unread(self) -> list[str]:
        """Return the names that no template has asked for."""
        return [key for key in super().__iter__() if key not in self._read]

    def asked(self) -> list[str]:
        """Return the names that templates have asked for."""
        return sorted(self._read)


def _inner(value: object, where: str) -> object:
    if isinstance(value, Mapping):
        return Context(value, where)
    if isinstance(value, list):
        return [_inner(one, f"{where}[{index}]") for index, one in enumerate(value)]
    return value


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
