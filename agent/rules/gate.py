"""Which symptoms a line may tell of, found by its words; nearly every line of a node tells of none.

A word met for the first time is compared with every literal fragment of the vocabulary, and
remembered: a journal says few different words, apart from names and numbers, which hold no symptom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from agent.rules.literals import Needle, tellingness, text_of, words_of
from agent.rules.vocabulary import Symptom

MOST_WORDS = 8192  # remembered, about 1 MB; then start over


class _Key(NamedTuple):
    """One fragment of a needle: a word of the line holds it, and the line holds the rest."""

    fragment: str
    begins: bool  # the word begins with it
    ends: bool  # the word ends with it
    rest: tuple[str, ...]
    symptom: Symptom


class Gate:
    """Finds symptoms by words. What it remembers only saves time."""

    def __init__(self, symptoms: Iterable[Symptom]) -> None:
        self._keys = [_key(needle, one) for one in symptoms for needle in one.needles]
        self._met: set[str] = set()
        self._telling: dict[str, tuple[_Key, ...]] = {}

    def passed(self, lowered: str, spoken: frozenset[str]) -> list[Symptom]:
        """Give the symptoms whose literal text occurs in a line (in lower case, and its words)."""
        fresh = spoken - self._met
        if fresh:
            self._meet(fresh)
        found: dict[str, Symptom] = {}
        for word in self._telling.keys() & spoken:
            for key in self._telling[word]:
                if key.symptom.name not in found and all(part in lowered for part in key.rest):
                    found[key.symptom.name] = key.symptom
        return list(found.values())

    def _meet(self, fresh: Iterable[str]) -> None:
        if len(self._met) > MOST_WORDS:
            self._met.clear()
            self._telling.clear()
        for word in fresh:
            if word.isalpha() and (keys := tuple(k for k in self._keys if _holds(word, k))):
                self._telling[word] = keys
            if word.isalpha():
                self._met.add(word)


def _holds(word: str, key: _Key) -> bool:
    if key.begins and key.ends:
        return word == key.fragment
    if key.begins:
        return word.startswith(key.fragment)
    return word.endswith(key.fragment) if key.ends else key.fragment in word


def _key(needle: Needle, symptom: Symptom) -> _Key:
    """Take the needle's most telling fragment that lies within one word."""
    fragments = [one for part in needle for one in _fragments(part, symptom)]
    best = max(fragments, key=_worth)
    return best._replace(rest=tuple(map(text_of, needle)))


def _fragments(part: str, symptom: Symptom) -> Sequence[_Key]:
    found = []
    at = 0
    for word in words_of(text_of(part)):
        at = part.index(word, at)
        end = at + len(word)
        found.append(_Key(word, at > 0, end < len(part), (), symptom))
        at = end
    return [one for one in found if one.fragment.isalpha()]


def _worth(key: _Key) -> tuple[int, int]:
    return tellingness(key.fragment) + key.begins + key.ends, len(key.fragment)
