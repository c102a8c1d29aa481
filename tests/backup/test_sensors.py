"""The sensors, with fakes for what goes wrong and with this machine's own disk and PSI."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from random import Random

import pytest

from agent.errors import NoData, UserError
from agent.recorder.host import Host
from backup.sensors.canary import BLOCK_BYTES, Canary
from backup.sensors.cpu_wait import excusing
from backup.sensors.node import Manner, NodeSensors, Prober, PsiMeter, Sensed


class Answers:
    """A question whose answers take as long as the test says, on the test's clock."""

    def __init__(self, *took_s: float) -> None:
        self.now_s, self._took = 0.0, list(took_s)
        self.error: Exception | None = None

    def now(self) -> float:
        return self.now_s

    def __call__(self) -> None:
        self.now_s += self._took.pop(0)
        if self.error:
            raise self.error


def prober(answers: Answers, seed: int = 1) -> Prober:
    return Prober("disk", answers, now=answers.now, random=Random(seed))


def big_file(folder: Path, size: int = 4 << 20) -> Path:
    path = folder / "big"
    path.write_bytes(os.urandom(size))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return path


def test_the_worst_answer_since_the_last_look_is_told_once() -> None:
    answers = Answers(0.001, 0.03, 0.002)
    probe = prober(answers)
    for _ in range(3):
        probe.ask_once()
    seen = probe.look(answers.now_s, quiet=True, eager=False)
    assert seen.queue_s == pytest.approx(0.029)
    assert seen.base_s == pytest.approx(0.001)
    assert probe.look(answers.now_s, quiet=False, eager=False).queue_s == 0.0


def test_nothing_is_said_before_the_first_answer() -> None:
    assert prober(Answers()).look(0.0, quiet=True, eager=True).queue_s is None


def test_a_question_that_hangs_counts_with_its_age_and_becomes_killer_grade() -> None:
    asked, free = threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        free.wait(10.0)

    probe = Prober("disk", hang, Manner(gap_s=0.001, killer_grade_s=2.0))
    probe.start()
    assert asked.wait(5.0)
    now_s = time.monotonic()
    soon = probe.look(now_s + 0.5, quiet=False, eager=False)
    late = probe.look(now_s + 3.0, quiet=False, eager=False)
    free.set()
    probe.stop()
    assert soon.queue_s is not None
    assert 0.4 < soon.queue_s < 2.0
    assert (soon.killer_grade, late.killer_grade) == (False, True)


def test_an_error_is_a_blind_spot_and_a_slow_error_is_a_hang() -> None:
    answers = Answers(0.001, 5.0)
    answers.error = OSError("no such socket")
    probe = prober(answers)
    probe.ask_once()
    seen = probe.look(answers.now_s, quiet=False, eager=False)
    assert (seen.queue_s, seen.blind) == (None, ("disk: no such socket",))
    probe.ask_once()
    assert probe.look(answers.now_s, quiet=False, eager=False).killer_grade


def test_gaps_are_exponential_shorter_when_eager_and_longer_for_a_slow_disk() -> None:
    answers = Answers(0.0001, 0.05)
    probe = prober(answers)
    probe.ask_once()
    gaps = [probe.gap_s() for _ in range(4000)]
    assert sum(gaps) / 4000 == pytest.approx(0.1, rel=0.1)
    assert sum(gap > 0.1 for gap in gaps) / 4000 == pytest.approx(0.37, abs=0.04)
    probe.look(0.0, quiet=False, eager=True)
    assert sum(probe.gap_s() for _ in range(4000)) / 4000 == pytest.approx(0.02, rel=0.1)
    probe.ask_once()
    probe.look(0.0, quiet=False, eager=False)
    assert sum(probe.gap_s() for _ in range(4000)) / 4000 == pytest.approx(0.5, rel=0.1)


def test_what_a_processor_made_us_wait_is_not_the_disk_s() -> None:
    answers = Answers(0.0, 0.03)

    def asked() -> float:
        answers()
        return 0.028 if answers.now_s else 0.0

    probe = Prober("disk", asked, now=answers.now, random=Random(1))
    probe.ask_once()
    probe.ask_once()
    assert probe.look(answers.now_s, quiet=True, eager=False).queue_s == pytest.approx(0.002)
    assert excusing(lambda: None)() >= 0.0


def test_one_late_answer_of_five_is_not_the_usual_one() -> None:
    answers = Answers(0.001, 0.001, 0.03, 0.001, 0.001)
    probe = prober(answers)
    for _ in range(5):
        probe.ask_once()
    seen = probe.look(answers.now_s, quiet=False, eager=False)
    assert seen.queue_s == pytest.approx(0.029)
    assert seen.usual_queue_s == pytest.approx(0.0)


def test_the_worse_of_two_probers_is_believed_and_a_blind_one_is_named() -> None:
    fine, slow, gone = Answers(0.001), Answers(0.0002, 0.04), Answers(0.001)
    gone.error = NoData("cached")
    probers = [prober(fine), prober(slow), prober(gone)]
    for probe in probers:
        probe.ask_once()
    probers[1].ask_once()
    seen = NodeSensors(probers, None).read(1.0, quiet=False, eager=False)
    assert seen.queue_s == pytest.approx(0.0398)
    assert seen.blind == ("disk: cached",)


def test_pressure_is_the_total_s_growth_above_what_the_node_shows_anyway(tmp_path: Path) -> None:
    file = tmp_path / "proc" / "pressure" / "io"
    file.parent.mkdir(parents=True)
    meter, shares = PsiMeter(Host(tmp_path)), []
    for tick, total_us in enumerate((0, 20_000, 110_000, 130_000)):
        file.write_text(f"some avg10=0.00 avg60=0.00 avg300=0.00 total={total_us}\n")
        shares.append(meter.share(tick * 0.1))
    meter.close()
    assert shares == [None, *(pytest.approx(share) for share in (0.0, 0.7, 0.0))]


def test_a_kernel_without_pressure_is_a_blind_spot(tmp_path: Path) -> None:
    meter = PsiMeter(Host(tmp_path))
    assert meter.share(1.0) is None
    assert "pressure" in NodeSensors([], meter).read(2.0, quiet=False, eager=False).blind[0]


def test_torn_pressure_is_a_blind_spot(tmp_path: Path) -> None:
    file = tmp_path / "proc" / "pressure" / "io"
    file.parent.mkdir(parents=True)
    file.write_text("some avg10=0.00 total=oops")
    assert PsiMeter(Host(tmp_path)).share(1.0) is None


def test_a_canary_wants_a_file_that_is_there_and_big(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        Canary(tmp_path / "none")
    small = tmp_path / "small"
    small.write_bytes(b"x" * BLOCK_BYTES)
    with pytest.raises(UserError):
        Canary(small)


def test_without_direct_io_a_cached_file_says_nothing(tmp_path: Path) -> None:
    canary = Canary(big_file(tmp_path))
    canary._fall_back()
    assert "no direct I/O" in canary.note
    (tmp_path / "big").read_bytes()
    with pytest.raises(NoData):
        canary()
    canary.close()


def test_the_real_disk_and_the_real_pressure_of_this_machine(tmp_path: Path) -> None:
    canary = Canary(big_file(tmp_path))
    probe = Prober("disk", canary, Manner(gap_s=0.005))
    sensors = NodeSensors([probe], PsiMeter(Host()) if Path("/proc/pressure/io").exists() else None)
    sensors.start()
    seen: list[Sensed] = []
    until_s = time.monotonic() + 5.0
    while len(seen) < 6 and time.monotonic() < until_s:
        time.sleep(0.11)
        now = sensors.read(time.monotonic(), quiet=True, eager=False)
        if now.queue_s is not None:
            seen.append(now)
    sensors.stop()
    canary.close()
    assert len(seen) == 6
    assert 0 < seen[-1].base_s < 1.0
    share = seen[-1].psi_stalled_share
    assert share is None or 0 <= share <= 1
