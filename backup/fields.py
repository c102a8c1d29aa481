"""Reads a JSON object that anybody may have written: every value is of the type asked for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import ItemsView
from enum import StrEnum
from typing import TypeVar

from backup.exits import Exit, Failure

Word = TypeVar("Word", bound=StrEnum)


class Malformed(Failure):
    """This is not what it should be; the text says in which field and why (exit status 3)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, Exit.NOT_VERIFIED)


class Fields:
    """One JSON object, asked field by field."""

    __slots__ = ("_values", "_where")

    def __init__(self, values: dict[str, object], where: str = "") -> None:
        self._values = values
        self._where = where

    @classmethod
    def parse(cls, data: bytes) -> Fields:
        """Read the text of one object."""
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is not JSON: {error}") from None
        if not isinstance(value, dict):
            raise Malformed("it is JSON, but not an object")
        return cls(value)

    def items(self) -> ItemsView[str, object]:
        """Everything, as it was written."""
        return self._values.items()

    def text(self, key: str, default: str | None = None) -> str:
        """A string; the default where the field is missing and there is one."""
        value = self._values.get(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, "text")
        return value

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        """A string of which the whole matches the pattern."""
        value = self.text(key)
        if pattern.fullmatch(value) is None:
            raise self._wrong(key, f"like {pattern.pattern}")
        return value

    def whole(self, key: str) -> int:
        """A whole number that is not negative."""
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key, "a whole number")
        return value

    def number(self, key: str) -> float:
        """A finite number."""
        return self._finite(key, self._values.get(key))

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._values.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def one_of(self, key: str, words: type[Word]) -> Word:
        """A word of a closed vocabulary."""
        try:
            return words(self.text(key))
        except ValueError:
            raise self._wrong(key, f"one of {', '.join(words)}") from None

    def objects(self, key: str) -> tuple[Fields, ...]:
        """A list of objects."""
        values = self._values.get(key)
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise self._wrong(key, "a list of objects")
        return tuple(
            Fields(one, f"{self._where}{key}[{number}].") for number, one in enumerate(values)
        )

    def inner(self, key: str) -> Fields | None:
        """An object, or None where there is none."""
        value = self._values.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self._wrong(key, "an object")
        return Fields(value, f"{self._where}{key}.")

    def numbers(self, key: str) -> dict[str, float]:
        """An object of finite numbers."""
        found = self.inner(key)
        if found is None:
            raise self._wrong(key, "an object")
        return {name: found.number(name) for name, _ in found.items()}

    def _finite(self, key: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(key, "a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(key, "a finite number")
        return number

    def _wrong(self, key: str, wanted: str) -> Malformed:
        return Malformed(f"{self._where}{key} is not {wanted}")
