"""The recorder as a whole, and the command that shows what it kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.daemon.inbox import Inbox
from agent.daemon.sources import RecorderSource
from agent.model import BlindSpot, Fact, Probe, Subject, SubjectKind
from agent.recorder.host import Host
from agent.recorder.loop import Looks, Names, Probing, Recorder, Second, run
from agent.recorder.memlock import lock_memory, unlock_memory
from agent.recorder.probe import NearMisses
from agent.recorder.ring import RingWriter
from agent.recorder.ring_read import Recording, load_ring
from agent.recorder.sampler import Sampler
from agent.recorder.table import Look, sparkline, table
from agent.recorder.top_processes import ProcessIo, TopProcesses
from tests.node_tree import UID, NodeTree, Use, container

NOW_S = 1_700_000_000.0


class _Said:
    """A prober that says what it was given."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = list(probes)

    def heard(self) -> list[Probe]:
        return [self._probes.pop(0)] if self._probes else []

    def stop(self) -> None:
        return


class _Question:
    words, unit = "docker ps", "docker.service"

    def ask(self, timeout_s: float) -> None:
        raise NotImplementedError


def busiest(at_s: float) -> TopProcesses:
    pod = Subject(SubjectKind.POD, "", uid=UID)
    named = (ProcessIo(812, "postgres", 500_000_000, 0, pod), ProcessIo(4711, "dd", 0, 100_000_000))
    return TopProcesses(at_s, 10.0, 625_000_000, named, hidden=3)


def story(root: Path, seconds: int = 30) -> None:
    """A node on which a backup fills the disk and docker answers late."""
    tree = NodeTree(root)
    pod, use = tree.pod_path(), Use(memory_bytes=64 << 20)
    docker = Use(memory_bytes=32 << 20)
    inner = tree.container_path(pod, container(1))
    asked = [Probe(NOW_S + 3, "docker ps", float(took), took == 25) for took in range(1, 26)]
    for path in (pod, inner):
        tree.write(path, use)
    tree.write("system.slice/docker.service", docker)
    sampler, writer = Sampler(Host(root)), RingWriter(Host(root).ring)
    probing = Probing(_Said(*asked), NearMisses(_Question()))
    looks = Looks()
    recorder = Recorder(sampler, writer, [probing], lambda: {UID: ("prod", "pg-0")}, looks)
    facts: list[Fact] = []
    for second in range(seconds):
        use = use.more(cpu_us=300_000, read_bytes=50_000_000, reads=100, stalled_us=400_000)
        docker = docker.more(cpu_us=1000, refaults=20)
        for path in (pod, inner):
            tree.write(path, use)
        tree.write("system.slice/docker.service", docker)
        tree.pressure(io_us=second * 900_000)
        tree.disks({"vda": (second * 100_000, 800), "vdb": (800, 800)})
        if second in (10, 20):
            looks.append(busiest(NOW_S + second))
        facts += recorder.step(NOW_S + second).facts
    recorder.close()
    assert len(facts) == 1


def test_what_was_recorded_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    story(tmp_path)
    assert main(["record", "show", "--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "30 samples in 29 s" in shown
    assert "io some stalled" in shown
    assert "most 90 %" in shown
    assert "disk vda busy" in shown
    assert "docker ps" in shown
    assert "most 25 s" in shown
    rows = [line.split() for line in shown.splitlines() if "prod/pg-0" in line]
    assert rows[0][1:3] == ["50.00", "30.0"]
    assert "docker.service" in shown
    assert "container" not in shown
    (walsender,) = [line.split() for line in shown.splitlines() if "postgres" in line]
    assert walsender == ["postgres", "812", "pod", "prod/pg-0", "34.48", "0.00", "80%", "2"]
    (shell,) = [line.split() for line in shown.splitlines() if line.startswith("  dd ")]
    assert shell == ["dd", "4711", "-", "0.00", "6.90", "16%", "2"]
    assert "not seen: 3 processes" in shown


def test_one_pod_is_shown_with_its_containers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story(tmp_path)
    for name in ("prod/pg-0", "pg-0", UID):
        main(["record", "show", "--root", str(tmp_path), "--pod", name, "--last", "10s"])
        shown = capsys.readouterr().out
        assert "11 samples" in shown
        assert f"container {container(1)[:12]}" in shown
        assert "docker.service" not in shown
        assert "postgres" in shown
        assert "4711" not in shown
    main(["record", "show", "--root", str(tmp_path), "--pod", "other/pg-0"])
    assert "no control group of other/pg-0" in capsys.readouterr().out


def test_names_are_learned_from_the_kubelets_log_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = NodeTree(tmp_path)
    tree.write(tree.pod_path(), Use(cpu_us=1))
    (tmp_path / f"var/log/pods/shop_web-1_{UID}").mkdir(parents=True)
    recorder = Recorder(Sampler(Host(tmp_path)), RingWriter(Host(tmp_path).ring))
    for second in range(3):
        recorder.step(NOW_S + second)
    recorder.close()
    main(["record", "show", "--root", str(tmp_path)])
    assert "shop/web-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["record", "show", "--ring", "nowhere"], "no ring here"),
        (["record", "show", "--ring", __file__], "not a recorder ring"),
        (["record", "show", "--last", "soon"], "write 90s, 5m or 1h"),
        (["record", "play"], "invalid choice"),
    ],
)
def test_mistakes_are_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_recording_for_a_while(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "record", "run", "--for", "2.2"]
    command += ["--root", str(tmp_path), "--ring", str(tmp_path / "r")]
    NodeTree(tmp_path)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "3 samples of 0 control groups" in ended.stdout
    assert len(load_ring(tmp_path / "r").samples) == 3


def test_a_pod_that_is_learned_of_while_the_recorder_opens_its_files_has_its_name(
    tmp_path: Path,
) -> None:
    NodeTree(tmp_path).write(NodeTree(tmp_path).pod_path(), Use(memory_bytes=64 << 20))
    stop, inbox = threading.Event(), Inbox()

    def make(names: Names) -> Recorder:
        made = Recorder(Sampler(Host(tmp_path)), RingWriter(Host(tmp_path).ring), (), names)
        source.names = {UID: ("prod", "pg-0")}  # the pods are listed at this very moment
        return made

    source = RecorderSource(make, inbox)
    worker = threading.Thread(target=source.work, args=(stop,))
    worker.start()
    assert inbox.wait(10)
    stop.set()
    worker.join()
    (group,) = load_ring(Host(tmp_path).ring).samples[0].cgroups
    assert (group.owner.namespace, group.owner.name) == ("prod", "pg-0")


def test_an_outage_of_minutes_is_one_blind_spot(tmp_path: Path) -> None:
    NodeTree(tmp_path)
    vmstat = tmp_path / "proc/vmstat"
    text = vmstat.read_text()
    recorder = Recorder(Sampler(Host(tmp_path)), RingWriter(Host(tmp_path).ring))
    for second in range(100):
        if second == 20:
            vmstat.write_text("nr_x 1\npgmajfault lots\n")
        if second == 80:
            vmstat.write_text(text)
        recorder.step(NOW_S + second)
    recorder.close()
    (spot,) = load_ring(Host(tmp_path).ring).blind
    assert (spot.from_s, spot.to_s) == (NOW_S + 20, NOW_S + 79)
    assert spot.why.startswith("memory:")


def test_a_ring_that_cannot_be_written_does_not_stop_the_looking(tmp_path: Path) -> None:
    NodeTree(tmp_path)
    ring = RingWriter(Host(tmp_path).ring)
    recorder = Recorder(Sampler(Host(tmp_path)), ring)
    assert recorder.step(NOW_S).ring_error == ""
    ring.close()
    second = recorder.step(NOW_S + 1)
    assert "Bad file descriptor" in second.ring_error
    assert second.taken.sample.memory_available_bytes
    assert recorder.ring_errors == 1


def test_it_stops_when_it_is_told_to(tmp_path: Path) -> None:
    NodeTree(tmp_path)
    recorder = Recorder(Sampler(Host(tmp_path)), RingWriter(Host(tmp_path).ring))
    stop = threading.Event()
    seconds: list[Second] = []

    def tell(second: Second) -> None:
        seconds.append(second)
        if len(seconds) == 2:
            stop.set()

    run(recorder, stop, tell)
    recorder.close()
    assert len(seconds) == 2


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    story(tmp_path, seconds=30)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_sparkline_shows_the_worst_of_each_column() -> None:
    assert sparkline([0.0] * 50 + [9.0] + [0.0] * 49, 10) == "▁▁▁▁▁█▁▁▁▁"
    assert sparkline([0, 0], 10) == "▁▁"
    assert sparkline([], 10) == ""
    assert sparkline([0, 7], 10, unicode=False).isascii()


def test_a_ring_without_samples_is_said(tmp_path: Path) -> None:
    assert "fewer than two samples" in table(Recording(blind=(BlindSpot("recorder", "x"),)), Look())
    assert not (tmp_path / "r").exists()


def test_locking_memory_works_or_says_why_not() -> None:
    why_not = lock_memory()
    unlock_memory()
    assert why_not == "" or why_not.startswith("memory is not locked: ")
