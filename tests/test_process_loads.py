"""Who moves most by the processes' own counters: asked where control groups see too little."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.daemon.loads import Loads, fact_of_load
from agent.diagnosis.diagnose import diagnose
from agent.kube.announce import announcements
from agent.model import Cause, Diagnosis, Fact, Offender, Subject, SubjectKind
from agent.recorder.top_processes import ProcessIo, TopProcesses
from tests.test_attribution import MB, PG, PODS, T0, WEB, Load, blamed, kill, samples

SHELL = ProcessIo(4711, "dd", 0, 400 * MB)
IN_POD = ProcessIo(812, "postgres", 400 * MB, 0, Subject(SubjectKind.POD, "", uid=PG.uid))
IN_UNIT = ProcessIo(99, "rsync", 400 * MB, 0, Subject(SubjectKind.UNIT, "backup.service"))
LOGIN = replace(SHELL, owner=Subject(SubjectKind.UNIT, "session-4.scope"))
USERS = Subject(SubjectKind.UNIT, "user.slice")


def look(*processes: ProcessIo, at_s: float = T0, share: float = 0.95) -> TopProcesses:
    """A look over one second."""
    whole = round(processes[0].moved_bytes / share) if processes else 0
    return TopProcesses(at_s, 1.0, whole, processes)


def seen(one: ProcessIo, before_s: float = 10.0, share: float = 0.95) -> Fact:
    return fact_of_load(look(one, at_s=T0 - before_s, share=share))


def blind(*facts: Fact) -> Offender | None:
    """A disk that did a hundred times what the control groups counted."""
    return blamed(Load(WEB, MB), disk_s=100 * MB, facts=facts)


def test_facts_are_stated_now_and_then_while_something_waits() -> None:
    loads = Loads()
    stated: list[Fact] = []
    for second in range(0, 60, 5):
        stated += loads.facts(look(IN_POD, at_s=T0 + second), strained=second >= 20)
    assert [fact.at_s for fact in stated] == [T0 + 20, T0 + 35, T0 + 50]
    assert stated[0].detail["pod_uid"] == PG.uid


def test_nothing_is_stated_of_those_who_move_little_or_cannot_be_seen() -> None:
    loads = Loads()
    assert loads.facts(look(replace(SHELL, write_bytes=MB)), strained=True) == ()
    assert loads.facts(replace(look(), hidden=9), strained=True) == ()


def test_a_fact_names_the_next_ones_too_and_says_what_was_hidden() -> None:
    named = replace(IN_POD, read_bytes=9 * MB, owner=PG)
    top = replace(look(SHELL, named, replace(IN_UNIT, read_bytes=2 * MB)), hidden=3)
    assert fact_of_load(top).text == (
        "dd (pid 4711) moves 400 MB/s, 95% of what all processes moved (3 could not be seen); "
        "then postgres (pid 812 of pod prod/pg-0) 9 MB/s; rsync (pid 99 of backup.service) 2 MB/s"
    )


def test_a_process_is_named_where_control_groups_saw_too_little() -> None:
    found = blind(seen(SHELL, 25.0), seen(SHELL))
    assert found is not None
    assert (found.kind, found.name) == ("process", "dd")
    assert "pid 4711) moved 400 MB/s, 95% of what all processes moved" in found.method
    assert "control groups saw less than half" in found.method


@pytest.mark.parametrize(
    ("one", "named"),
    [(IN_POD, ("pod", "prod", "pg-0")), (IN_UNIT, ("unit", "", "backup.service"))],
)
def test_its_pod_or_unit_is_named_where_it_has_one(one: ProcessIo, named: tuple[str, ...]) -> None:
    found = blind(seen(one))
    assert found is not None
    assert (found.kind, found.namespace, found.name) == named
    assert f"its process {one.name}" in found.method


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (seen(SHELL, share=0.4),),
        (seen(SHELL, 25.0), seen(IN_UNIT)),  # somebody else each time
        (seen(SHELL, 200.0),),  # long before
        (seen(SHELL, -5.0),),  # after the blow
        (seen(replace(SHELL, owner=Subject(SubjectKind.POD, "", uid="nobody-knows"))),),
    ],
)
def test_nobody_is_named_where_it_is_not_clear(facts: tuple[Fact, ...]) -> None:
    assert blind(*facts) is None


def test_control_groups_that_see_are_believed_first() -> None:
    found = blamed(Load(PG, 400 * MB), Load(WEB, MB), facts=(seen(SHELL),))
    assert found is not None
    assert found.name == "pg-0"


def test_the_logins_of_all_are_narrowed_to_the_process() -> None:
    found = blamed(Load(USERS, 400 * MB), Load(WEB, MB), facts=(seen(LOGIN, 25.0), seen(LOGIN)))
    assert found is not None
    assert (found.kind, found.name) == ("process", "dd")
    assert "pid 4711 moved 400 MB/s, 95% of what all processes moved" in found.method
    assert "user.slice, where it runs, moved 100 % of all bytes" in found.method


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (seen(LOGIN, share=0.4),),
        (seen(IN_POD),),
        (seen(LOGIN, 25.0), seen(replace(LOGIN, name="tar"))),
    ],
)
def test_logins_stay_logins_where_no_process_stands_out(facts: tuple[Fact, ...]) -> None:
    found = blamed(Load(USERS, 400 * MB), Load(WEB, MB), facts=facts)
    assert found is not None
    assert (found.kind, found.name) == ("unit", "user.slice")


def saturated(*facts: Fact) -> Diagnosis:
    busy = samples(Load(USERS, 400 * MB), Load(WEB, MB))
    found = diagnose(kill(*facts), pods=PODS, samples=busy)
    assert found.cause is Cause.IO_SATURATION
    return found


def test_the_busiest_processes_are_evidence_but_make_nothing_likelier() -> None:
    found = saturated(seen(LOGIN))
    (named,) = [one for one in found.hypotheses[0].evidence_for if one.facts]
    assert named.says == "by the processes' own counters dd moved most"
    assert named.facts[0].text.startswith("dd (pid 4711 of session-4.scope) moves 400 MB/s")
    assert named.facts[0].text in [link.what for link in found.chain]
    assert found.confidence == saturated().confidence


def test_the_node_is_told_of_a_process_outside_of_pods() -> None:
    said = announcements(saturated(seen(LOGIN)), PODS, T0)
    notes = [str(one.body["note"]) for one in said]
    assert any("(by process dd)" in note for note in notes)
    assert any("By process dd: its pid 4711 moved 400 MB/s, 95% of what" in note for note in notes)
