"""The one view behind every report: victims by owner, timeline, evidence and what lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.commands.why import Question, answer
from agent.model import (
    Cause,
    Diagnosis,
    Evidence,
    Hypothesis,
    Killer,
    KillerKind,
    Kind,
    Link,
    Pod,
    Probe,
    Trust,
    Victim,
)
from agent.report.damage import damage
from agent.report.steps import Step
from agent.report.timeline import timeline
from agent.report.view import Asked, incident_view, report
from agent.times import offset, parse, readable, rfc3339, span
from agent.words import CAUSES, KILLERS, confidence_words, counted, listed
from tests.conftest import ROOT
from tests.handmade import KILL_S, PODS, fact, founding, origin, unknown

STORIES = ROOT / "tests" / "stories"


def impact_of(owner: str, hurt: int, *pods: Pod) -> str:
    victims = [Victim("ns", f"{owner.rpartition('/')[2]}-{i}", owner=owner) for i in range(hurt)]
    return damage(victims, pods)[0].impact


def member(owner: str, index: int, *, replicas: int = 0, node: str = "n1") -> Pod:
    name = f"{owner.rpartition('/')[2]}-{index}"
    return Pod("ns", name, owner=owner, replicas_hint=replicas, node=node)


def test_only_member_of_a_statefulset_is_an_outage() -> None:
    assert impact_of("StatefulSet/pg", 1, member("StatefulSet/pg", 0, replicas=1)) == (
        "outage: its only member"
    )


def test_one_of_three_members_is_degraded_with_its_majority() -> None:
    pods = [member("StatefulSet/pg", i, node=f"n{i}") for i in range(3)]
    assert impact_of("StatefulSet/pg", 1, *pods) == "degraded: 1 of 3 members, majority stayed"


def test_two_of_three_members_lose_the_quorum() -> None:
    said = impact_of("StatefulSet/pg", 2, member("StatefulSet/pg", 0, replicas=3))
    assert said == "2 of 3 members: majority lost, a quorum would stop"


def test_an_ordinal_proves_members_that_the_input_does_not_show() -> None:
    victim = Victim("ns", "pg-2", owner="StatefulSet/pg")
    assert damage([victim], [])[0].members == 3


def test_a_majority_is_lost_only_where_all_members_are_known() -> None:
    victim = Victim("ns", "pg-1", owner="StatefulSet/pg")
    (found,) = damage([victim], [])
    assert (found.members, found.severity) == (2, 1)
    assert found.impact == "1 of at least 2 members hurt"


def test_an_outage_seen_from_one_node_only_is_said_with_care() -> None:
    said = impact_of("Deployment/web", 1, member("Deployment/web", 0))
    assert said == "outage: its only member, as far as can be seen here"


def test_unknown_number_of_members_is_said() -> None:
    assert "not known" in impact_of("Deployment/web", 2)


def test_pods_without_owner_are_told_apart() -> None:
    victims = [Victim("ns", "a"), Victim("ns", "b")]
    groups = damage(victims, [Pod("ns", "a")])
    assert [group.impact for group in groups] == [
        "stands alone: no controller replaces it",
        "its owner is not known here",
    ]


def test_worst_hit_comes_first() -> None:
    shown = incident_view(founding(), PODS)
    assert [owner.owner for owner in shown.owners] == [
        "StatefulSet/pg", "Deployment/shop", "StatefulSet/mq", "DaemonSet/proxy",
    ]  # fmt: skip


def test_timeline_is_ordered_folded_and_counted_from_the_kill() -> None:
    moments, left_out = timeline(founding(), KILL_S)
    assert [moment.at_s for moment in moments] == sorted(m.at_s or 0.0 for m in moments)
    assert [moment.count for moment in moments][-1] == 5
    assert [moment.offset_s for moment in moments if moment.is_kill] == [0.0]
    assert left_out == 0


def test_timeline_never_grows_beyond_its_limit_and_keeps_first_kill_and_last() -> None:
    chain = tuple(Link(KILL_S + s, f"link {chr(65 + s % 26)}{s}x", "j") for s in range(-40, 40, 3))
    said = tuple(Link(link.at_s, "abcdefghijklmnopqrstuvwxyz"[i], "j") for i, link in
                 enumerate(chain[:26]))  # fmt: skip
    diagnosis = replace(founding(), chain=(*said, Link(KILL_S, "kill", "journal")))
    moments, left_out = timeline(diagnosis, KILL_S, 10)
    assert len(moments) == 10
    assert left_out > 0
    assert moments[0].says == "a"
    assert sum(moment.is_kill for moment in moments) == 1


def test_facts_fill_up_what_the_chain_leaves_the_most_telling_first() -> None:
    diagnosis = founding()
    noise = tuple(fact(Kind.OOM_TASK, float(i), f"task row {i}") for i in range(30))
    incident = replace(diagnosis.incident, facts=(*noise, *diagnosis.incident.facts))
    moments, _ = timeline(replace(diagnosis, incident=incident), KILL_S)
    texts = [moment.says for moment in moments]
    assert "Processing signal 'terminated'" in texts
    assert not any("task row" in text for text in texts)


def test_a_moment_without_time_stays_behind_the_one_it_followed() -> None:
    moments, _ = timeline(unknown(), None)
    assert [moment.offset_s for moment in moments] == [None]
    assert not moments[0].trusted


def test_evidence_is_ordered_by_strength_and_carries_source_and_time() -> None:
    shown = incident_view(founding(), PODS)
    assert [proof.weight for proof in shown.evidence_for] == [0.6, 0.5]
    assert (shown.evidence_for[0].source, shown.evidence_for[0].at_s) == ("journal", KILL_S)
    assert shown.evidence_against[0].source == ""
    assert [rival.cause for rival in shown.rivals] == [Cause.PLANNED_RESTART]


def test_quoted_evidence_is_marked() -> None:
    said = fact(Kind.OOM_KILL, 0.0, "Killed process 7", trust=Trust.QUOTED)
    winner = Hypothesis(Cause.IO_SATURATION, 0.5, (Evidence(1.0, "so it says", (said,)),))
    shown = incident_view(replace(founding(), hypotheses=(winner,)))
    assert not shown.evidence_for[0].trusted


def test_nothing_speaks_for_unknown_but_all_hypotheses_are_kept() -> None:
    shown = incident_view(unknown())
    assert not shown.explained
    assert shown.evidence_for == ()
    assert [rival.cause for rival in shown.rivals] == [Cause.RUNTIME_CRASH]
    assert "1 pod" in shown.verdict


def test_missing_is_said_once() -> None:
    twice = replace(founding(), missing=("x", "x", "y"))
    assert incident_view(twice).missing == ("x", "y")


def test_report_parts_what_was_asked_from_the_rest() -> None:
    asked = Asked("prod", "pg-0", found=True)
    answered = report([unknown(), founding()], origin(), asked=asked)
    assert [incident.id for incident in answered.incidents] == ["7f3a90c1d2"]
    assert [incident.id for incident in answered.others] == ["00ff00ff00"]
    assert answered.explained
    assert not answered.quiet


def test_offender_is_concerned_too() -> None:
    answered = report([founding()], origin(), asked=Asked("", "backup-7", found=True))
    assert len(answered.incidents) == 1


@pytest.mark.parametrize(("count", "words"), [(1, "1 line claimed"), (3, "none was believed")])
def test_spoofed_lines_are_counted(count: int, words: str) -> None:
    assert words in report([], origin(spoofed=count)).notes[0]


def test_every_cause_and_killer_has_words() -> None:
    assert set(CAUSES) == set(Cause)
    assert set(KILLERS) == set(KillerKind)
    assert all(wording.sentence.endswith(".") for wording in CAUSES.values())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1.0, "almost certain, 1.00"),
        (0.82, "likely, 0.82"),
        (0.5, "more likely than not, 0.50"),
        (-3.0, "hardly more than a guess, 0.00"),
        (float("nan"), "hardly more than a guess, 0.00"),
    ],
)
def test_confidence_is_a_word_and_a_number(number: float, words: str) -> None:
    assert confidence_words(number) == words


def test_counting_and_listing() -> None:
    assert (counted(1, "pod"), counted(2, "pod")) == ("1 pod", "2 pods")
    assert listed(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"
    assert listed(("a", "b")) == "a and b"
    assert listed(()) == ""


@pytest.mark.parametrize(
    ("seconds_s", "said"),
    [
        (0.4, "0.4 s"),
        (59.96, "1 min"),
        (130.4, "2 min 10 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_spans(seconds_s: float, said: str) -> None:
    assert span(seconds_s) == said


def test_times_are_utc_with_microseconds_and_null_when_nonsense() -> None:
    assert rfc3339(KILL_S) == "2018-05-21T18:02:41.250000Z"
    assert [rfc3339(bad) for bad in (None, 1e30, float("nan"), float("-inf"))] == [None] * 4
    assert readable(None) == "time unknown"
    assert [offset(seconds_s) for seconds_s in (-12.3, 0.4, 0.01)] == ["-12.3 s", "+0.4 s", "0.0 s"]
    assert parse("2018-05-21T18:02:41.25Z") == parse("1526925761.25") == KILL_S


@pytest.mark.parametrize("story", sorted(p.name for p in STORIES.iterdir() if p.is_dir()))
def test_the_chain_never_goes_back_in_time(story: str) -> None:
    said = answer(Question(bundle=STORIES / story))
    for incident in said.incidents:
        times = [step.at_s for step in incident.steps if step.at_s is not None]
        assert times == sorted(times), [(step.role, step.at_s) for step in incident.steps]


def test_a_line_of_the_kill_does_not_date_what_led_to_it() -> None:
    asked = Probe(KILL_S - 9.6, "docker ps", 9.6, answered=False)
    proof = fact(Kind.MONITOR_KILLS_RUNTIME, 0.0, "Docker daemon failed!")
    hung = Hypothesis(Cause.RUNTIME_HANG, 0.8, evidence_for=(Evidence(0.9, "it hung", (proof,)),))
    made = replace(founding(), cause=Cause.RUNTIME_HANG, hypotheses=(hung,))
    shown = {step.role: step.at_s for step in incident_view(made, (), probes=(asked,)).steps}
    assert (shown["Cause"], shown["Probe"], shown["Kill"]) == (None, KILL_S - 9.6, KILL_S)


def test_what_was_before_the_kill_did_not_follow_from_it() -> None:
    early = replace(founding().victims[0], at_s=KILL_S - 900)
    gone = fact(Kind.SANDBOX_CHANGED, -900.0, "Pod sandbox changed")
    made = founding()
    made = replace(made, victims=(early,), incident=replace(made.incident, facts=(gone,)))
    shown = {step.role: step for step in incident_view(made).steps}
    assert (shown["Sandboxes"].at_s, shown["Sandboxes"].detail) == (None, "")
    assert shown["Pods"].at_s is None


def probe_step(diagnosis: Diagnosis, *probes: Probe) -> Step | None:
    shown = incident_view(diagnosis, (), probes=probes).steps
    return next((step for step in shown if step.role == "Probe"), None)


def test_a_quick_answer_long_before_the_kill_is_not_the_last_word_on_it() -> None:
    answers = [Probe(KILL_S - ago_s, "docker ps", 0.5, answered=True) for ago_s in (33, 28, 23)]
    said = probe_step(founding(), *answers)
    assert said
    assert said.what == "no answer seen"
    assert said.detail.startswith("for 22.5 s before the kill; 0.50 s at most until then")
    late = probe_step(founding(), *answers, Probe(KILL_S - 18, "docker ps", 9.0, answered=True))
    assert late
    assert late.what == "answered after 9.0 s"


def test_a_runtime_that_answers_in_time_is_no_step_towards_an_oom_kill() -> None:
    killed = replace(founding(), killer=Killer(KillerKind.OOM_KILLER, "kernel", KILL_S))
    assert probe_step(killed, Probe(KILL_S - 3, "docker ps", 0.07, answered=True)) is None
    late = probe_step(killed, Probe(KILL_S - 30, "docker ps", 25.0, answered=True))
    assert late
    assert late.what == "answered after 25.0 s"
