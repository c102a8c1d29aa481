"""What was told of incidents as plain JSON values, and back; it is known by marks of its Facts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.diagnosis.openers import POD_OPENERS, opens_for_node
from agent.diagnosis.unfolding import FactKey, Remembered, key_of
from agent.model import Fact, Subject
from agent.sources.fact_rows import Row

MOST_MARKS = 64


def told_row(one: Remembered, facts: Mapping[FactKey, Fact]) -> Row:
    """Give what was told of one incident; a few marks of its weightiest facts tell it again."""
    known = [facts[key] for key in one.keys if key in facts]
    telling = sorted(known, key=_weight)
    return [one.id, one.settled, [mark(key_of(fact)) for fact in telling[:MOST_MARKS]]]


def told_of(rows: Iterable[Any], facts: Sequence[Fact]) -> tuple[Remembered, ...]:
    """Read what was told; an incident whose facts are all gone is remembered by its id alone."""
    by_mark = {mark(key): key for key in map(key_of, facts)}
    told = []
    for row in rows:
        try:
            name, settled, marks = row
            keys = frozenset(by_mark[one] for one in marks if one in by_mark)
            told.append(Remembered(str(name), keys, bool(settled)))
        except (ValueError, TypeError):
            continue
    return tuple(told)


def identity(fact: Fact) -> tuple[FactKey, Subject]:
    """Give what tells one Fact, as it was heard, from every other."""
    return key_of(fact), fact.subject


def mark(key: FactKey) -> str:
    """Give a short name that a fact's key has in every process."""
    return hashlib.blake2b(repr((str(key[0]), *key[1:])).encode(), digest_size=8).hexdigest()


def _weight(fact: Fact) -> tuple[bool, float]:
    opens = opens_for_node(fact) or fact.kind in POD_OPENERS
    return not opens, fact.at_s or 0.0
