"""`knockon backup exec -- CMD`: govern any backup tool, whoever wrote it.

The program keeps its streams, its signals and its exit status. Statuses of our own are those of a
shell: 126 it cannot be run, 127 it was not found, 128+n it died of signal n; 2 for our own usage.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import UserError
from agent.printable import safe
from agent.recorder.host import Host
from backup.announce import RENEW_EVERY_S, announced, announcement, renew, sweep
from backup.foreign.doctor import data_disks, freeze_lever, pressure_lever
from backup.foreign.freeze import LEAST_LONGEST_S, LONGEST_S, MOST_LONGEST_S, Duty, Slices
from backup.foreign.governor import Noded, OwnStalls, Wish, used_bytes
from backup.foreign.keeper import CANNOT_RUN, NOT_FOUND, Start, let_go_of_streams
from backup.foreign.kin import moved, state
from backup.foreign.link import Message, Word
from backup.foreign.steer import Actuators, Counters, Governing, Meter, Progress, Steering
from backup.foreign.supervise import Ears, Ended, Terminal, supervise
from backup.foreign.tree import Ready, Tree
from backup.levers import limits, priority
from backup.levers.lever import Lever, as_lines
from backup.levers.readers import Reader, reader_lever, reader_of, seen_from
from backup.quantities import bytes_per_s, seconds
from backup.sensors.devices import all_disks, number_of

MOST_LINES = 12


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = subparsers.add_parser(
        "exec",
        help="govern any other tool: exec -- CMD...",
        description="Run a backup tool as fast as the node can afford, and end all of it with us.",
        epilog="exit status: the program's own; 128+n died of signal n, 127 not found, 126 cannot "
        "be run, 2 usage. SIGTERM, SIGINT, SIGHUP, SIGUSR1/2 and SIGWINCH are passed on.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--ceiling", metavar="200MB/s", help="never faster")
    add("--deadline", metavar="6h", help="be done by then; a miss is announced, not hidden")
    add("--on-miss", choices=["late", "harm"], default="late", help="when it cannot be met")
    add("--probe", metavar="WHAT", default="", help="docker:///var/run/docker.sock or file:PATH")
    add("--data", type=Path, metavar="DIR", help="where the data lies; default PGDATA, else here")
    add("--freeze", action="store_true", help="may stop the program for moments, as a last lever")
    add("--freeze-slice", type=float, default=LONGEST_S, metavar="S", help="at most so long (1)")
    add("--quiet", action="store_true", help="print nothing of our own")
    add("argv", nargs=argparse.REMAINDER, metavar="-- CMD", help="the program and its arguments")


def run(options: argparse.Namespace) -> int:
    """Run the program and return its status."""
    return execute(_job(options), Host())


@dataclass(frozen=True, slots=True)
class Job:
    """What to run, and what is asked of it."""

    argv: tuple[str, ...]
    wish: Wish
    freeze: bool = False
    slice_s: float = LONGEST_S
    quiet: bool = False


def _job(options: argparse.Namespace) -> Job:
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise UserError("exec what?", "knockon backup exec [options] -- CMD ARGUMENTS")
    if not LEAST_LONGEST_S <= options.freeze_slice <= MOST_LONGEST_S:
        raise UserError(
            f"--freeze-slice {options.freeze_slice:g} is not between {LEAST_LONGEST_S:g} and "
            f"{MOST_LONGEST_S:g} s",
            "it has to stay far below wal_sender_timeout and tcp_user_timeout",
        )
    data = options.data or Path(os.environ.get("PGDATA") or Path.cwd())
    if not data.exists():
        raise UserError(f"--data {safe(str(data))}: no such folder", "the folder of the data")
    wish = Wish(
        data=data,
        probe=options.probe,
        ceiling_bytes_per_s=bytes_per_s(options.ceiling) if options.ceiling else None,
        deadline_s=seconds(options.deadline) if options.deadline else None,
        expected_bytes=used_bytes(data) if options.deadline else None,
        keep_deadline=options.on_miss == "harm",
    )
    return Job(tuple(argv), wish, options.freeze, options.freeze_slice, options.quiet)


Pilot = Callable[[Progress], Governing]


def execute(job: Job, host: Host, pilot: Pilot | None = None) -> int:
    """Govern one program from before its start until nothing of it is left."""
    missing = _missing(job.argv[0])
    if missing:
        return _cannot(job.argv[0], missing)
    ears, terminal = Ears(), Terminal()
    with contextlib.ExitStack() as scope:
        scope.callback(ears.close)
        scope.enter_context(ears.listening())
        scope.callback(terminal.close)
        cage = limits.build(host, all_disks(host))
        scope.callback(cage.remove)
        tree = Tree(Start(job.argv, cage.folders, cage.freeze_file, terminal.fd))
        scope.callback(tree.close)
        ready = tree.ready()
        if ready is None:
            return _cannot(job.argv[0], errno.ECHILD)
        cage.refused(ready.not_entered)
        choose = pilot or (lambda seen: Noded(job.wish, seen, host, _own_stalls(cage)))
        governing = choose(_meter(job, cage, tree))
        if not job.quiet:
            _print(_opening(job, host, cage, ready, governing.take_notices()))
        governing.start()
        scope.callback(governing.stop)
        steering = _steering(job, cage, tree, governing)
        steering.tick(time.monotonic())  # the first byte is already under the limit
        answer = tree.go()
        if answer is None or answer.word is not Word.STARTED:
            return _cannot(job.argv[0], _errno_of(answer))
        let_go_of_streams()  # for good: this process has nothing to write there
        chores = scope.enter_context(_chores(job, host, governing))
        ended = supervise(tree, ears, terminal, steering, chores)
    if not job.quiet:
        _print(_closing(ended, steering, governing))
    return ended.status


def _steering(job: Job, cage: limits.Cage, tree: Tree, governing: Governing) -> Steering:
    slices = Slices(longest_s=job.slice_s)
    now_s = time.monotonic()
    duty = Duty(governing.allowed_bytes_per_s(), now_s, slices) if job.freeze else None
    return Steering(governing, Actuators(cage.throttle, duty), _meter(job, cage, tree))


def _own_stalls(cage: limits.Cage) -> OwnStalls:
    files = [folder / "io.pressure" for folder in cage.folders]
    known = next((file for file in files if file.exists()), None)
    return OwnStalls(known, capped=cage.throttle is not None)


def _meter(job: Job, cage: limits.Cage, tree: Tree) -> Meter:
    """Count what a client of a server passes on, else what reaches the disk."""
    server = reader_of(job.argv) is Reader.SERVER
    words = ("rchar", "wchar") if server else ("read_bytes", "write_bytes")

    def counters() -> Counters:
        if cage.throttle is not None and not server:
            return cage.throttle.moved()
        found = moved(tree.family())
        return {word: found[word] for word in words if word in found}

    def waits() -> bool:
        return tree.held or any(state(pid) == "D" for pid in tree.family())

    return Meter(counters, waits)


@contextlib.contextmanager
def _chores(job: Job, host: Host, governing: Governing) -> Iterator[Callable[[float], None]]:
    """Announce the backup on this node; what is returned is for every second."""
    tool = Path(job.argv[0]).name
    said = announcement(number_of(job.wish.data), str(job.wish.data), tool, host)
    renewed_at_s = time.monotonic()
    sweep(host, time.time())  # noqa: TID251 - files carry the wall's time
    with announced(said, host) as path:

        def chores(now_s: float) -> None:
            nonlocal renewed_at_s
            if path is not None and now_s - renewed_at_s > RENEW_EVERY_S:
                renewed_at_s = now_s
                renew(path)
            told = governing.take_notices()
            if told and not job.quiet:
                _print([f"exec: {notice}" for notice in told])

        yield chores


def _missing(name: str) -> int:
    """Return the errno that exec would fail with, before anything is set up for it."""
    if shutil.which(name):
        return 0
    found = Path(name) if "/" in name else None
    return errno.EACCES if found is not None and found.exists() else errno.ENOENT


def _errno_of(answer: Message | None) -> int:
    return answer.number if answer is not None and answer.word is Word.FAILED else errno.ECHILD


def _cannot(name: str, number: int) -> int:
    shown = safe(name)
    if number == errno.ENOENT:
        _print([f"{shown}: command not found (is it installed here, and in PATH?)"])
        return NOT_FOUND
    _print([f"{shown}: cannot be run: {os.strerror(number)}"])
    return CANNOT_RUN


def _opening(
    job: Job, host: Host, cage: limits.Cage, ready: Ready, notices: Sequence[str]
) -> list[str]:
    """Say in a dozen lines at most what will bite here and what will not."""
    disks = data_disks(host, job.wish.data)
    reader = reader_of(job.argv)
    levers: Sequence[Lever] = (
        *cage.levers,
        *priority.levers(disks, dict(ready.priority), in_groups=limits.weighed_in_groups(host)),
        freeze_lever(job.freeze, job.slice_s, cage.freeze_file is not None),
        pressure_lever(host),
    )
    named = ", ".join(f"{disk.name} ({disk.scheduler or 'no scheduler'})" for disk in disks)
    head = f"exec: governing {safe(job.argv[0])}, data on {named or 'no disk that is known'}"
    told = [f"exec: {notice}" for notice in notices]
    said = [reader_lever(reader), *seen_from(reader, levers)]
    return [head, *told, *as_lines(said, MOST_LINES - 1 - len(told))]


def _closing(ended: Ended, steering: Steering, governing: Governing) -> list[str]:
    said: list[str] = []
    if ended.keeper_lost:
        said.append("exec: the keeper was killed; the program was ended with all it had started")
    if ended.left:
        said.append(f"exec: the program left {ended.left} running, ended as well")
    if steering.complaint:
        said.append(f"exec: a limit was refused while running: {steering.complaint}")
    megabytes = steering.meter.total_bytes / 1e6
    held = [governing.summary()]
    if steering.frozen_s:
        held.append(f"stopped for {steering.frozen_s:.1f} s in slices")
    words = "; ".join(word for word in held if word)
    said.append(f"exec: ended with {ended.status}, moved {megabytes:.0f} MB{words and '; '}{words}")
    return said


def _print(lines: Sequence[str]) -> None:
    """Write to standard error; nobody there to read it is no reason to fail a backup."""
    with contextlib.suppress(OSError):
        sys.stderr.write("".join(f"knockon: {line}\n" for line in lines))
        sys.stderr.flush()
