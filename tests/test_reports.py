"""The whole report of an incident, made beside the agent: by a real process, one at a time."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.daemon.reports import (
    MOST_KEPT,
    NEEDS_BYTES,
    Reports,
    render_command,
    rendered,
)
from agent.daemon.spare import spare_bytes
from agent.daemon.store import Store
from agent.model import Diagnosis
from agent.recorder.frame import Frame
from agent.recorder.ring import RingWriter
from agent.sources.kept import kept, packed
from tests.conftest import ROOT
from tests.daemons import AtOnce
from tests.handmade import KILL_S, PODS, founding
from tests.hostile import TEXTS, hostile_diagnosis
from tests.rings import frame

ID = "abcd"


@dataclass(slots=True)
class Shop:
    """Reports of one store, and how often each thing befell one."""

    reports: Reports
    store: Store
    counts: Counter[str] = field(default_factory=Counter)

    def keep(self, diagnosis: Diagnosis, name: str = ID) -> None:
        known = {"id": name, "node": "n1", "victims": []}
        raw = packed(kept(diagnosis, PODS))
        self.store.put(name, {"incidents": [known], "stage": "open"}, raw)

    def page(self, name: str = ID) -> str:
        answer = self.reports.answer(name)
        assert answer
        assert answer.status == 200, answer
        assert answer.file
        return answer.file.read_text("utf-8")

    def refused(self, name: str = ID) -> tuple[str, str]:
        """When to come back, and why."""
        answer = self.reports.answer(name)
        assert answer
        assert answer.status == 503
        return answer.headers["Retry-After"], answer.body.decode()


Render = Callable[[bytes, Path], str]


def shop(
    folder: Path,
    render: Render | None = None,
    spare: Callable[[], int | None] = lambda: None,
    steady: Callable[[], float] = lambda: 0.0,
) -> Shop:
    store = Store(folder / "incidents", AtOnce(), 100, 1 << 24)
    counts: Counter[str] = Counter()
    make = render or rendered(None)
    reports = Reports(
        folder / "reports", store, make, spare, lambda result: counts.update([result]), steady
    )
    made = Shop(reports, store, counts)
    made.keep(founding())
    return made


def quick(raw: bytes, page: Path) -> str:
    page.parent.mkdir(exist_ok=True)
    page.write_text(f"{len(raw)}", "utf-8")
    return ""


def test_a_report_has_the_verdict_and_says_what_it_lacks(tmp_path: Path) -> None:
    made = shop(tmp_path)
    page = made.page()
    assert "The health monitor killed docker" in page
    assert "the agent of node gke-prod-node-1" in page
    assert "knockon why pod/pg-0 -n prod" in page
    assert made.counts == {"made": 1}


def test_it_has_the_minutes_before_from_the_recorders_ring(tmp_path: Path) -> None:
    ring = tmp_path / "a.ring"
    writer = RingWriter(ring)
    for second in range(120):
        at_ms = round((KILL_S - 90 + second) * 1000)
        writer.add(Frame(at_ms, frame(second).rows))
    writer.close()
    page = shop(tmp_path, rendered(ring)).page()
    assert "Disk vda" in page
    assert "a2.service" in page, "who moved most"


def test_a_ring_that_has_forgotten_is_said_to_have(tmp_path: Path) -> None:
    ring = tmp_path / "a.ring"
    writer = RingWriter(ring)
    writer.add(frame(1))
    writer.close()
    assert "keeps an hour, and this is longer ago" in shop(tmp_path, rendered(ring)).page()


def test_it_is_made_once_and_anew_when_the_incident_has_grown(tmp_path: Path) -> None:
    made = shop(tmp_path, quick)
    assert made.page() == made.page()
    assert made.counts == {"made": 1}
    made.keep(replace(founding(), verdict="More is known now."))
    made.page()
    assert made.counts == {"made": 2}
    assert len(list((tmp_path / "reports").iterdir())) == 1, "the older one is gone"


def test_so_many_pages_are_kept_and_no_halves(tmp_path: Path) -> None:
    made = shop(tmp_path, quick)
    made.page()
    (tmp_path / "reports" / ".x.html.7.half").write_text("", "ascii")
    for number in range(MOST_KEPT + 3):
        name = f"beef{number:x}"
        made.keep(founding(), name)
        made.page(name)
    names = {one.name.partition("-")[0] for one in (tmp_path / "reports").iterdir()}
    assert len(names) == MOST_KEPT
    assert f"beef{MOST_KEPT + 2:x}" in names


def test_while_one_is_made_others_are_told_when_to_come_back(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(raw: bytes, page: Path) -> str:
        begun.set()
        go_on.wait(60)
        return quick(raw, page)

    made = shop(tmp_path, slow)
    made.keep(founding(), "beef")
    first: list[str] = []
    visitor = threading.Thread(target=lambda: first.append(made.page()))
    visitor.start()
    assert begun.wait(60)
    after_s, why = made.refused("beef")
    assert (after_s, "being made" in why) == ("3", True)
    go_on.set()
    visitor.join(60)
    assert first, "who asked first waits for it"
    assert made.page("beef")


def test_a_process_that_fails_is_not_tried_again_at_once(tmp_path: Path) -> None:
    now = [0.0]
    made = shop(tmp_path, lambda *_: "it is <b>broken</b>", steady=lambda: now[0])
    assert made.refused() == ("60", "The report could not be made: it is <b>broken</b>.\n")
    made.refused()
    assert made.counts == {"failed": 1}
    now[0] = 61.0
    made.refused()
    assert made.counts == {"failed": 2}


def test_a_disk_that_takes_nothing_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("", "ascii")
    assert "File exists" in shop(tmp_path, rendered(None)).refused()[1]


def test_no_report_where_it_would_cost_the_agent_its_life(tmp_path: Path) -> None:
    made = shop(tmp_path, quick, spare=lambda: NEEDS_BYTES - 1)
    after_s, why = made.refused()
    assert after_s == "60"
    assert "leaves 19; have it made on your machine: knockon why" in why
    assert made.counts == {"refused": 1}


def test_an_incident_without_its_diagnosis_says_so_and_a_strange_one_is_none(
    tmp_path: Path,
) -> None:
    made = shop(tmp_path)
    made.store.put("beef", {"incidents": [{"id": "beef", "victims": []}]})
    answer = made.reports.answer("beef")
    assert answer
    assert (answer.status, answer.body) == (
        404,
        b"Of this incident no whole diagnosis was kept.\n",
    )
    assert made.reports.answer("ffff") is None
    assert made.reports.answer("../../etc/passwd") is None


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_names_stay_text(tmp_path: Path, text: str) -> None:
    made = shop(tmp_path)
    made.keep(hostile_diagnosis(text))
    page = made.page()
    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert "knockon why pod/" not in page, "nothing to paste"


def run(words: list[str], raw: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        render_command(words), input=raw, capture_output=True, check=False, env={}
    )


def test_the_process_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = run(["", str(page)], b"junk")
    assert done.returncode == 1
    assert done.stderr == b"what was kept of it is of another version\n"
    assert not page.exists()


def test_the_process_stays_within_its_memory(tmp_path: Path) -> None:
    command = render_command(["", str(tmp_path / "page.html")])
    command[command.index(str(32 << 20))] = str(4 << 20)
    raw = packed(kept(founding(), PODS))
    done = subprocess.run(command, input=raw, capture_output=True, check=False, env={})
    assert done.returncode == 1
    assert b"MemoryError" in done.stderr or b"not enough memory" in done.stderr


def test_the_agent_itself_loads_nothing_that_draws() -> None:
    words = [sys.executable, "-c", "import sys, agent.daemon.__main__; print(*sys.modules)"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "agent.daemon.reports" in loaded
    drawing = {"agent.report.html", "agent.report.page.charts", "agent.daemon.rendering"}
    assert loaded & drawing == set()


@pytest.mark.parametrize(
    ("limit", "used", "stat", "spare"),
    [
        ("67108864", "50000000", "anon 1\ninactive_file 8000000\nactive_file 2000000\n", 27108864),
        ("67108864", "70000000", "inactive_file 0\n", 0),
        ("max", "1", "", None),
    ],
)
def test_what_a_container_has_left(
    tmp_path: Path, limit: str, used: str, stat: str, spare: int | None
) -> None:
    for name, content in (("max", limit), ("current", used), ("stat", stat)):
        (tmp_path / f"memory.{name}").write_text(f"{content}\n", "ascii")
    assert spare_bytes(tmp_path) == spare


def test_what_a_container_has_left_on_cgroup_v1(tmp_path: Path) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    for name, content in (
        ("limit_in_bytes", str(64 << 20)),
        ("usage_in_bytes", str(40 << 20)),
        ("stat", f"cache 1\ninactive_file {4 << 20}\nactive_file 0"),
    ):
        (folder / f"memory.{name}").write_text(f"{content}\n", "ascii")
    assert spare_bytes(tmp_path) == 28 << 20
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n", "ascii")
    assert spare_bytes(tmp_path) is None
    assert spare_bytes(tmp_path / "nothing") is None
