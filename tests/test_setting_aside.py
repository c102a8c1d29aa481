"""Correlation that our own code stumbles over: the rest goes on, and something is said of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.correlate import EVERYTHING, Correlation, Scope, correlate
from agent.diagnosis.setting_aside import (
    MOST_ASIDE,
    correlate_what_can_be,
    incident_of_fault,
)
from agent.diagnosis.unfolding import Live, Stage
from agent.model import Fact, Kind
from tests.test_live import T, fact

Bug = Callable[[Sequence[Fact]], bool]


def with_bug(bug: Bug) -> Callable[[Sequence[Fact], Scope], Correlation]:
    def correlating(facts: Sequence[Fact], scope: Scope) -> Correlation:
        if bug(facts):
            raise ZeroDivisionError("nobody thought of this")
        return correlate(facts, scope)

    return correlating


def says(words: str) -> Bug:
    return lambda facts: any(words in one.text for one in facts)


@given(st.sets(st.integers(0, 39), max_size=MOST_ASIDE))
def test_exactly_the_poisonous_facts_are_set_aside(poisonous: set[int]) -> None:
    facts = [fact(T + n, text=f"{'poison' if n in poisonous else 'sound'} {n}") for n in range(40)]
    survived = correlate_what_can_be(facts, EVERYTHING, with_bug(says("poison")))
    assert {one.at_s for one in survived.aside} == {T + n for n in poisonous}
    assert (survived.error is not None) == bool(poisonous)
    correlated = [one for incident in survived.correlation.incidents for one in incident.facts]
    assert len(correlated) == 40 - len(poisonous)


def test_two_facts_that_only_together_are_too_much_cost_one_of_them() -> None:
    def both(facts: Sequence[Fact]) -> bool:
        return {"left", "right"} <= {one.text for one in facts}

    facts = [fact(T, text="left"), fact(T + 1, text="between"), fact(T + 2, text="right")]
    survived = correlate_what_can_be(facts, EVERYTHING, with_bug(both))
    assert [one.text for one in survived.aside] == ["right"]


def test_code_that_always_fails_ends_with_everything_aside() -> None:
    facts = [fact(T + n) for n in range(100)]
    survived = correlate_what_can_be(facts, EVERYTHING, with_bug(lambda _: True))
    assert (len(survived.aside), survived.correlation.incidents) == (100, ())


def test_the_background_of_others_is_left_out_without_an_incident() -> None:
    assert incident_of_fault([fact(T, Kind.RUNTIME_SLOW)], "n", ValueError()) is None
    told = incident_of_fault([fact(T), fact(T + 9)], "n", ValueError())
    assert told is not None
    assert (told.fault, told.opened_at_s, told.closed_at_s) == ("ValueError", T, T + 9)


def test_what_was_set_aside_is_told_once_and_settles() -> None:
    failures: list[tuple[int, str]] = []
    live = Live(
        settle_s=30,
        failed=lambda facts, error: failures.append((len(facts), str(error))),
        correlating=with_bug(says("poison")),
    )
    live.add([fact(T, text="poison"), fact(T + 400, Kind.UNIT_FAILED)])
    told = live.tell(T + 401)
    assert [one.stage for one in told] == [Stage.OPENED, Stage.OPENED, Stage.SETTLED]
    faulty = {one.incident.id for one in told if one.incident.fault}
    assert len(faulty) == 1
    live.add([fact(T + 402, Kind.UNIT_EXITED)])
    assert live.tell(T + 403) == ()
    assert failures == [(1, "nobody thought of this")], "it is looked at only once"
    (settled,) = live.tell(T + 440)
    assert not settled.incident.fault
