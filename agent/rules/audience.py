"""The rules that listen to one kind of speaker, found by a word of the line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.rules.literals import Needle, tellingness, text_of, whole_words, words_of
from agent.rules.rulefile import Rule


class Candidate(NamedTuple):
    """One rule, and the literal text one of its alternatives needs."""

    needle: Needle
    order: int
    rule: Rule
    by_id: bool  # MESSAGE_ID said it: the text may be in any language
    believed: bool  # else the speaker has no right to a guarded rule's words


class Entry(NamedTuple):
    """A candidate, and what is looked for in a line before its rule is asked."""

    first: str  # literal
    others: Needle
    candidate: Candidate
    word: str  # the most telling whole word of its text; empty when it holds none

    @classmethod
    def of(cls, candidate: Candidate) -> Entry:
        """Take its literal text apart."""
        words = [word for part in candidate.needle for word in whole_words(part)]
        word = max(words, key=lambda word: (tellingness(word), len(word)), default="")
        first, *others = map(text_of, candidate.needle)
        return cls(first, tuple(others), candidate, word)


@dataclass(frozen=True, slots=True)
class Audience:
    """All rules that listen to a speaker, believing or guarding."""

    heeded: bool  # its plain words count where no rule knows the line
    by_word: Mapping[str, tuple[Entry, ...]]
    loose: tuple[Entry, ...]  # their text holds no whole word
    words: frozenset[str]

    @classmethod
    def of(cls, entries: Iterable[Entry], *, heeded: bool = False) -> Audience:
        """Sort entries by their words."""
        by_word: dict[str, list[Entry]] = {}
        loose: list[Entry] = []
        for one in entries:
            (by_word.setdefault(one.word, []) if one.word else loose).append(one)
        plain = {word: tuple(entries) for word, entries in by_word.items()}
        return cls(heeded, plain, tuple(loose), frozenset(plain))

    def heard(self, lowered: str, spoken: Iterable[str] | None = None) -> list[Candidate]:
        """Give the candidates whose literal text occurs in a line (in lower case, as its words)."""
        found = [entry for entry in self.loose if entry[0] in lowered]
        for word in self.words.intersection(words_of(lowered) if spoken is None else spoken):
            found += [entry for entry in self.by_word[word] if entry[0] in lowered]
        return [one for _, rest, one, _ in found if all(part in lowered for part in rest)]
