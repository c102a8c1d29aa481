"""Facts as rows of plain JSON values, and back: for the agent's memory and a bundle's meta.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.model import Fact, Kind, Subject, SubjectKind, Trust

Row = list[Any]


def fact_row(fact: Fact) -> Row:
    """Give a Fact as a list of plain values."""
    about = fact.subject
    return [
        str(fact.kind),
        fact.at_s,
        [str(about.kind), about.name, about.namespace, about.uid],
        fact.source,
        str(fact.trust),
        fact.text,
        dict(fact.detail),
        fact.rule,
        fact.where,
        fact.boot,
        fact.count,
    ]


def fact_of(row: Any) -> Fact | None:  # noqa: ANN401 - comes from a file
    """Read a row; none when an older or newer agent meant something else by it."""
    try:
        kind, at_s, (about, name, namespace, uid), source, trust, text, detail, *rest = row
        rule, where, boot, count = rest
        return Fact(
            kind=Kind(kind),
            at_s=None if at_s is None else float(at_s),
            subject=Subject(SubjectKind(about), str(name), str(namespace), str(uid)),
            source=str(source),
            trust=Trust(trust),
            text=str(text),
            detail={str(key): str(value) for key, value in detail.items()},
            rule=str(rule),
            where=str(where),
            boot=str(boot),
            count=int(count),
        )
    except (ValueError, TypeError, AttributeError):
        return None


STATED = frozenset({Kind.BACKUP_RUNNING, Kind.PROCESS_LOAD})


def stated_facts(meta: Mapping[str, object]) -> Iterator[Fact]:
    """Give what a bundle's collector stated itself: backups that ran, processes that moved most."""
    rows = meta.get("facts")
    for row in rows if isinstance(rows, list) else ():
        fact = fact_of(row)
        if fact is not None and fact.kind in STATED:
            yield fact
