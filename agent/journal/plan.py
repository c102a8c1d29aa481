"""Matches as the reader child applies them: exact values, and globs by what the journal has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

MOST_EXPANDED = 256  # each costs time at every step, and a node may have seen 10,000 sessions


class Plan(NamedTuple):
    """Matches by field: exact values, and globs, which libsystemd does not know."""

    exact: Mapping[str, frozenset[str]]
    globs: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, matches: Iterable[str]) -> Plan:
        """Sort ``FIELD=value`` by field and kind."""
        exact: dict[str, set[str]] = {}
        globs: dict[str, list[str]] = {}
        for match in matches:
            field, _, value = match.partition("=")
            if set(value) & set("*?"):
                globs.setdefault(field, []).append(value)
            else:
                exact.setdefault(field, set()).add(value)
        return cls(
            {field: frozenset(values) for field, values in exact.items()},
            {field: tuple(values) for field, values in globs.items()},
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """Every field that is matched, in order."""
        return tuple(sorted({*self.exact, *self.globs}))

    def present(self, field: str, seen: Collection[str]) -> frozenset[str]:
        """The values that are wanted and that the journal has."""
        exact = self.exact.get(field, frozenset()).intersection(seen)
        return exact | self.expanded(field, seen)

    def expanded(self, field: str, seen: Collection[str]) -> frozenset[str]:
        """The values the journal has that a glob stands for."""
        globs = self.globs.get(field, ())
        fitting = [v for v in seen if any(fnmatchcase(v, glob) for glob in globs)]
        # session-9.scope comes before session-10.scope, so the newest sessions are kept.
        return frozenset(sorted(fitting, key=lambda v: (len(v), v))[-MOST_EXPANDED:])
