"""Which journal entries are worth reading: matches derived from the rules, on trusted fields.

libsystemd then skips everything else without a line of Python. Claims of identity
(``logger -t kubelet``) are read too, to be counted as spoofed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.rules.catalogue import NAMES_FILE, RULEBOOK
from agent.rules.rulefile import Quoted, Rule, Values, read_names

# The most telling first. Any field of a rule is a condition, so any may serve to find its entries;
# whether the speaker is believed, the rules decide afterwards.
_TELLING = (
    "_SYSTEMD_UNIT",
    "_PID",
    "_EXE",
    "_COMM",
    "SYSLOG_IDENTIFIER",
    "_SYSTEMD_CGROUP",
    "_TRANSPORT",
)
_ALWAYS = (
    "_PID=1",
    "_TRANSPORT=kernel",
    "_TRANSPORT=driver",  # journald itself: lost lines
    "_TRANSPORT=syslog",  # where `logger` speaks
)


def matches_for(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Every ``FIELD=value`` (or glob) an entry may be read for, in order."""
    names = read_names(RULEBOOK / NAMES_FILE)
    wanted = set(_ALWAYS)
    units: set[str] = set()
    for rule in rules:
        if rule.quoted is Quoted.ONLY or "EVENT_REASON" in rule.match:
            continue
        field, values = _telling(rule.match)
        wanted.update(f"{field}={value}" for value in (*values.exact, *values.globs))
        if field == "_SYSTEMD_UNIT":
            units |= values.exact
    claims = {name for name in names.identifiers if name} | {_stem(unit) for unit in units}
    wanted.update(f"SYSLOG_IDENTIFIER={name}" for name in claims)
    return tuple(sorted(wanted))


def _telling(match: Mapping[str, Values]) -> tuple[str, Values]:
    telling = [(name, match[name]) for name in (*_TELLING, *match) if name in match]
    return next((pair for pair in telling if "*" not in pair[1].globs), telling[0])


def _stem(unit: str) -> str:
    return unit.removesuffix(".service")
