"""The scoring harness: its maths, its loaders and its thresholds, with an engine made by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.model import DiskCounters, Sample
from bench.diagnosis.baselines import keyword_majority, largest_writer
from bench.diagnosis.cases import Case, Unusable
from bench.diagnosis.harness import run
from bench.diagnosis.report import as_json, below_thresholds
from bench.diagnosis.score import UNREADABLE, Outcome, Scored, Share, Verdict, at_threshold, score
from bench.diagnosis.table import render
from bench.diagnosis.truth import Truth

HANG = Truth("runtime_hang", killer="health_monitor", victims=frozenset({"a/x", "a/y"}))
FULL = Truth("disk_full")
HIDDEN = Truth("runtime_hang", sufficient="no")
QUIET = Truth("unknown", quiet=True)


def said(cause: str, confidence: float = 0.9, **more: Any) -> Verdict:
    named = () if cause == "unknown" else (cause,)
    return replace(Verdict(cause, confidence, named=named), **more)


def scored(truth: Truth, verdict: Verdict) -> Scored:
    return Scored("case", truth, verdict)


class StubEngine:
    """Answers from a table, and from a second one once the rules named there are taken away."""

    def __init__(
        self, answers: Mapping[str, Verdict], weakened: Mapping[str, Verdict] | None = None
    ) -> None:
        self.answers = answers
        self.weakened = weakened or {}

    def verdict(self, case: Case, without: frozenset[str] = frozenset()) -> Verdict:
        return self.weakened[case.id] if without else self.answers[case.id]

    def messages(self, case: Case) -> Iterable[str]:
        return [entry.text for entry in case.entries]

    def samples(self, _case: Case, /) -> Sequence[Sample]:
        return ()


def case(name: str, truth: Truth) -> Case:
    return Case(name, Path(name), truth)


class TestOutcome:
    def test_right_wrong_and_silent(self) -> None:
        assert scored(HANG, said("runtime_hang")).outcome is Outcome.OK
        assert scored(HANG, said("disk_full")).outcome is Outcome.WRONG
        assert scored(HANG, said("unknown")).outcome is Outcome.ABSTAINED

    def test_an_insufficient_case_must_be_answered_unknown_even_if_the_guess_is_true(
        self,
    ) -> None:
        assert scored(HIDDEN, said("unknown")).outcome is Outcome.OK
        assert scored(HIDDEN, said("runtime_hang")).outcome is Outcome.WRONG

    def test_a_quiet_case_must_name_nothing_in_any_incident(self) -> None:
        assert scored(QUIET, said("unknown")).outcome is Outcome.OK
        second = said("unknown", named=("disk_full",))
        assert scored(QUIET, second).outcome is Outcome.WRONG

    @pytest.mark.parametrize("truth", [HANG, HIDDEN, QUIET])
    def test_a_case_the_engine_cannot_read_is_wrong_whatever_the_truth(self, truth: Truth) -> None:
        refused = said(UNREADABLE, 0.0)
        assert scored(truth, refused).outcome is Outcome.WRONG
        assert score([scored(truth, refused)]).brier is None


class TestScores:
    def test_top3_takes_named_hypotheses_in_order(self) -> None:
        ranked = (
            ("disk_full", 0.5),
            ("unknown", 0.4),
            ("io_saturation", 0.3),
            ("cni_failure", 0.2),
        )
        guess = said("unknown", ranked=ranked)
        assert guess.first_three == ("disk_full", "io_saturation", "cni_failure")
        result = score([scored(FULL, guess), scored(HANG, guess)])
        assert (result.top1, result.top3) == (Share(0, 2), Share(1, 2))

    def test_killer_is_scored_only_where_the_truth_names_one(self) -> None:
        result = score(
            [
                scored(HANG, said("runtime_hang", killer="health_monitor")),
                scored(HANG, said("runtime_hang", killer=None)),
                scored(FULL, said("disk_full", killer="eviction")),
            ]
        )
        assert result.killer == Share(1, 2)

    def test_that_nobody_killed_is_said_by_silence_too(self) -> None:
        nobody = Truth("unknown", killer="none")
        assert score([scored(nobody, said("unknown", killer=None))]).killer == Share(1, 1)
        assert score([scored(nobody, said("unknown", killer="crash"))]).killer == Share(0, 1)

    def test_victims_count_over_the_cases_where_they_are_known(self) -> None:
        named = frozenset({"a/x", "b/z", "b/q"})
        result = score(
            [scored(HANG, said("runtime_hang", victims=named)), scored(FULL, said("disk_full"))]
        )
        assert result.victim_precision == Share(1, 3)
        assert result.victim_recall == Share(1, 2)

    def test_abstention_and_quiet_have_their_own_figures(self) -> None:
        unknown = said("unknown")
        result = score([scored(truth, unknown) for truth in (HIDDEN, HANG, QUIET)])
        assert result.abstain_recall == Share(1, 1)
        assert result.abstain_precision == Share(1, 2)
        assert result.quiet == Share(1, 1)
        assert result.top1 == Share(0, 1)

    def test_wrong_with_high_confidence(self) -> None:
        verdicts = [said("disk_full", 0.8), said("disk_full", 0.79), said("runtime_hang", 1.0)]
        assert score([scored(HANG, one) for one in verdicts]).wrong_confident == Share(1, 3)

    def test_brier_and_reliability(self) -> None:
        verdicts = [said("runtime_hang", 1.0), said("disk_full", 0.5), said("unknown", 0.0)]
        result = score([scored(HANG, one) for one in verdicts])
        assert result.brier == pytest.approx(0.125)
        assert [one.right for one in result.bins][2:] == [Share(0, 1), Share(0, 0), Share(1, 1)]
        assert result.bins[4].mean_confidence == 1.0
        assert result.bins[0].mean_confidence is None

    def test_confidence_outside_its_range_stays_in_the_outer_bins(self) -> None:
        bins = score([scored(HANG, said("runtime_hang", sure)) for sure in (-0.5, 1.5)]).bins
        assert (bins[0].right, bins[4].right) == (Share(1, 1), Share(1, 1))

    def test_chance(self) -> None:
        verdict = said("runtime_hang")
        result = score([scored(truth, verdict) for truth in (HANG, HANG, FULL, HIDDEN, QUIET)])
        assert result.chance_frequent == Share(2, 3)
        assert result.chance_uniform == pytest.approx(1 / 16)

    def test_nothing_to_score(self) -> None:
        result = score([])
        assert result.top1.value is None
        assert result.brier is None


class TestThresholds:
    def test_each_figure_is_held_to_its_own(self) -> None:
        engine = StubEngine({"hang": said("disk_full"), "quiet": said("disk_full")})
        report = run([case("hang", HANG), case("quiet", QUIET)], engine)
        assert len(below_thresholds(report, 0.9, 1.0)) == 2
        assert below_thresholds(report, 0.0, 0.0) == []


class TestLeaveOneFamilyOut:
    def test_rules_of_one_case_alone_are_taken_away(self) -> None:
        shared, own = frozenset({"shared"}), frozenset({"shared", "own"})
        answers = {
            "one": said("runtime_hang", fired=shared, decisive=shared),
            "two": said("runtime_hang", fired=own, decisive=own),
        }
        weakened = {"one": said("disk_full", 0.9), "two": said("unknown")}
        engine = StubEngine(answers, weakened=weakened)
        report = run([case("one", HANG), case("two", HANG)], engine, leave_out=True)
        assert report.left_out is not None
        assert report.left_out.top1 == Share(1, 2)
        assert report.left_out.weakened == report.left_out.lost == ("two",)
        assert report.left_out.families == 2
        assert "lost: two" in render(report)
        assert report.left_out.blinded_top1 == Share(0, 2)
        assert report.left_out.blinded_wrong == Share(1, 2)

    def test_other_thresholds_are_tried_on_the_same_loss(self) -> None:
        unsure = said("unknown", ranked=(("runtime_hang", 0.45),))
        cases = [Scored("due", HANG, unsure), Scored("silent", HIDDEN, unsure)]
        low, high = at_threshold(cases, 0.4), at_threshold(cases, 0.5)
        assert (low.right, low.wrong, low.abstained) == (Share(1, 1), 0, Share(0, 1))
        assert (high.right, high.wrong, high.abstained) == (Share(0, 1), 0, Share(1, 1))


class TestReports:
    def test_json_speaks_the_words_of_the_product(self) -> None:
        verdict = said("runtime_hang", killer="health_monitor", victims=frozenset({"a/x"}))
        report = run([case("hang", HANG)], StubEngine({"hang": verdict}))
        document = json.loads(json.dumps(as_json(report, ["x"])))
        first = document["cases"][0]
        assert first["killer"] == {"kind": "health_monitor"}
        assert first["victims"] == [{"namespace": "a", "pod": "x"}]
        assert first["truth"]["victims"][1] == {"namespace": "a", "pod": "y"}
        assert document["scores"]["top1"] == {"hits": 1, "of": 1, "share": 1.0}

    def test_text_says_what_was_not_scored(self) -> None:
        report = run(
            [case("hang", HANG)],
            StubEngine({"hang": said("disk_full")}),
            unusable=[Unusable(Path("torn.yaml"), "cannot be read")],
        )
        text = render(report)
        assert "WRONG" in text
        assert "not scored: torn.yaml: cannot be read" in text


class TestBaselines:
    def test_most_keywords_win(self) -> None:
        lines = ["no space left on device", "no space left", "kubelet panic: x"]
        assert keyword_majority(lines) == "disk_full"
        assert keyword_majority(["all is well"]) == "unknown"

    def test_the_largest_writer_of_the_last_minute(self) -> None:
        samples = [
            Sample(
                at_s, disks=(_disk("vda", at_s * 10), _disk("vdb", 9_000 if at_s < 50 else 9_001))
            )
            for at_s in range(0, 200, 10)
        ]
        assert largest_writer(samples) == ("io_saturation", "vda")
        assert largest_writer(()) == ("unknown", "")
        assert largest_writer(samples[:1]) == ("unknown", "vda")


def _disk(name: str, written: int) -> DiskCounters:
    return DiskCounters(name, 0, written, 0, 0, 0.0, 0.0)
