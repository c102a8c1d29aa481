"""``knockon record``: look at the flight recorder's last minutes, or try it without the agent."""

from __future__ import annotations

import argparse
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.errors import UserError
from agent.recorder.docker_ps import DockerPs
from agent.recorder.frame import PodName
from agent.recorder.host import Host
from agent.recorder.loop import Probing, Recorder, Second, run
from agent.recorder.memlock import lock_memory
from agent.recorder.probe import NearMisses, Prober, Question
from agent.recorder.ring import RingWriter
from agent.recorder.ring_read import Span, load_ring
from agent.recorder.sampler import Sampler
from agent.recorder.table import Look, table
from agent.report.screen import Screen

Write = Callable[[str], None]
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
_LAST = re.compile(r"(\d+(?:\.\d+)?)([smh]?)\Z")
_POD_LOGS = re.compile(r"(?P<ns>[^_]+)_(?P<name>[^_]+)_(?P<uid>[0-9a-f-]{32,36})\Z")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = parser.add_argument
    add("action", choices=("show", "run"), help="show the last minutes, or record")
    add("--root", type=Path, default=Path("/"), metavar="DIR", help="a host's / as mounted here")
    add("--ring", type=Path, metavar="FILE", help="the ring; else run/knockon/recorder.ring of it")
    add("--last", type=_seconds, default=300.0, metavar="5m", help="show: so much of the end")
    add("--pod", default="", metavar="NS/NAME", help="show: one pod and its containers")
    add("--for", dest="for_s", type=_seconds, metavar="SECONDS", help="run: end after this time")
    add("--docker", type=Path, metavar="SOCKET", help="run: also ask dockerd what monitors ask")
    add("--cri", type=Path, metavar="SOCKET", help="run: the same for containerd or CRI-O")
    add("--no-color", action="store_true", help="no colour, as NO_COLOR in the environment")


def _seconds(text: str) -> float:
    found = _LAST.match(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time; write 90s, 5m or 1h")
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def command(options: argparse.Namespace, screen: Screen, write: Write) -> int:
    """Do what was asked; 0 when it was done."""
    host = Host(options.root)
    ring = options.ring or host.ring
    if options.action == "show":
        return _show(ring, options, screen, write)
    return _record(host, ring, options, write)


def _show(ring: Path, options: argparse.Namespace, screen: Screen, write: Write) -> int:
    if not ring.is_file():
        raise UserError(f"{ring}: no ring here", "name one with --ring, or record one first")
    newest = load_ring(ring, parts=False).last_s
    span = Span(newest - options.last) if newest is not None else Span()
    recording = load_ring(ring, span, parts=bool(options.pod), names=_names_on(Host(options.root)))
    columns = max(10, min(screen.width - 60, 60))
    write(table(recording, Look(options.pod, columns, screen.unicode)))
    return 0


def _names_on(host: Host) -> Mapping[str, PodName]:
    """Learn names from the kubelet's log folders: for looking, not while recording (a disk)."""
    try:
        names = [folder.name for folder in host.pod_logs.iterdir()]
    except OSError:
        return {}
    found = filter(None, map(_POD_LOGS.match, names))
    return {one["uid"]: (one["ns"], one["name"]) for one in found}


def _record(host: Host, ring: Path, options: argparse.Namespace, write: Write) -> int:
    questions = _questions(options)
    writer = RingWriter(ring)
    probers = [Prober(one) for one in questions]
    pairs = zip(probers, questions, strict=True)
    probing = [Probing(prober, NearMisses(question)) for prober, question in pairs]
    sampler = Sampler(host)
    recorder = Recorder(sampler, writer, probing)
    stop = threading.Event()
    voice = _Voice(write)
    why_not = lock_memory()
    write(f"knockon: recording to {ring}; Ctrl-C ends it{f' ({why_not})' if why_not else ''}\n")
    for prober in probers:
        prober.start()
    timer = threading.Timer(options.for_s, stop.set) if options.for_s else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        run(recorder, stop, voice.hear)
    except KeyboardInterrupt:
        pass
    finally:
        if timer:
            timer.cancel()
        groups = sampler.groups
        recorder.close()
    write(
        f"knockon: {voice.seconds} samples of {groups} control groups, {voice.bytes_of(writer)}\n"
    )
    return 0


def _questions(options: argparse.Namespace) -> list[Question]:
    questions: list[Question] = [DockerPs(options.docker)] if options.docker else []
    if options.cri:
        try:
            from agent.recorder.cri import ListPods
        except ImportError as error:
            raise UserError("--cri needs h2", "pip install 'knockon[agent]'") from error
        unit = "crio.service" if "crio" in str(options.cri) else "containerd.service"
        questions.append(ListPods(options.cri, unit))
    return questions


class _Voice:
    """Says what changes; a recorder that has nothing to say is silent."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._said: set[str] = set()
        self.seconds = 0

    def hear(self, second: Second) -> None:
        """Take in one second."""
        self.seconds += 1
        for fact in second.facts:
            self._write(f"knockon: {fact.text}\n")
        for text in (*(gap.why for gap in second.taken.gaps), second.ring_error):
            if text and text not in self._said:
                self._said.add(text)
                self._write(f"knockon: {text}\n")

    def bytes_of(self, writer: RingWriter) -> str:
        """Say how much was written, and what an hour of it would be."""
        an_hour = writer.written_bytes / max(self.seconds, 1) * 3600
        return f"{writer.written_bytes} bytes, {an_hour / 2**20:.2f} MiB an hour"
