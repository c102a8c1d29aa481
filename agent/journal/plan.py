"""Matches as the reader child applies them: exact values, and globs by what the journal has."""

from __future__ import annotations

TYPE_CHECKING = False  # for the type checker alone: `typing` would cost the child 0.6 MiB
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MOST_EXPANDED = 256  # each costs time at every step, and a node may have seen 10,000 sessions


class Plan:
    """Matches by field: exact values, and globs, which libsystemd does not know."""

    __slots__ = ("exact", "globs")

    def __init__(
        self, exact: Mapping[str, frozenset[str]], globs: Mapping[str, tuple[str, ...]]
    ) -> None:
        self.exact = exact
        self.globs = globs

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
        fitting = [v for v in seen if any(fits(v, glob) for glob in globs)]
        # session-9.scope comes before session-10.scope, so the newest sessions are kept.
        return frozenset(sorted(fitting, key=lambda v: (len(v), v))[-MOST_EXPANDED:])


def fits(value: str, glob: str) -> bool:
    """Whether a glob of ``*`` and ``?`` stands for a value (``fnmatch`` costs a MiB of ``re``).

    ``[...]`` is taken for anything: what is read too much is dismissed by the rules afterwards.
    """
    if "[" in glob:
        glob = glob[: glob.index("[")] + "*"
    at = in_glob = taken = 0
    star = -1  # the last one passed, and where what it stands for ends
    while at < len(value):
        if in_glob < len(glob) and glob[in_glob] == "*":
            star, taken = in_glob, at
            in_glob += 1
        elif in_glob < len(glob) and glob[in_glob] in ("?", value[at]):
            at, in_glob = at + 1, in_glob + 1
        elif star >= 0:
            taken += 1
            at, in_glob = taken, star + 1
        else:
            return False
    return not glob[in_glob:].strip("*")
