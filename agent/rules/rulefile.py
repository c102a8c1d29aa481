"""Rules as people write them: TOML in, checked ``Rule`` objects or one clear error out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import UserError
from agent.model import NO_DETAIL, Kind
from agent.rules.late import Late
from agent.rules.literals import Needles, text_of
from agent.rules.subjects import About

W = TypeVar("W", bound=StrEnum)

SHORTEST_NEEDLE = 3  # a shorter literal would let nearly every line through to the regex


class Quoted(StrEnum):
    """Who is believed in pasted text."""

    SPEAKER = "speaker"  # somebody the line names, and who fits ``match``
    ANYONE = "anyone"  # the text is specific enough for any speaker
    ONLY = "only"  # as ``anyone``, and this is never said in a journal


@dataclass(frozen=True, slots=True)
class Values:
    """The values a field may have: exact ones and globs."""

    exact: frozenset[str]
    globs: tuple[str, ...] = ()
    glob_pattern: re.Pattern[str] | None = None

    @classmethod
    def of(cls, values: Iterable[str]) -> Values:
        """Sort plain words from globs (``*``, ``?``)."""
        plain = frozenset(value for value in values if not set(value) & set("*?"))
        globs = tuple(value for value in values if value not in plain)
        pattern = re.compile("|".join(translate(glob) for glob in globs)) if globs else None
        return cls(plain, globs, pattern)

    def fit(self, value: str) -> bool:
        """Say whether ``value`` is one of these."""
        return value in self.exact or bool(self.glob_pattern and self.glob_pattern.match(value))

    def example(self) -> str:
        """Give one value that fits, for samples."""
        return min(self.exact) if self.exact else self.globs[0].replace("*", "x").replace("?", "x")


@dataclass(frozen=True, slots=True)
class RuleSample:
    """A line a rule must match or reject; ``fields`` change the right speaker's own fields."""

    message: str
    fields: Mapping[str, str] = field(default_factory=lambda: NO_DETAIL)
    quoted: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing somebody may say, who may say it, and the Fact it makes."""

    id: str
    kind: Kind
    about: About
    match: Mapping[str, Values]
    pattern: Late
    unless: Late | None
    message_id: str
    quoted: Quoted
    detail: Mapping[str, str]
    guard: bool
    clears_after_s: float
    origin: str
    matches: tuple[RuleSample, ...]
    rejects: tuple[RuleSample, ...]
    file: str

    @property
    def needles(self) -> Needles:
        """What a message must hold for the pattern to be looked for: one of these."""
        return self.pattern.needles or _ANYTHING


@dataclass(frozen=True, slots=True)
class Names:
    """``units.toml``: named sets of units, and the unit behind an identifier of a pasted line."""

    sets: Mapping[str, tuple[str, ...]]
    identifiers: Mapping[str, str]


_KEYS = {
    "id", "fact", "about", "match", "quoted", "pattern", "unless", "message_id", "detail",
    "guard", "clears_after_s", "origin", "matches", "rejects",
}  # fmt: skip
_DEFAULT_CLEARS_AFTER_S = 600.0
_ANYTHING: Needles = frozenset({("",)})


class _Problem(Exception):
    """What is wrong with one rule; the reader adds file and id."""


def read_names(path: Path) -> Names:
    """Read ``units.toml``; sets may name other sets with ``@``."""
    data = _toml(path)
    raw = {str(name): [str(unit) for unit in units] for name, units in data["sets"].items()}
    sets = {name: tuple(dict.fromkeys(_flat(raw, name, ()))) for name in raw}
    return Names(sets, {str(k): str(v) for k, v in data.get("identifiers", {}).items()})


def _flat(raw: Mapping[str, Sequence[str]], name: str, seen: tuple[str, ...]) -> Iterable[str]:
    if name in seen or name not in raw:
        raise UserError(f"units.toml: the set @{name} is missing or holds itself")
    for unit in raw[name]:
        if unit.startswith("@"):
            yield from _flat(raw, unit[1:], (*seen, name))
        else:
            yield unit


def read_rules(path: Path, names: Names, *, late: bool = False) -> list[Rule]:
    """Read one file of rules; a UserError names the file, the rule and the key that is wrong.

    ``late`` leaves expressions uncompiled until they are needed: for files whose tests did that.
    """
    tables = _toml(path).get("rule", [])
    if not isinstance(tables, list) or not tables:
        raise UserError(f"{path.name}: holds no rule", "start each rule with [[rule]]")
    return [_read_rule(path.name, table, names, late=late) for table in tables]


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: is not TOML: {error}") from error


def _read_rule(file: str, table: object, names: Names, *, late: bool) -> Rule:
    if not isinstance(table, dict):
        raise UserError(f"{file}: a rule is a table", "start each rule with [[rule]]")
    rule_id = str(table.get("id", "(no id)"))
    try:
        rule = _rule(file, table, names)
        if not late:
            _refuse_broken(rule)
            _refuse_slow(rule)
    except _Problem as problem:
        raise UserError(f"{file}: rule {rule_id}: {problem}", "see docs/rules.md") from problem
    return rule


def _rule(file: str, table: Mapping[str, Any], names: Names) -> Rule:
    unknown = sorted(set(table) - _KEYS)
    if unknown:
        raise _Problem(f"unknown key {unknown[0]!r}")
    quoted = _word(table, "quoted", Quoted, Quoted.SPEAKER)
    match = _match(table.get("match", {}), quoted, names)
    return Rule(
        id=_text(table, "id"),
        kind=_word(table, "fact", Kind),
        about=_word(table, "about", About),
        match=match,
        pattern=_pattern(table, match),
        unless=_regex(table, "unless"),
        message_id=str(table.get("message_id", "")),
        quoted=quoted,
        detail=_strings(table.get("detail", {}), "detail"),
        guard=_flag(table, "guard"),
        clears_after_s=_seconds(table),
        origin=str(table.get("origin", "")),
        matches=_samples(table, "matches"),
        rejects=_samples(table, "rejects"),
        file=file,
    )


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise _Problem(f"the key {key!r} is missing or not a string")
    return value


def _word(table: Mapping[str, Any], key: str, words: type[W], default: W | None = None) -> W:
    if key not in table and default is not None:
        return default
    value = _text(table, key)
    try:
        return words(value)
    except ValueError as error:
        raise _Problem(f"{key}: {value!r} is none of {', '.join(words)}") from error


def _flag(table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        raise _Problem(f"{key}: must be true or false")
    return value


def _seconds(table: Mapping[str, Any]) -> float:
    value = table.get("clears_after_s", _DEFAULT_CLEARS_AFTER_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise _Problem("clears_after_s: must be a number above 0")
    return float(value)


def _pattern(table: Mapping[str, Any], match: Mapping[str, Values]) -> Late:
    pattern = _regex(table, "pattern")
    if pattern is not None:
        return pattern
    if "EVENT_REASON" in match:
        return Late("")  # the reason of an event says it all
    raise _Problem("the key 'pattern' is missing")


def _refuse_slow(rule: Rule) -> None:
    """Refuse a pattern that would have to be looked for in every line."""
    shortest = min((len(text_of(needle[0])) for needle in rule.pattern.needles), default=0)
    if shortest >= SHORTEST_NEEDLE or "EVENT_REASON" in rule.match:
        return
    if not shortest or ("_TRANSPORT" not in rule.match and rule.quoted is not Quoted.ONLY):
        raise _Problem("pattern: holds no literal text of 3 characters that every match needs")


def _regex(table: Mapping[str, Any], key: str) -> Late | None:
    return Late(_text(table, key).strip()) if key in table else None


def _refuse_broken(rule: Rule) -> None:
    for key, expression in (("pattern", rule.pattern), ("unless", rule.unless)):
        try:
            if expression:
                expression.compiled()
        except re.error as error:
            raise _Problem(f"{key}: {error}") from error


def _strings(value: object, key: str) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise _Problem(f"{key}: must be a table of strings")
    return value or NO_DETAIL


def _match(value: object, quoted: Quoted, names: Names) -> Mapping[str, Values]:
    if not isinstance(value, dict):
        raise _Problem("match: must be a table")
    match = {name: Values.of(_values(name, values, names)) for name, values in value.items()}
    if "_TRANSPORT" in match and match["_TRANSPORT"].fit("kernel"):
        match.setdefault("SYSLOG_FACILITY", Values.of(["0"]))
    vouched = any(name.startswith(("_", "EVENT_", "OBJECT_")) for name in match)
    if not vouched and quoted is not Quoted.ONLY:
        raise _Problem("match: names no field that journald or the API vouches for")
    return match


def _values(name: str, values: object, names: Names) -> list[str]:
    listed = values if isinstance(values, list) else [values]
    words = [value for value in listed if isinstance(value, str)]
    if not words or len(words) < len(listed):
        raise _Problem(f"match.{name}: must be a string or a list of strings")
    found: list[str] = []
    for value in words:
        if value.startswith("@") and value[1:] not in names.sets:
            raise _Problem(f"match.{name}: units.toml has no set {value}")
        found.extend(names.sets[value[1:]] if value.startswith("@") else [value])
    return found


def _samples(table: Mapping[str, Any], key: str) -> tuple[RuleSample, ...]:
    listed = table.get(key)
    if not isinstance(listed, list) or not listed:
        raise _Problem(f"the key {key!r} is missing or empty: a rule shows what it {key}")
    return tuple(_sample(item, key) for item in listed)


def _sample(item: object, key: str) -> RuleSample:
    if isinstance(item, str):
        return RuleSample(item)
    if not isinstance(item, dict) or set(item) - {"message", "fields", "quoted"}:
        raise _Problem(f"{key}: a sample is a string or {{ message, fields, quoted }}")
    fields = _strings(item.get("fields", {}), f"{key}.fields")
    return RuleSample(_text(item, "message"), fields, _flag(item, "quoted"))
