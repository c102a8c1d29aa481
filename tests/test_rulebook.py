"""Every rule of the rulebook: what it matches and rejects, and what strangers may not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.model import Record, Trust
from agent.rules.audience import Audience, Candidate, Entry
from agent.rules.catalogue import Catalogue, sample_record
from agent.rules.rulefile import Quoted, Rule

CATALOGUE = Catalogue.load()
GUARDED = [rule for rule in CATALOGUE.rules if rule.guard]
WRONG_VALUES = {
    "_TRANSPORT": "syslog",
    "_SYSTEMD_UNIT": "session-7.scope",
    "_UID": "1000",
    "_PID": "4711",
    "_EXE": "/usr/bin/logger",
    "_COMM": "logger",
    "SYSLOG_FACILITY": "3",
    "EVENT_REASON": "Created",
    "EVENT_COMPONENT": "somebody-else",
}


def said(rule: Rule) -> Record:
    return sample_record(rule, next(one for one in rule.matches if not one.fields))


@pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)
def test_samples(rule: Rule) -> None:
    CATALOGUE.check(rule)


@pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)
def test_says_where_it_is_from_and_finds_its_samples_by_literals(rule: Rule) -> None:
    assert rule.origin
    audience = Audience.of(Entry.of(Candidate(one, 0, rule, False, True)) for one in rule.needles)
    for sample in rule.matches + rule.rejects:
        if rule.pattern.search(sample.message):
            assert audience.heard(sample.message.lower()), sample.message


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_every_wrong_field_of_a_guarded_rule_is_counted_as_spoofed(rule: Rule) -> None:
    record = said(rule)
    assert any(fact.rule == rule.id or fact.kind is rule.kind for fact in CATALOGUE.facts(record))
    for name in set(rule.match) & set(WRONG_VALUES):
        forged = replace(record, fields={**record.fields, name: WRONG_VALUES[name]})
        assert CATALOGUE.spoofed(forged) is not None, name
        assert all(fact.kind is not rule.kind for fact in CATALOGUE.facts(forged)), name


@pytest.mark.parametrize("rule", GUARDED, ids=lambda rule: rule.id)
def test_container_output_is_never_a_fact(rule: Rule) -> None:
    record = said(rule)
    for name in ("CONTAINER_ID", "CONTAINER_ID_FULL", "CONTAINER_NAME"):
        forged = replace(record, fields={**record.fields, name: "f3"})
        assert CATALOGUE.read(forged).facts == ()
        assert CATALOGUE.spoofed(forged) is not None


@pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)
def test_a_trusted_stranger_states_nothing(rule: Rule) -> None:
    fields = {"_TRANSPORT": "syslog", "_UID": "1000", "_PID": "4711", "_COMM": "logger"}
    for sample in rule.matches:
        record = Record(0.0, "journal", sample.message, fields, Trust.TRUSTED)
        assert CATALOGUE.facts(record) == ()


@pytest.mark.parametrize("rule", CATALOGUE.rules, ids=lambda rule: rule.id)
def test_pasted_text_is_believed_as_the_rule_says(rule: Rule) -> None:
    message = next((one for one in rule.matches if not one.fields), rule.matches[0]).message
    record = Record(None, "text", message, {}, Trust.QUOTED)
    kinds = {fact.kind for fact in CATALOGUE.facts(record)}
    if rule.quoted is not Quoted.SPEAKER:
        assert rule.kind in kinds
    assert all(fact.trust is Trust.QUOTED for fact in CATALOGUE.facts(record))
