"""Score verdicts against truths. Pure: no files, no engine, no clock.

*Answerable* cases name a cause that the records show (``sufficient: yes`` or ``partly``): they
count for top-1 and top-3. The others must be answered ``unknown``; quiet ones must name nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.model import Cause, KillerKind
from bench.diagnosis.truth import Truth

HIGH_CONFIDENCE = 0.8
BINS = 5
_UNKNOWN = Cause.UNKNOWN.value
UNREADABLE = "unreadable"  # in place of a cause: the engine refused the case; always wrong


class Outcome(StrEnum):
    """How one case ended."""

    OK = "ok"
    WRONG = "wrong"
    ABSTAINED = "abstained"  # said unknown where the records show the cause


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine said of one case, reduced to what is scored."""

    cause: str
    confidence: float = 0.0
    killer: str | None = None
    ranked: tuple[tuple[str, float], ...] = ()  # hypotheses, best first
    victims: frozenset[str] = frozenset()
    named: tuple[str, ...] = ()  # causes other than unknown, over all incidents of the case
    planned: bool = False
    fired: frozenset[str] = frozenset()  # rule ids behind any Fact of the case
    decisive: frozenset[str] = frozenset()  # rule ids behind the winner's evidence for it

    @property
    def first_three(self) -> tuple[str, ...]:
        """The three best named causes, the verdict's own first."""
        order = [self.cause, *(cause for cause, _ in self.ranked)]
        return tuple(dict.fromkeys(cause for cause in order if cause != _UNKNOWN))[:3]


@dataclass(frozen=True, slots=True)
class Scored:
    """One case with its verdict."""

    id: str
    truth: Truth
    verdict: Verdict

    @property
    def outcome(self) -> Outcome:
        """Right, wrong, or silent where an answer was due."""
        if self.truth.quiet:
            return Outcome.WRONG if self.verdict.named else Outcome.OK
        if self.verdict.cause == self.truth.expected:
            return Outcome.OK
        return Outcome.ABSTAINED if self.verdict.cause == _UNKNOWN else Outcome.WRONG


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """The share, or ``None`` of nothing."""
        return self.hits / self.of if self.of else None

    def __str__(self) -> str:
        return f"{self.hits}/{self.of} = {100 * self.hits / self.of:.1f} %" if self.of else "none"


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of the reliability diagram: what was promised, and what came true."""

    low: float
    high: float
    right: Share
    mean_confidence: float | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything the harness prints."""

    top1: Share
    top3: Share
    killer: Share
    victim_precision: Share
    victim_recall: Share
    abstain_recall: Share  # of the cases that must be answered unknown, those that were
    abstain_precision: Share  # of the answers unknown, those that were due
    quiet: Share
    wrong_confident: Share
    brier: float | None
    bins: tuple[Bin, ...]
    chance_frequent: Share
    chance_uniform: float
    confusion: Counter[tuple[str, str]]


def score(cases: Sequence[Scored]) -> Scores:
    """Compute every figure over the cases given."""
    answerable = [case for case in cases if case.truth.answerable]
    insufficient = [case for case in cases if not case.truth.answerable and not case.truth.quiet]
    silent = [case for case in cases if not case.truth.quiet and case.verdict.cause == _UNKNOWN]
    killers = [case for case in cases if case.truth.killer is not None]
    return Scores(
        top1=_share(answerable, _right),
        top3=_share(answerable, lambda case: case.truth.expected in case.verdict.first_three),
        killer=_share(killers, _killer_right),
        victim_precision=_victims(cases, lambda case: case.verdict.victims),
        victim_recall=_victims(cases, lambda case: case.truth.victims or frozenset()),
        abstain_recall=_share(insufficient, _right),
        abstain_precision=_share(silent, lambda case: not case.truth.answerable),
        quiet=_share([case for case in cases if case.truth.quiet], _right),
        wrong_confident=_share(cases, _wrong_confident),
        brier=brier(cases),
        bins=reliability(cases),
        chance_frequent=_most_frequent(answerable),
        chance_uniform=1 / (len(Cause) - 1),
        confusion=Counter((expected_word(case.truth), case.verdict.cause) for case in cases),
    )


@dataclass(frozen=True, slots=True)
class Threshold:
    """What would come of naming the best hypothesis from this confidence on."""

    named_from: float
    right: Share  # of the answerable cases
    wrong: int  # of those, another cause named
    abstained: Share  # of the insufficient cases


def at_threshold(cases: Sequence[Scored], named_from: float) -> Threshold:
    """Answer every case anew with the best hypothesis if it reaches ``named_from``."""
    told = [(case, _first(case.verdict, named_from)) for case in cases if not case.truth.quiet]
    due = [(case.truth.expected, said) for case, said in told if case.truth.answerable]
    silent = [said for case, said in told if not case.truth.answerable]
    return Threshold(
        named_from,
        Share(sum(expected == said for expected, said in due), len(due)),
        sum(said not in (expected, _UNKNOWN) for expected, said in due),
        Share(silent.count(_UNKNOWN), len(silent)),
    )


def _first(verdict: Verdict, named_from: float) -> str:
    cause, confidence = verdict.ranked[0] if verdict.ranked else (_UNKNOWN, 0.0)
    return cause if confidence >= named_from else _UNKNOWN


def expected_word(truth: Truth) -> str:
    """The right answer as one word; a quiet case has a word of its own."""
    return "quiet" if truth.quiet else truth.expected


def brier(cases: Sequence[Scored]) -> float | None:
    """Mean squared distance between confidence and what came true, over the causes named."""
    named = _named(cases)
    if not named:
        return None
    return sum((case.verdict.confidence - _right(case)) ** 2 for case in named) / len(named)


def reliability(cases: Sequence[Scored]) -> tuple[Bin, ...]:
    """Group the causes named by confidence, in bins of equal width; 1.0 is in the last."""
    bins: list[list[Scored]] = [[] for _ in range(BINS)]
    for case in _named(cases):
        bins[min(BINS - 1, max(0, int(case.verdict.confidence * BINS)))].append(case)
    return tuple(_bin(number, members) for number, members in enumerate(bins))


def _bin(number: int, members: Sequence[Scored]) -> Bin:
    total = sum(case.verdict.confidence for case in members)
    mean = total / len(members) if members else None
    return Bin(number / BINS, (number + 1) / BINS, _share(members, _right), mean)


def _named(cases: Iterable[Scored]) -> list[Scored]:
    return [case for case in cases if case.verdict.cause not in (_UNKNOWN, UNREADABLE)]


def _right(case: Scored) -> bool:
    return case.outcome is Outcome.OK


def _killer_right(case: Scored) -> bool:
    # A stated "none" and no killer at all are the same answer.
    return case.truth.killer == (case.verdict.killer or KillerKind.NONE)


def _wrong_confident(case: Scored) -> bool:
    return case.outcome is Outcome.WRONG and case.verdict.confidence >= HIGH_CONFIDENCE


def _share(cases: Sequence[Scored], holds: Callable[[Scored], bool]) -> Share:
    return Share(sum(1 for case in cases if holds(case)), len(cases))


def _victims(cases: Sequence[Scored], of: Callable[[Scored], frozenset[str]]) -> Share:
    known = [case for case in cases if case.truth.victims is not None]
    both = [(case.truth.victims or frozenset()) & case.verdict.victims for case in known]
    return Share(sum(map(len, both)), sum(len(of(case)) for case in known))


def _most_frequent(answerable: Sequence[Scored]) -> Share:
    counts = Counter(case.truth.expected for case in answerable)
    return Share(max(counts.values(), default=0), len(answerable))
