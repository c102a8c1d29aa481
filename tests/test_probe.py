"""The question to the runtime: answered, late, half, refused; and what becomes of its time."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("h2", reason="the probe of CRI runtimes needs h2")

from agent.model import Kind, Probe, Trust
from agent.recorder.cri import ListPods
from agent.recorder.docker_ps import DockerPs
from agent.recorder.probe import NearMisses, NoAnswer, Prober, ProbeSettings
from tests.fake_runtimes import chunked, cri, drop_by_drop, http, plain, runtime, silent

GARBAGE = bytes(range(256)) * 400


@pytest.mark.parametrize(
    "answer",
    [
        plain(),
        plain(body=b""),
        plain(body=b"x" * 300_000),
        chunked(b"[", b"x" * 100_000, b"]"),
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200\r\ncontent-length:2\r\n\r\n[]",
    ],
)
def test_docker_answers(tmp_path: Path, answer: bytes) -> None:
    with runtime(tmp_path / "s", http(answer)):
        DockerPs(tmp_path / "s").ask(5.0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "hung up before"),
        (GARBAGE, "speak HTTP"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "speak HTTP"),
        (plain("500 Internal Server Error"), "answered 500"),
        (plain()[:-3], "broke off"),
        (chunked(b"abc")[:-9], "broke off"),
        (chunked(b"abc").replace(b"3\r\n", b"zz\r\n"), "no size"),
        (chunked(b"abc").replace(b"3\r\n", b"-3\r\n"), "too long"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", "too long"),
    ],
)
def test_docker_does_not_answer(tmp_path: Path, answer: bytes, why: str) -> None:
    with runtime(tmp_path / "s", http(answer)), pytest.raises(NoAnswer, match=why):
        DockerPs(tmp_path / "s").ask(5.0)


def test_nobody_listens(tmp_path: Path) -> None:
    for question in (DockerPs(tmp_path / "s"), ListPods(tmp_path / "s")):
        with pytest.raises(NoAnswer, match="No such file"):
            question.ask(1.0)


def test_a_runtime_that_accepts_nobody_is_waited_for(tmp_path: Path) -> None:
    """Its queue is full of others who wait: the state of a dockerd that hangs."""
    with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as others:
        server.bind(str(tmp_path / "s"))
        server.listen(0)
        waiting = others.enter_context(socket.socket(socket.AF_UNIX))
        waiting.connect(str(tmp_path / "s"))
        begun_s = time.monotonic()
        with pytest.raises(NoAnswer, match="in time"):
            DockerPs(tmp_path / "s").ask(0.3)
        assert time.monotonic() - begun_s >= 0.3


@pytest.mark.parametrize("talk", [silent, drop_by_drop(plain(), 0.05), drop_by_drop(GARBAGE, 0.05)])
def test_patience_ends_however_the_time_is_spent(tmp_path: Path, talk: object) -> None:
    with runtime(tmp_path / "s", talk):  # type: ignore[arg-type]
        for question in (DockerPs(tmp_path / "s"), ListPods(tmp_path / "s")):
            begun_s = time.monotonic()
            with pytest.raises(NoAnswer):
                question.ask(0.3)
            assert time.monotonic() - begun_s < 5.0


@pytest.mark.parametrize("versions", [("v1",), ("v1alpha2",), ("v1", "v1alpha2")])
@pytest.mark.parametrize("body_bytes", [5, 300_000])
def test_a_cri_runtime_answers(tmp_path: Path, versions: tuple[str, ...], body_bytes: int) -> None:
    with runtime(tmp_path / "s", cri(versions, body_bytes=body_bytes)):
        ListPods(tmp_path / "s").ask(5.0)


def test_a_cri_runtime_says_no(tmp_path: Path) -> None:
    with runtime(tmp_path / "a", cri(status="4")), pytest.raises(NoAnswer, match="status 4"):
        ListPods(tmp_path / "a").ask(5.0)
    with runtime(tmp_path / "b", cri(())), pytest.raises(NoAnswer, match="status 12"):
        ListPods(tmp_path / "b").ask(5.0)


@pytest.mark.parametrize("answer", [b"", GARBAGE, plain(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_what_answers_is_no_cri_runtime(tmp_path: Path, answer: bytes) -> None:
    with runtime(tmp_path / "s", http(answer)), pytest.raises(NoAnswer):
        ListPods(tmp_path / "s").ask(5.0)


class _Asked:
    """A question that waits until it is told to be answered."""

    words, unit = "docker ps", "docker.service"

    def __init__(self, fails: bool = False) -> None:
        self.answer = threading.Event()
        self.asked = threading.Event()
        self.fails = fails
        self.times = 0

    def ask(self, timeout_s: float) -> None:
        self.times += 1
        self.asked.set()
        self.answer.wait(min(timeout_s, 20))
        if self.fails:
            raise NoAnswer("not today")


def until_heard(prober: Prober, wanted: int) -> list[Probe]:
    """Listen for up to ten seconds."""
    heard: list[Probe] = []
    until_s = time.monotonic() + 10
    while len(heard) < wanted and time.monotonic() < until_s:
        heard += prober.heard()
        time.sleep(0.01)
    return heard


@pytest.mark.parametrize("fails", [False, True])
def test_a_prober_asks_again_and_again(fails: bool) -> None:
    question = _Asked(fails)
    question.answer.set()
    prober = Prober(question, ProbeSettings(mean_gap_s=0.01), rng=random.Random(1))
    prober.start()
    heard = until_heard(prober, 5)
    prober.stop(5.0)
    assert len(heard) >= 5
    assert {probe.answered for probe in heard} == {not fails}
    assert prober.last_error == ("not today" if fails else "")


def test_a_question_that_hangs_is_heard_while_it_hangs() -> None:
    question = _Asked()
    prober = Prober(question, ProbeSettings(mean_gap_s=0.01))
    prober.start()
    assert question.asked.wait(10)
    begun_s = time.monotonic()
    waiting = until_heard(prober, 3)
    assert time.monotonic() - begun_s < 9
    assert len({probe.at_s for probe in waiting}) == 1
    assert [probe.answered for probe in waiting] == [False] * len(waiting)
    assert waiting[-1].took_s > waiting[0].took_s >= 1.0
    assert question.times == 1, "one question at a time"
    question.answer.set()
    last = until_heard(prober, 1)[0]
    prober.stop(5.0)
    assert last.answered or until_heard(prober, 1)[0].answered


def test_gaps_are_random_around_their_mean() -> None:
    rng = random.Random(2)
    gaps = [rng.expovariate(1 / ProbeSettings().mean_gap_s) for _ in range(2000)]
    assert 9 < sum(gaps) / len(gaps) < 11
    assert min(gaps) < 0.1
    assert max(gaps) > 40


def test_a_near_miss_is_told_once_and_before_it_ends() -> None:
    near = NearMisses(_Asked(), killer_timeout_s=60)
    seen = [near.fact(Probe(100.0, "docker ps", took_s, took_s > 44)) for took_s in (5, 19, 21, 45)]
    told = [fact for fact in seen if fact]
    assert len(told) == 1
    fact = told[0]
    assert (fact.kind, fact.source, fact.trust) == (Kind.RUNTIME_SLOW, "probe", Trust.TRUSTED)
    assert fact.at_s == 121.0
    assert str(fact.subject) == "unit/docker.service"
    assert fact.text == "docker ps has waited 21.0 s; who kills the runtime waits 60 s"
    assert near.fact(Probe(300.0, "docker ps", 20.1, True)) is not None
    assert near.fact(Probe(400.0, "docker ps", 19.9, False)) is None
