"""What a node keeps of an incident is told elsewhere word for word as it is told here."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.commands.why import Question, diagnosed
from agent.model import Diagnosis, Kind, Pod, Probe
from agent.report.html import as_html
from agent.report.jsonform import as_json
from agent.report.markdown import as_markdown
from agent.report.screen import Screen
from agent.report.terminal import as_text
from agent.report.timeline import LONG
from agent.report.view import Origin, report
from agent.sources.kept import (
    MOST_FACTS,
    MOST_OF_A_KIND,
    Kept,
    kept,
    kept_of,
    kept_row,
    packed,
    unpacked,
)
from tests.handmade import KILL_S, PODS, fact, founding, unknown

STORIES = Path(__file__).parent / "stories"
TOLD = sorted(path.name for path in STORIES.iterdir() if path.is_dir())
PROBES = tuple(Probe(KILL_S - n * 10, "docker ps", n / 3, n < 6) for n in range(9))


def carried(one: Kept) -> Kept:
    """As it arrives on a laptop: through bytes."""
    found = unpacked(packed(one))
    assert found is not None
    return found


def said(
    diagnosis: Diagnosis, pods: tuple[Pod, ...] = (), probes: tuple[Probe, ...] = ()
) -> list[str]:
    """All four reports."""
    origin = Origin("the agent", pods=pods, probes=probes)
    short, long = (report([diagnosis], origin, moments=most) for most in (14, LONG))
    return [
        as_text(short, Screen()),
        as_text(long, Screen(explain=True)),
        as_json(short),
        as_markdown(short),
        as_html(long),
    ]


@pytest.mark.parametrize("one", [founding(), unknown()], ids=["founding", "unknown"])
def test_a_diagnosis_comes_back_as_it_was(one: Diagnosis) -> None:
    there = carried(kept(one, PODS, PROBES))
    assert there.diagnosis == one
    assert said(there.diagnosis, there.pods, there.probes) == said(one, PODS, PROBES)


@pytest.mark.parametrize("name", TOLD)
def test_every_story_is_told_alike_from_what_is_kept(name: str) -> None:
    found = diagnosed(Question(bundle=STORIES / name))
    for one in found.diagnoses:
        pods, probes = found.origin.pods, found.origin.probes
        there = carried(kept(one, pods, probes))
        assert there.facts_left_out == 0
        assert said(there.diagnosis, there.pods, there.probes) == said(one, pods, probes)


def test_a_flood_leaves_room_for_what_the_evidence_stands_on() -> None:
    whole = founding()
    flood = tuple(
        fact(kind, n, f"line {n}")
        for at, kind in enumerate(list(Kind)[:20])
        for n in range(2 * MOST_OF_A_KIND // (1 + 9 * bool(at)))
    )
    incident = replace(whole.incident, facts=(*flood, *whole.incident.facts))
    there = carried(kept(replace(whole, incident=incident)))
    facts = there.diagnosis.incident.facts
    assert len(facts) <= MOST_FACTS
    assert max(sum(f.kind is kind for f in facts) for kind in Kind) <= MOST_OF_A_KIND + 1
    assert there.facts_left_out == len(incident.facts) - len(facts)
    assert there.diagnosis.hypotheses == whole.hypotheses, "no evidence is lost"
    assert len(packed(kept(replace(whole, incident=incident)))) < 64 << 10


def test_pods_and_probes_that_no_report_speaks_of_are_not_kept() -> None:
    strangers = (Pod("else", "where", owner="Deployment/x"),)
    late = (Probe(KILL_S - 3600, "docker ps", 1.0, answered=True),)
    there = kept(founding(), (*PODS, *strangers), (*PROBES, *late))
    assert {pod.name for pod in there.pods} == {pod.name for pod in PODS[:5]}
    assert there.probes == PROBES


def test_a_newer_agents_form_is_not_guessed_at() -> None:
    row = kept_row(kept(founding()))
    assert kept_of({**row, "form": 2}) is None
    assert kept_of({**row, "cause": "witchcraft"}) is None


def test_numbers_beyond_all_reason_are_refused() -> None:
    for at in ("confidence", "left_out"):
        assert kept_of({**kept_row(kept(founding())), at: float("inf")}) is None
    row = kept_row(kept(founding(), PODS, PROBES))
    row["probes"][0][0] = 1e300
    assert kept_of(row) is None
    row["probes"] = []
    row["facts"][0][1] = 1e300
    there = kept_of(row)
    assert there
    assert there.facts_left_out == 1


def test_facts_of_unknown_kinds_are_counted_as_left_out() -> None:
    row = kept_row(kept(founding()))
    row["facts"][3][0] = "witchcraft"
    there = kept_of(row)
    assert there
    assert there.facts_left_out == 1
    assert len(there.diagnosis.incident.facts) == len(founding().incident.facts) - 1


def test_what_arrived_torn_is_refused() -> None:
    whole = packed(kept(founding()))
    assert all(unpacked(whole[:cut]) is None for cut in range(0, len(whole), 7))
    assert unpacked(zlib.compress(b'{"form": 1, "confidence": NaN}')) is None


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_a_stranger_wrote_is_read_or_refused(data: st.DataObject) -> None:
    row: dict[str, Any] = kept_row(kept(founding(), PODS, PROBES))
    plain = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(), some, max_size=3),
        max_leaves=6,
    )
    for key in data.draw(st.lists(st.sampled_from(sorted(row)), min_size=1, max_size=3)):
        row[key] = data.draw(plain)
    there = kept_of(row)
    if there is not None:
        said(there.diagnosis, there.pods, there.probes)
