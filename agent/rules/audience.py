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


_Entry = tuple[str, Needle, Candidate]  # first literal, the others, whom it stands for


@dataclass(frozen=True, slots=True)
class Audience:
    """All rules that listen to a speaker, believing or guarding."""

    heeded: bool  # its plain words count where no rule knows the line
    by_word: Mapping[str, tuple[_Entry, ...]]
    loose: tuple[_Entry, ...]  # their text holds no whole word
    words: frozenset[str]

    @classmethod
    def of(cls, candidates: Iterable[Candidate], *, heeded: bool = False) -> Audience:
        """Sort candidates by the most telling whole word of their text."""
        by_word: dict[str, list[_Entry]] = {}
        loose: list[_Entry] = []
        for one in candidates:
            words = [word for part in one.needle for word in whole_words(part)]
            entry = _entry(one)
            key = max(words, key=lambda word: (tellingness(word), len(word)), default="")
            (by_word.setdefault(key, []) if key else loose).append(entry)
        plain = {word: tuple(entries) for word, entries in by_word.items()}
        return cls(heeded, plain, tuple(loose), frozenset(plain))

    def heard(self, lowered: str, spoken: Iterable[str] | None = None) -> list[Candidate]:
        """Give the candidates whose literal text occurs in a line (in lower case, as its words)."""
        found = [entry for entry in self.loose if entry[0] in lowered]
        for word in self.words.intersection(words_of(lowered) if spoken is None else spoken):
            found += [entry for entry in self.by_word[word] if entry[0] in lowered]
        return [one for _, rest, one in found if all(part in lowered for part in rest)]


def _entry(candidate: Candidate) -> _Entry:
    first, *rest = map(text_of, candidate.needle)
    return first, tuple(rest), candidate
