"""Ask an engine about every case and score what it says; the engine is an argument.

**Leave one family out.** Rules written while looking at a case flatter the score on that case. A
*family* is the set of cases whose verdict rests on the same decisive rules (the rule ids behind
the winning hypothesis's evidence). For each case, the rules that fired in that case and in no
other case of the whole set are taken away and the case is diagnosed again: what remains is only
what other cases have in common with it. A case whose rules are all shared keeps its plain verdict.
The top-1 so reached is an honest, pessimistic estimate for cases never seen: a rule that
recognises a daemon's own words is lost although it would serve the next case of its kind.

**Blinded.** Each case is also diagnosed without every rule that its answer rests on, shared or not:
what happens when all those words are reworded at once. Silence is then the right answer; what
counts is how often another cause is named with high confidence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from agent.model import Sample
from bench.diagnosis.baselines import keyword_majority, largest_writer
from bench.diagnosis.cases import Case, Unusable
from bench.diagnosis.report import Baseline, LeftOut, Report
from bench.diagnosis.score import Outcome, Scored, Share, Verdict, at_threshold, score

THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7)


class Engine(Protocol):
    """What the harness needs of an engine."""

    def verdict(self, case: Case, without: frozenset[str] = frozenset()) -> Verdict:
        """Diagnose the case, as if the rules ``without`` did not exist."""
        ...

    def messages(self, case: Case, /) -> Iterable[str]:
        """Return every line of the case, for the keyword baseline."""
        ...

    def samples(self, case: Case, /) -> Sequence[Sample]:
        """Return the recorder's samples, for the largest-writer baseline."""
        ...


def run(
    cases: Sequence[Case],
    engine: Engine,
    unusable: Sequence[Unusable] = (),
    leave_out: bool = False,
) -> Report:
    """Score every case, beside the naive baselines."""
    scored = tuple(Scored(case.id, case.truth, engine.verdict(case)) for case in cases)
    return Report(
        cases=scored,
        scores=score(scored),
        baselines=(_keywords(cases, engine), _writers(cases, engine)),
        unusable=tuple(unusable),
        left_out=leave_one_family_out(cases, scored, engine) if leave_out else None,
    )


def leave_one_family_out(
    cases: Sequence[Case], scored: Sequence[Scored], engine: Engine
) -> LeftOut:
    """Diagnose each case without the rules that fired in it alone."""
    uses = Counter(rule for one in scored for rule in one.verdict.fired)
    again: list[Scored] = []
    weakened: list[str] = []
    for case, plain in zip(cases, scored, strict=True):
        own = frozenset(rule for rule in plain.verdict.fired if uses[rule] == 1)
        if own:
            weakened.append(case.id)
        again.append(replace(plain, verdict=engine.verdict(case, own)) if own else plain)
    lost = [
        now.id
        for before, now in zip(scored, again, strict=True)
        if before.outcome is Outcome.OK and now.outcome is not Outcome.OK
    ]
    families = {one.verdict.decisive for one in scored if one.verdict.decisive}
    blind = score([_blinded(case, one, engine) for case, one in zip(cases, scored, strict=True)])
    return LeftOut(
        top1=score(again).top1,
        families=len(families),
        weakened=tuple(weakened),
        lost=tuple(lost),
        thresholds=tuple(at_threshold(again, one) for one in THRESHOLDS),
        blinded_top1=blind.top1,
        blinded_wrong=blind.wrong_confident,
    )


def _blinded(case: Case, plain: Scored, engine: Engine) -> Scored:
    decisive = plain.verdict.decisive
    return replace(plain, verdict=engine.verdict(case, decisive)) if decisive else plain


def _keywords(cases: Sequence[Case], engine: Engine) -> Baseline:
    answerable = [case for case in cases if case.truth.answerable]
    hits = sum(keyword_majority(engine.messages(one)) == one.truth.expected for one in answerable)
    return Baseline("most keywords", Share(hits, len(answerable)))


def _writers(cases: Sequence[Case], engine: Engine) -> Baseline:
    measured = [case for case in cases if case.truth.answerable and engine.samples(case)]
    hits = sum(largest_writer(engine.samples(one))[0] == one.truth.expected for one in measured)
    return Baseline(
        "largest writer of the last 60 s (cases with samples)", Share(hits, len(measured))
    )
