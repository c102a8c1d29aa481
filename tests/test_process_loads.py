"""Who moves most by the processes' own counters: asked where control groups see too little."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from agent.daemon.affairs import Moment
from agent.daemon.loads import Loads, fact_of_load
from agent.model import Fact, Offender
from agent.recorder.host import Host
from agent.recorder.processes import Busiest, Processes, moved_bytes
from tests.test_attribution import MB, PG, T0, WEB, Load, blamed, process

POD_GROUP = "/kubepods/burstable/pod" + PG.uid
SHELL = Busiest("4711", "dd", 400.0 * MB, 0.95)
IN_POD = replace(SHELL, pid="812", name="postgres", pod_uid=PG.uid)
IN_UNIT = replace(SHELL, name="rsync", unit="backup.service")


def moves(folder: Path, pid: int, read: int, written: int = 0) -> None:
    text = f"rchar: 99\nwchar: 9\nread_bytes: {read}\nwrite_bytes: {written}\n"
    (folder / "proc" / str(pid) / "io").write_text(f"{text}cancelled_write_bytes: 7\n")


def seen(one: Busiest, before_s: float = 10.0) -> Fact:
    return fact_of_load(one, T0 - before_s)


def blind(*facts: Fact) -> Offender | None:
    """A disk that did a hundred times what the control groups counted."""
    return blamed(Load(WEB, MB), disk_s=100 * MB, facts=facts)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    process(tmp_path, 10, "postgres", POD_GROUP)
    process(tmp_path, 11, "dd", "/user.slice/session-1.scope")
    for pid, name in ((10, "postgres"), (11, "dd")):
        (tmp_path / "proc" / str(pid) / "comm").write_text(f"{name}\n")
        moves(tmp_path, pid, 1000)
    (tmp_path / "proc" / "12").mkdir()  # one whose counters may not be read
    return tmp_path


def test_the_busiest_between_two_looks_is_found_with_its_home(node: Path) -> None:
    processes = Processes(Host(node))
    assert processes.look(100.0) is None
    moves(node, 10, 1000 + 30 * MB)
    moves(node, 11, 1000, 10 * MB)
    assert processes.look(105.0) == Busiest("10", "postgres", 6.0 * MB, 0.75, PG.uid)
    assert processes.look(110.0) is None, "nobody moved anything"
    processes.forget()
    moves(node, 11, 900 * MB)
    assert processes.look(115.0) is None


def test_a_real_process_that_writes_is_seen(tmp_path: Path) -> None:
    processes = Processes(Host())
    own, before = str(os.getpid()), dict(moved_bytes(Host()))
    (tmp_path / "in").write_bytes(bytes(MB))
    if own not in before or dict(moved_bytes(Host()))[own] < before[own] + MB:
        pytest.skip("no I/O of processes is counted here, or this is no disk")
    processes.look(0.0)
    words = ["dd", "if=/dev/zero", f"of={tmp_path}/out", "bs=1M", "count=256", "conv=fsync"]
    with subprocess.Popen(
        [*words, "status=none"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as writing:
        most, pid = 0, str(writing.pid)
        while writing.poll() is None and most < 8 * MB:
            most = dict(moved_bytes(Host())).get(pid, most)
            time.sleep(0.005)
        assert most >= 8 * MB
        writing.wait()


def test_facts_are_stated_now_and_then_while_something_waits(node: Path) -> None:
    loads = Loads(Processes(Host(node)))
    stated: list[Fact] = []
    for second in range(60):
        moves(node, 10, second * 50 * MB)
        stated += loads.look(Moment(T0 + second, float(second)), strained=second >= 20)
    assert [fact.at_s for fact in stated] == [T0 + 25, T0 + 40, T0 + 55]
    assert stated[0].text == "postgres (pid 10) moves 50 MB/s, 100% of what all processes moved"
    assert stated[0].detail["pod_uid"] == PG.uid


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
def test_its_pod_or_unit_is_named_where_it_has_one(one: Busiest, named: tuple[str, ...]) -> None:
    found = blind(seen(one))
    assert found is not None
    assert (found.kind, found.namespace, found.name) == named
    assert f"its process {one.name}" in found.method


@pytest.mark.parametrize(
    "facts",
    [
        (),
        (seen(replace(SHELL, share=0.4)),),
        (seen(SHELL, 25.0), seen(IN_UNIT)),  # somebody else each time
        (seen(SHELL, 200.0),),  # long before
        (seen(SHELL, -5.0),),  # after the blow
        (seen(replace(SHELL, pod_uid="nobody-knows")),),
    ],
)
def test_nobody_is_named_where_it_is_not_clear(facts: tuple[Fact, ...]) -> None:
    assert blind(*facts) is None


def test_control_groups_that_see_are_believed_first() -> None:
    found = blamed(Load(PG, 400 * MB), Load(WEB, MB), facts=(seen(SHELL),))
    assert found is not None
    assert found.name == "pg-0"
