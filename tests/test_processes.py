"""Who moves most by the processes' own counters: real processes that read and write a real disk."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.model import Subject, SubjectKind
from agent.recorder.host import Host
from agent.recorder.processes import Moved, Processes, grown_between, owner_of
from agent.recorder.ring import RingWriter
from agent.recorder.ring_read import Span, load_ring
from agent.recorder.top_processes import ProcessIo, TopProcesses, packed, unpacked
from agent.recorder.varint import Damaged
from tests.conftest import ROOT
from tests.rings import SIZE, SLOT, T0_MS, frame
from tests.test_attribution import PG, process

MB = 1 << 20
WRITER = """
import os, sys
for line in sys.stdin:
    with open(sys.argv[1], "wb") as file:
        file.write(os.urandom(int(line)))
        file.flush()
        os.fsync(file.fileno())
    print("done", flush=True)
"""
AMONG_THE_NODES = """
import sys, time
from pathlib import Path
from agent.recorder.host import Host
from agent.recorder.processes import Processes
looking = Processes(Host(Path(sys.argv[1])), 20)
looking.look(time.time(), 0.0)
print("ready", flush=True)
sys.stdin.readline()
print(*(one.pid for one in looking.look(time.time(), 1.0).processes))
"""


class Writer:
    """A process of its own that writes as much as it is told to, through to the disk."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self.running = running

    def write(self, size: int) -> None:
        assert self.running.stdin is not None
        assert self.running.stdout is not None
        self.running.stdin.write(f"{size}\n")
        self.running.stdin.flush()
        assert self.running.stdout.readline() == "done\n"


@contextmanager
def writer(path: Path) -> Iterator[Writer]:
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        yield Writer(running)
        running.stdin.close()  # type: ignore[union-attr]


@pytest.fixture
def counted(tmp_path: Path) -> None:
    """Skip where the kernel counts nothing, or where this is no disk."""
    before = _counted()
    with (tmp_path / "some").open("wb") as file:
        file.write(bytes(MB))
        os.fsync(file.fileno())
    if _counted() == before:
        pytest.skip("no I/O of processes is counted here, or this is no disk")


def _counted() -> str:
    counters = Path("/proc/self/io")
    said = counters.read_text() if counters.exists() else ""
    return next((line for line in said.splitlines() if line.startswith("write_bytes: ")), "")


@pytest.mark.usefixtures("counted")
def test_a_process_that_writes_is_found_with_its_name_and_its_bytes(tmp_path: Path) -> None:
    looking = Processes(Host(), 20)
    with writer(tmp_path / "out") as one:
        one.write(4 * MB)
        assert looking.look(1e9, 0.0) is None, "there is nothing to compare with"
        one.write(16 * MB)
        top = looking.look(1e9 + 1, 1.0)
        assert top is not None
        found = next(each for each in top.processes if each.pid == one.running.pid)
        assert found.name.startswith("python")
        assert 16 * MB <= found.write_bytes < 18 * MB, "what it wrote before is not of this time"
        assert top.moved_bytes >= found.moved_bytes


@pytest.mark.usefixtures("counted")
def test_a_child_that_ended_is_not_counted_twice(tmp_path: Path) -> None:
    """The kernel adds a child's counters to its parent's when the parent waits for it: to ours."""
    looking = Processes(Host(), 20)
    with writer(tmp_path / "out") as one:
        one.write(32 * MB)
        looking.look(1e9, 0.0)
        one.write(2 * MB)
    top = looking.look(1e9 + 1, 1.0)
    ours = [each.moved_bytes for each in top.processes if each.pid == os.getpid()] if top else []
    assert sum(ours) < 8 * MB


@pytest.mark.usefixtures("counted")
def test_it_works_in_a_pods_own_pid_namespace_with_the_nodes_proc(tmp_path: Path) -> None:
    root = tmp_path / "host"
    root.mkdir()
    (root / "proc").symlink_to("/proc")
    command = ["unshare", "--pid", "--fork", sys.executable, "-c", AMONG_THE_NODES, str(root)]
    with (
        writer(tmp_path / "out") as one,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as looking,
    ):
        assert looking.stdout is not None
        if looking.stdout.readline() != "ready\n":
            pytest.skip(f"no pid namespace can be had: {looking.communicate()[1][-200:]}")
        one.write(16 * MB)
        said, complaint = looking.communicate("\n")
        assert str(one.running.pid) in said.split(), complaint


def test_who_is_new_has_moved_all_of_it_since_and_a_number_may_come_back() -> None:
    before = {1: Moved(10, 10), 2: Moved(500, 0), 3: Moved(70, 0, parent=1)}
    now = {1: Moved(90, 15), 2: Moved(4, 4), 5: Moved(7, 7)}
    assert grown_between(before, now) == {1: Moved(10, 5), 2: Moved(4, 4), 5: Moved(7, 7)}


@pytest.mark.parametrize(
    ("group", "owner"),
    [
        ("/kubepods/burstable/pod" + PG.uid, Subject(SubjectKind.POD, "", uid=PG.uid)),
        ("/system.slice/backup.service", Subject(SubjectKind.UNIT, "backup.service")),
        ("/user.slice/user-0.slice/session-1.scope", Subject(SubjectKind.UNIT, "session-1.scope")),
        ("/docker/" + "a" * 64, Subject(SubjectKind.CONTAINER, "a" * 64)),
        ("/", None),
    ],
)
def test_whose_a_process_is(tmp_path: Path, group: str, owner: Subject | None) -> None:
    process(tmp_path, 10, "x", group)
    assert owner_of(tmp_path / "proc" / "10") == owner


def test_on_v1_the_pod_is_found_in_whichever_hierarchy_names_it(tmp_path: Path) -> None:
    process(tmp_path, 10, "x", "/")
    (tmp_path / "proc/10/cgroup").write_text(
        f"9:cpuset:/\n4:blkio:/kubepods/pod{PG.uid}\n1:name=systemd:/system.slice/docker.service\n"
    )
    assert owner_of(tmp_path / "proc/10") == Subject(SubjectKind.POD, "", uid=PG.uid)


# -- in the ring -----------------------------------------------------------------------------------

AT_S = T0_MS / 1000
IN_POD = ProcessIo(812, "postgres", 5 * MB, 0, Subject(SubjectKind.POD, "", uid=PG.uid))
OUTSIDE = ProcessIo(4711, "dd", 0, 40 * MB)
LOOK = TopProcesses(AT_S + 5, 5.0, 50 * MB, (OUTSIDE, IN_POD), hidden=3)


def test_looks_are_kept_in_the_ring_and_pods_get_their_names(tmp_path: Path) -> None:
    ring = RingWriter(tmp_path / "ring", SIZE, SLOT)
    ring.add(frame(0))
    ring.add_processes(LOOK)
    ring.name_pod(PG.uid, "prod", "pg-0")
    ring.add(frame(9))
    ring.close()
    (read,) = load_ring(tmp_path / "ring").processes
    assert read == LOOK.with_names({PG.uid: ("prod", "pg-0")})
    assert read.processes[1].owner == PG
    assert load_ring(tmp_path / "ring", Span(AT_S + 6)).processes == ()


def test_a_damaged_look_is_refused() -> None:
    data = packed(LOOK)
    assert unpacked(data) == LOOK
    for size in range(len(data)):
        with pytest.raises(Damaged):
            unpacked(data[:size])
