"""docs/json.md names every key that is printed, in the form that prints it, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.commands.cluster.listing import Found
from agent.commands.cluster.listing import overview as live_overview
from agent.commands.follow import JsonVoice
from agent.commands.why import Question, answer
from agent.daemon.http import Pages, Pulse
from agent.diagnosis.unfolding import Stage, Told
from agent.fleet.document import nodes_of, one_of
from agent.fleet.document import overview as fleet_overview
from agent.journal.live import JournalPlace
from agent.model import BlindSpot, Evidence
from agent.report.jsonform import document, shortened
from agent.report.view import Asked, Origin, report
from agent.rules.catalogue import Catalogue
from bench.diagnosis.cases import Case, corpus_case
from bench.diagnosis.engine import KnockOn
from tests.agents import kill_lines
from tests.daemons import Daemon
from tests.fleet.nodes import ABSENT, whole_fleet
from tests.handmade import KILL_S, MONITOR, founding, origin, unknown

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/json.md"
STORIES = sorted(path for path in (ROOT / "tests/stories").iterdir() if path.is_dir())
CASES = sorted((ROOT / "tests/cases").glob("*.yaml"))
FORMS = "wlfn"
_PROOFS = re.compile(r"(evidence\.for|evidence\.against|rivals\[\]\.against)\[\]\.")
Keys = dict[str, set[str]]  # by form


def documented() -> Keys:
    """Each key of the page's tables, by form."""
    found: Keys = {form: set() for form in FORMS}
    for line in PAGE.read_text("utf-8").splitlines():
        row = re.fullmatch(r"\| (`[^|]+`) \| ([wlfn ]+) \| .*", line)
        if row:
            for form in row[2].split():
                found[form] |= set(re.findall(r"`([^`]+)`", row[1]))
    return found


def keys(value: object, prefix: str = "") -> Iterator[str]:
    """Every path in a document; a piece of evidence is described in one place."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            path = f"{prefix}.{name}" if prefix else name
            proof = _PROOFS.search(path)
            yield path[proof.end() :] if proof else path
            yield from keys(inner, path)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from keys(inner, f"{prefix}[]")


def test_documents_of_every_story_and_case() -> None:
    printed = set(keys([document(answer(Question(bundle=path))) for path in STORIES], ""))
    engine = KnockOn(Catalogue.load())
    for path in CASES:
        case = corpus_case(yaml.safe_load(path.read_text()), path, 0)
        assert isinstance(case, Case)
        made = report(engine.diagnoses(case), Origin(path.name), asked=Asked("a", "b", found=False))
        printed |= set(keys(document(made)))
    printed = {path.removeprefix("[].") for path in printed}
    assert printed - documented()["w"] == set()
    assert len(printed) > 60


def whole(tmp_path: Path) -> Iterator[object]:
    """`why`, `follow`, and what an agent keeps."""
    odd = replace(unknown(), planned=True)
    doubt = Evidence(-0.1, "It says so.", (MONITOR,))
    lost = replace(founding().hypotheses[1], evidence_against=(doubt,))
    both = replace(founding(), hypotheses=(founding().hypotheses[0], lost))
    made = report([both, odd], origin(), asked=Asked("prod", "pg-0", found=True))
    yield document(replace(made, others=made.incidents[1:]))
    spot = BlindSpot("journal", "rotated", KILL_S, KILL_S + 1)
    yield document(report([founding()], Origin("x", blind=(spot,))))
    lines: list[str] = []
    voice = JsonVoice(lines.append)
    voice.begins(JournalPlace(directory=tmp_path), ("it is torn",))
    voice.tells(Told(Stage.SETTLED, both.incident), made, KILL_S + 3)
    yield from map(json.loads, lines)
    store = kept_by_an_agent(tmp_path).store
    (one,) = store.summaries()
    yield json.loads(store.document(one["id"]) or b"")


def kept_by_an_agent(folder: Path) -> Pages:
    """What an agent's own loop has stored of a kill."""
    daemon = Daemon(folder).start()
    daemon.knows("web-0")
    daemon.journal([])
    daemon.cycle()
    daemon.journal(kill_lines(round(daemon.now_s * 1e6)))
    daemon.cycle()
    daemon.pass_time(1)
    daemon.sandboxes_change("web-0")
    daemon.pass_time(70)
    return Pages(lambda: b"", Pulse(), daemon.parts.store)


def lists(tmp_path: Path) -> Iterator[object]:
    """`incidents`, and the pages behind it."""
    _, _, own, *_ = kept_by_an_agent(tmp_path).answer("/incidents")
    yield json.loads(own)
    yield fleet_overview(whole_fleet(), ABSENT)
    whole_form = document(report([founding()], origin()))["incidents"]
    assert isinstance(whole_form, list)
    found = Found("them", [shortened(one) for one in whole_form], silent={"n": "away"}, notes=["a"])
    yield live_overview(found)


def of_whole_fleet() -> Iterator[object]:
    """What the replica knows of one incident, of a group, and of a node nobody watches."""
    there = whole_fleet()
    names = [one.id for one in there.incidents] + [group.id for group in there.groups]
    overview: Any = fleet_overview(there, ABSENT)
    names += [one["id"] for one in overview["incidents"]]
    for name in names:
        yield one_of(there, ABSENT, name)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_prints_what_is_documented_and_nothing_else(form: str, tmp_path: Path) -> None:
    by_form: dict[str, Iterable[object]] = {
        "w": whole(tmp_path),
        "l": lists(tmp_path),
        "f": of_whole_fleet(),
        "n": [nodes_of(whole_fleet(), ABSENT)],
    }
    documents = by_form[form]
    printed = {path for one in documents for path in keys(one)}
    assert printed - documented()[form] == set(), "is printed and not documented"
    assert documented()[form] - printed == set(), "is documented and never printed"


def test_a_list_has_the_same_words_as_a_whole_incident() -> None:
    only_in_lists = {"incidents[].stage", "incidents[].fleet"}
    shared = {key for key in documented()["l"] if key.startswith("incidents[].")} - only_in_lists
    assert shared <= documented()["w"]
