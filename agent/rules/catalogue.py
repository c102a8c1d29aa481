"""The rule engine: from what was said and by whom to Facts, fast enough for every journal line.

A record's speaker (the values of the few fields rules ask about) decides once which rules may
believe it; that choice is remembered. Then only rules whose literal text occurs run their regex.
Where no rule knows a line, its plain words are read (``plain_words.py``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from agent.errors import UserError
from agent.model import Fact, Kind, Record, Subject, Trust
from agent.rules.audience import Audience, Candidate, Entry
from agent.rules.details import detail_of, groups_of
from agent.rules.gate import Gate
from agent.rules.literals import Needle, plain_quotes, words_of
from agent.rules.plain_words import (
    LAST_WORDS,
    SAID_BY_THE_RULE,
    TELL_ONLY_THAT,
    Saying,
    is_heeded,
    sayings,
    weakened,
)
from agent.rules.rulefile import Names, Quoted, Rule, RuleSample, read_names, read_rules
from agent.rules.speakers import (
    CONTAINER_FIELDS,
    MEMORY_LIMIT,
    as_claimed,
    believes,
    fields_asked_about,
    said_by_id,
)
from agent.rules.subjects import About, subject
from agent.rules.vocabulary import Vocabulary

RULEBOOK = Path(__file__).parent.parent / "rulebook"
NAMES_FILE = "units.toml"
TEXT_LIMIT = 600  # characters of the message kept in a Fact
MESSAGE_LIMIT = 16_384  # characters of the message that rules look at


class Reading(NamedTuple):
    """What a record says: Facts, and the guarded rule whose words a stranger used."""

    facts: tuple[Fact, ...]
    spoofed: str | None


_SILENCE = Reading((), None)


class Catalogue:
    """All rules, ready to read records. ``read`` is pure; what it remembers only saves time."""

    def __init__(self, rules: Iterable[Rule], names: Names, words: Vocabulary) -> None:
        self.rules = tuple(rules)
        self._names = names
        self._words = words
        self._gate = Gate(words.symptoms)
        self._by_id = {rule.id: rule for rule in self.rules}
        asked = fields_asked_about(self.rules, names)
        self._asked = tuple(asked)
        self._classes = tuple(asked.values())
        self._audiences: dict[tuple[str | bool | None, ...], Audience] = {}
        self._remembered: dict[tuple[str | None, ...], Audience] = {}
        self._entries: dict[tuple[Needle, int, bool, bool], Entry] = {}  # audiences share them

    @classmethod
    def load(cls, extra: Sequence[Path] = ()) -> Catalogue:
        """Read the built-in rulebook and ``extra`` files; samples of the extra ones are checked."""
        names = read_names(RULEBOOK / NAMES_FILE)
        books = sorted(path for path in RULEBOOK.glob("*.toml") if path.name != NAMES_FILE)
        built_in = [rule for book in books for rule in read_rules(book, names, late=True)]
        added = [rule for path in extra for rule in read_rules(path, names)]
        _refuse_twins([*built_in, *added])
        catalogue = cls([*built_in, *added], names, Vocabulary.load())
        for rule in added:
            catalogue.check(rule)
        return catalogue

    def without(self, rule_ids: Container[str]) -> Catalogue:
        """Give a catalogue that lacks these rules, as if they had never been written."""
        left = (rule for rule in self.rules if rule.id not in rule_ids)
        return Catalogue(left, self._names, self._words)

    def without_samples(self) -> Catalogue:
        """Give the same rules without what shows them to be right: that is for people and tests."""
        bare = (replace(rule, origin="", matches=(), rejects=()) for rule in self.rules)
        return Catalogue(bare, self._names, self._words)

    def rule(self, rule_id: str) -> Rule:
        """Give the rule of that id."""
        return self._by_id[rule_id]

    def facts(self, record: Record) -> tuple[Fact, ...]:
        """Give the Facts a record states."""
        return self.read(record).facts

    def spoofed(self, record: Record) -> str | None:
        """Give the id of the guarded rule whose words this record has no right to, if any."""
        return self.read(record).spoofed

    def read(self, record: Record) -> Reading:
        """Give both in one pass."""
        audience = self._audience(record)
        message = plain_quotes(record.message[:MESSAGE_LIMIT])
        lowered = message.lower()
        spoken = frozenset(words_of(lowered))
        heard = audience.heard(lowered, spoken)
        if not heard and not audience.heeded:
            return _SILENCE
        believed = [one for one in heard if one.believed]
        facts = _facts(_stated(believed, message), record, self._names)
        if facts:
            reasons = self._reasons(facts, lowered, spoken, record) if audience.heeded else ()
            return Reading((*facts, *reasons), None)
        strangers = (one.rule for one in heard if not one.believed)
        spoofed = next((rule.id for rule in strangers if _search(rule, message)), None)
        if spoofed or not audience.heeded:
            return Reading((), spoofed)
        return Reading(self._plain(lowered, spoken, record), None)

    def check(self, rule: Rule) -> None:
        """Raise a UserError when a sample of ``rule`` does not do what it is listed for."""
        for key, wanted in (("matches", True), ("rejects", False)):
            for sample in getattr(rule, key):
                record = sample_record(rule, sample)
                message = plain_quotes(record.message)
                heard = self._audience(record).heard(message.lower())
                own = [one for one in heard if one.rule is rule and one.believed]
                if wanted is not any(_stated(own, message)):
                    raise UserError(
                        f"{rule.file}: rule {rule.id}: {key}: fails: {sample.message[:120]!r}",
                        "the sample is said by the right speaker unless it has its own fields",
                    )

    def _reasons(
        self, facts: Iterable[Fact], lowered: str, spoken: frozenset[str], record: Record
    ) -> Iterator[Fact]:
        """Read the reason out of a line of which the rules only know that something ended."""
        kinds = {fact.kind for fact in facts}
        if not kinds <= TELL_ONLY_THAT:
            return
        stated = "strong" if kinds & LAST_WORDS else ""
        for fact in self._plain(lowered, spoken, record):
            if fact.detail["cause"] not in SAID_BY_THE_RULE:
                detail = {**fact.detail, "strength": stated or fact.detail["strength"]}
                yield replace(fact, detail=detail)

    def _plain(self, lowered: str, spoken: frozenset[str], record: Record) -> tuple[Fact, ...]:
        """Read the plain words of a line."""
        symptoms = self._gate.passed(lowered, spoken)
        if not symptoms:
            return ()
        fields = as_claimed(record, self._names)
        found = sayings(record.message, symptoms, self._words)
        return tuple(_plain_fact(record, fields, one) for one in found)

    def _audience(self, record: Record) -> Audience:
        speaker = (record.trust, *map(record.fields.get, self._asked))
        return self._remembered.get(speaker) or self._meet(speaker, record)

    def _meet(self, speaker: tuple[str | None, ...], record: Record) -> Audience:
        """Classify a speaker not met before: most of them differ in nothing that matters."""
        values = zip(self._classes, speaker[1:], strict=True)
        heeded = is_heeded(record.trust, as_claimed(record, self._names))
        told = (one.classify(value) if value else None for one, value in values)
        key = (record.trust, heeded, *told)
        audience = self._audiences.get(key)
        if audience is None:
            audience = self._audiences[key] = self._choose(record, heeded=heeded)
        if len(self._remembered) >= MEMORY_LIMIT or len(self._audiences) >= MEMORY_LIMIT:
            self._remembered.clear()
            self._audiences.clear()
        self._remembered[speaker] = audience
        return audience

    def _choose(self, record: Record, *, heeded: bool) -> Audience:
        fields = as_claimed(record, self._names)
        contained = any(fields.get(name) for name in CONTAINER_FIELDS)
        found: list[Entry] = []
        for order, rule in enumerate(self.rules):
            by_id = said_by_id(rule, fields)
            if by_id is False:
                continue
            if not contained and believes(rule, record.trust, fields):
                wanted = [("",)] if by_id else sorted(rule.needles)
                found.extend(self._entry(one, order, bool(by_id), True) for one in wanted)
            elif rule.guard and "USER_UNIT" not in fields:
                found.extend(self._entry(one, order, False, False) for one in rule.needles)
        return Audience.of(found, heeded=heeded and not contained)

    def _entry(self, needle: Needle, order: int, by_id: bool, believed: bool) -> Entry:
        key = (needle, order, by_id, believed)
        entry = self._entries.get(key)
        if entry is None:
            made = Candidate(needle, order, self.rules[order], by_id, believed)
            entry = self._entries[key] = Entry.of(made)
        return entry


def _stated(
    heard: Iterable[Candidate], message: str
) -> Iterator[tuple[Rule, re.Match[str] | None]]:
    for one in sorted(heard, key=_order):
        matched = _search(one.rule, message)
        if matched or one.by_id:
            yield one.rule, matched


def _facts(
    stated: Iterable[tuple[Rule, re.Match[str] | None]], record: Record, names: Names
) -> tuple[Fact, ...]:
    """Make one Fact per kind: the first rule of the catalogue that says it."""
    found: dict[object, Fact] = {}
    for rule, matched in stated:
        if rule.kind not in found:
            fields = as_claimed(record, names)
            found[rule.kind] = _fact(rule, matched, record, fields)
    return tuple(found.values())


def _order(candidate: Candidate) -> int:
    return candidate.order


def _search(rule: Rule, message: str) -> re.Match[str] | None:
    matched = rule.pattern.search(message)
    if matched and rule.unless and rule.unless.search(message):
        return None
    return matched


def _fact(
    rule: Rule, matched: re.Match[str] | None, record: Record, fields: Mapping[str, str]
) -> Fact:
    groups = groups_of(matched) if matched else {}
    known = {**rule.detail, **groups}
    detail = detail_of(known, fields, record.since_s)
    return _made(record, rule.kind, subject(rule.about, known, fields), detail, rule.id)


def _plain_fact(record: Record, fields: Mapping[str, str], said: Saying) -> Fact:
    weight = weakened(said.weight) if fields.get("LEVEL") == "warning" else said.weight
    told = {
        "about": said.subject,
        "symptom": said.symptom,
        "cause": said.cause,
        "strength": weight,
    }
    detail = detail_of(told, fields, record.since_s)
    about = subject(About.NODE, {}, fields)
    return _made(record, Kind.SYMPTOM, about, detail, f"words:{said.subject}/{said.symptom}")


def _made(record: Record, kind: Kind, about: Subject, detail: Mapping[str, str], rule: str) -> Fact:
    return Fact(
        kind=kind,
        at_s=record.at_s,
        subject=about,
        source=record.source,
        trust=record.trust,
        text=record.message[:TEXT_LIMIT],
        detail=detail,
        rule=rule,
        where=record.where,
        boot=record.boot,
        count=record.count,
    )


def _refuse_twins(rules: Sequence[Rule]) -> None:
    for rule_id, times in Counter(rule.id for rule in rules).items():
        if times > 1:
            files = ", ".join(rule.file for rule in rules if rule.id == rule_id)
            raise UserError(f"{files}: two rules are called {rule_id}", "give one another id")


def sample_record(rule: Rule, sample: RuleSample) -> Record:
    """Say a sample the way the right speaker would; ``fields`` replace, an empty one removes."""
    fields = {name: values.example() for name, values in rule.match.items()}
    quoted = sample.quoted or rule.quoted is Quoted.ONLY
    fields = {} if quoted else fields
    fields.update(sample.fields)
    spoken = {name: value for name, value in fields.items() if value}
    trust = Trust.QUOTED if quoted else Trust.TRUSTED
    return Record(None, "text" if quoted else "journal", sample.message, spoken, trust)
