"""Reading JSON of which nothing is certain: what has the wrong type is absent."""

from __future__ import annotations

from collections.abc import Mapping


def dig(value: object, *keys: str) -> object:
    """What stands under these keys; ``None`` as soon as one is missing or nothing has keys."""
    for key in keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def text(value: object, *keys: str) -> str:
    """The string under these keys, else an empty one."""
    found = dig(value, *keys)
    return found if isinstance(found, str) else ""


def mapping(value: object, *keys: str) -> Mapping[str, object]:
    """The object under these keys, else an empty one."""
    found = dig(value, *keys)
    return found if isinstance(found, Mapping) else {}


def objects(value: object, *keys: str) -> list[Mapping[str, object]]:
    """The objects in the list under these keys; other things in it are left out."""
    found = dig(value, *keys)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def whole(value: object, *keys: str) -> int | None:
    """The whole number under these keys."""
    found = dig(value, *keys)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
