"""What outlives the agent: whole after a kill, bounded, and never in anybody's way."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.daemon.rows import identity, told_row
from agent.daemon.state import FILE_NAME, Memory, Past, change_of, load_past
from agent.daemon.store import Store
from agent.daemon.writer import Writer
from agent.diagnosis.unfolding import Remembered, key_of
from agent.model import Fact, Kind, Subject, SubjectKind, Trust
from agent.sources.fact_rows import fact_of, fact_row
from tests.daemons import AtOnce


def fact(number: int) -> Fact:
    subject = Subject(SubjectKind.POD, f"web-{number}", "prod", f"uid-{number}")
    detail = {"container": "main"}
    return Fact(
        Kind.SANDBOX_CHANGED, 1000.0 + number, subject, "events", Trust.TRUSTED, "changed", detail
    )


def kept(folder: Path, writer: Writer | None = None) -> Memory:
    return Memory(folder, writer or AtOnce())


def test_a_fact_is_the_same_after_it_was_written_down() -> None:
    assert fact_of(json.loads(json.dumps(fact_row(fact(1))))) == fact(1)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_a_row_nobody_wrote_is_left_out(row: object) -> None:
    assert fact_of(row) is None or isinstance(fact_of(row), Fact)


def test_changes_add_up(tmp_path: Path) -> None:
    memory = kept(tmp_path)
    assert memory.wants_snapshot(0.0)
    memory.snapshot([change_of(1.0, facts=[fact(1)])], 0.0)
    assert not memory.wants_snapshot(0.0)
    offer = {"incident": "ab", "namespace": "prod", "name": "e1", "body": {}}
    number = memory.append({**change_of(2.0, facts=[fact(2)], offers={"e1": offer}), "cursor": "c"})
    assert memory.safe == number
    memory.append(change_of(3.0, done=["e1"]))
    past = load_past(tmp_path)
    assert list(past.facts.values()) == [fact(1), fact(2)]
    assert (past.cursor, past.alive_s, past.offers) == ("c", 3.0, {})
    assert past.said == {"ab": {"e1"}}


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=30))
def test_a_torn_end_costs_what_is_torn_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("state")
    memory = kept(folder)
    memory.snapshot([change_of(0.0, facts=[fact(0)])], 0.0)
    for number in range(1, 5):
        memory.append({**change_of(number, facts=[fact(number)]), "cursor": f"c{number}"})
    raw = (folder / FILE_NAME).read_bytes()
    torn = raw[:cut] + junk
    pairs = zip(torn.split(b"\n"), raw.splitlines(), strict=False)
    whole = sum(left.strip(b" \t\r") == line for left, line in pairs)  # its newline may be gone
    (folder / FILE_NAME).write_bytes(torn)
    past = load_past(folder)
    times = [one.at_s for one in past.facts.values()]
    assert times[:whole] == [1000.0 + number for number in range(whole)]
    assert past.cursor == (f"c{whole - 1}" if whole > 1 else "")


def test_a_full_disk_is_said_and_a_snapshot_follows_when_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("not a folder")
    memory = kept(folder)
    memory.snapshot([change_of(1.0)], 0.0)
    assert "state is not kept" in memory.trouble
    assert memory.safe == 0
    assert not memory.wants_snapshot(1.0)
    memory.append(change_of(2.0, facts=[fact(2)]))
    assert memory.safe == 0
    folder.unlink()
    assert memory.wants_snapshot(10.0)
    number = memory.snapshot([change_of(3.0, facts=[fact(2)])], 10.0)
    assert (memory.safe, memory.trouble) == (number, "")
    assert len(load_past(folder).facts) == 1


def test_a_disk_that_stalls_is_noticed(tmp_path: Path) -> None:
    writer = AtOnce()
    memory = kept(tmp_path, writer)
    memory.snapshot([change_of(1.0)], 0.0)
    writer.stalled = True
    memory.append(change_of(2.0, facts=[fact(1)]))
    assert memory.safe == 1
    assert memory.wants_snapshot(10.0)


def test_a_long_log_becomes_a_snapshot(tmp_path: Path) -> None:
    memory = kept(tmp_path)
    memory.snapshot([change_of(0.0)], 0.0)
    while not memory.wants_snapshot(0.0):
        memory.append(change_of(1.0, facts=[fact(n) for n in range(2000)]))
    memory.snapshot([change_of(2.0, facts=[fact(1)])], 0.0)
    assert (tmp_path / FILE_NAME).stat().st_size < 1000


def test_an_incident_is_known_again_by_its_facts(tmp_path: Path) -> None:
    facts = [fact(number) for number in range(100)]
    by_key = {key_of(one): one for one in facts}
    told = Remembered("abcd", frozenset(by_key), settled=True)
    memory = kept(tmp_path)
    memory.snapshot([change_of(0.0, facts=facts, told=[told_row(told, by_key)])], 0.0)
    (again,) = load_past(tmp_path).told
    assert (again.id, again.settled) == ("abcd", True)
    assert len(again.keys) == 64
    assert again.keys <= told.keys


def test_nothing_there_is_no_past(tmp_path: Path) -> None:
    assert load_past(tmp_path / "nowhere") == Past()


def test_two_pods_in_one_second_are_two_facts() -> None:
    one, other = fact(1), fact(2)
    assert identity(one) != identity(other)


# -- the store -------------------------------------------------------------------------------------


def document(name: str, padding: int = 0) -> dict[str, object]:
    incident = {"id": name, "opened_at": f"2026-01-01T00:00:{int(name, 16) % 60:02d}Z"}
    return {"incidents": [{**incident, "victims": [], "verdict": "x" * padding}], "stage": "open"}


def test_the_store_keeps_the_newest(tmp_path: Path) -> None:
    store = Store(tmp_path, AtOnce(), keep=3, keep_bytes=1 << 20)
    for number in range(5):
        store.put(f"{number:04x}", document(f"{number:04x}"))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["0002", "0003", "0004"]
    assert [one["id"] for one in store.summaries()] == ["0004", "0003", "0002"]
    again = Store(tmp_path, AtOnce(), keep=3, keep_bytes=1 << 20)
    again.load()
    assert again.summaries() == store.summaries()
    assert again.document("0003") == store.document("0003")
    assert again.document("0001") is None


def test_the_store_is_bounded_in_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path, AtOnce(), keep=100, keep_bytes=20_000)
    for number in range(10):
        store.put(f"{number:04x}", document(f"{number:04x}", padding=5000))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
    assert store.document("0009")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "", "ABC", "a/b", "x" * 99])
def test_a_name_that_is_none_reads_nothing(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path, AtOnce(), 3, 1 << 20)
    store.put(name, {"incidents": [{"id": name, "victims": []}]})
    assert list(tmp_path.iterdir()) == []
    assert store.document(name) is None


def test_while_nothing_can_be_written_the_newest_are_still_known(tmp_path: Path) -> None:
    writer = AtOnce()
    writer.stalled = True
    store = Store(tmp_path / "x", writer, 3, 1 << 20)
    store.put("0001", document("0001"))
    assert store.document("0001") is not None
    (tmp_path / "x").write_text("")
    writer.stalled = False
    store.put("0002", document("0002"))
    assert "not kept" in store.trouble


def test_the_writer_does_its_work_in_order_and_says_when_it_has_too_much() -> None:
    done: list[int] = []
    writer = Writer(most=3)
    jobs = [partial(done.append, number) for number in range(4)]
    assert list(map(writer.put, jobs)) == [True, True, True, False]
    writer.start()
    assert writer.stop(5)
    assert done == [0, 1, 2]
    assert not writer.put(lambda: None)
