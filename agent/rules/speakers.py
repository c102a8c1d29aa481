"""Who spoke, and which rules may believe it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from agent.model import Record, Trust
from agent.rules.rulefile import Names, Quoted, Rule, Values

CONTAINER_FIELDS = ("CONTAINER_ID", "CONTAINER_ID_FULL", "CONTAINER_NAME")
MEMORY_LIMIT = 4096  # values or speakers remembered; then start over

_NAMED_BY = ("SYSLOG_IDENTIFIER", "_PID", "EVENT_REASON")  # a pasted line says who speaks
_SPEAKER_FIELDS = ("_SYSTEMD_UNIT", "SYSLOG_IDENTIFIER", "_TRANSPORT", "_PID", "EVENT_REASON")


class Classes:
    """Folds the many values of a field into the few that make a difference to rules."""

    def __init__(self, values: Iterable[Values]) -> None:
        listed = list(values)
        self._exact: frozenset[str] = frozenset().union(*(one.exact for one in listed))
        self._globbed = [one for one in listed if one.globs]
        self._seen: dict[str, str] = {value: value for value in self._exact}

    def classify(self, value: str) -> str:
        """Give the class of a value: itself when a rule names it, else the globs it fits."""
        known = self._seen.get(value)
        if known is None:
            if not self._globbed:
                return ""
            if len(self._seen) >= MEMORY_LIMIT:
                self._seen = {exact: exact for exact in self._exact}
            fitting = ("|".join(one.globs) for one in self._globbed if one.fit(value))
            known = self._seen[value] = "\0".join(fitting)
        return known


def fields_asked_about(rules: Sequence[Rule], names: Names) -> dict[str, Classes]:
    """Give the fields that decide who is believed, with the values that make a difference."""
    asked: dict[str, list[Values]] = {name: [] for name in (*_SPEAKER_FIELDS, "USER_UNIT", "_COMM")}
    for rule in rules:
        for name, values in rule.match.items():
            asked.setdefault(name, []).append(values)
    asked["MESSAGE_ID"] = [Values.of([rule.message_id for rule in rules if rule.message_id])]
    spoken = Values.of([*names.identifiers, *_stems(asked["_SYSTEMD_UNIT"])])
    for name in ("SYSLOG_IDENTIFIER", "_COMM"):
        asked[name].append(spoken)
    for name in (*CONTAINER_FIELDS, "LEVEL", "EVENT_TYPE"):
        asked.setdefault(name, [])
    return {name: Classes(values) for name, values in asked.items()}


def _stems(units: Iterable[Values]) -> set[str]:
    return {unit.removesuffix(".service") for values in units for unit in values.exact}


def as_claimed(record: Record, names: Names) -> Mapping[str, str]:
    """Add the unit a pasted line's identifier stands for (``dockerd[7]`` is docker.service)."""
    fields = record.fields
    if record.trust is Trust.TRUSTED:
        return fields
    claimed = {name: value for name, value in fields.items() if value}
    spoken = claimed.get("SYSLOG_IDENTIFIER") or claimed.get("_COMM", "")
    unit = names.identifiers.get(spoken, f"{spoken}.service")
    if not unit:  # a log collector passes on what others said
        for name in ("SYSLOG_IDENTIFIER", "_COMM", "_PID"):
            claimed.pop(name, None)
    elif spoken:
        claimed.setdefault("_SYSTEMD_UNIT", unit)
    return claimed


def believes(rule: Rule, trust: Trust, fields: Mapping[str, str]) -> bool:
    """Say whether whoever spoke with these fields may state this rule."""
    match = rule.match
    if "LEVEL" in match and not match["LEVEL"].fit(fields.get("LEVEL", "")):
        return False  # no claim of identity, but part of what was said
    if trust is Trust.TRUSTED:
        if rule.quoted is Quoted.ONLY:
            return False
        return all(name in fields and values.fit(fields[name]) for name, values in match.items())
    verdicts = [values.fit(fields[name]) for name, values in match.items() if name in fields]
    if verdicts and all(verdicts):
        return True
    if rule.quoted is Quoted.SPEAKER:
        return False
    if not rule.guard:
        return True
    return not verdicts and not any(name in fields for name in _NAMED_BY)


def said_by_id(rule: Rule, fields: Mapping[str, str]) -> bool | None:
    """Say whether MESSAGE_ID makes the rule's text needless, forbids it, or says nothing."""
    spoken = fields.get("MESSAGE_ID")
    if not rule.message_id or not spoken:
        return None
    return spoken == rule.message_id
