"""Scenarios in which the node's own disks fail it: one takes no writes, one has no room."""

from __future__ import annotations

import secrets
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.agents import kill_lines, now_us
from tests.reliability.kills import BY_BACKUP, HURT, SATURATED, STRAINED_S
from tests.reliability.scenario import SILENT, WRITTEN, Expected, Scenario
from tests.reliability.stage import Stage
from tests.replay import entry

STALL_S = 120.0
_JOURNAL_BYTES = 10 << 20
_PIECE_BYTES = 4000
_MOST_PIECES = 5000


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _disk_stalls(stage: Stage) -> None:
    """The file system under the agent's state is frozen; docker is killed in the first second."""
    image, mounted = stage.folder / "disk.img", stage.agent.state
    with image.open("wb") as file:
        file.truncate(64 << 20)
    stage.agent.stop()
    _run("mkfs.ext4", "-q", "-F", str(image))
    mounted.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(mounted))
    stage.afterwards.callback(_run, "umount", "-l", str(mounted))
    stage.agent.start()
    stage.agent.ready()
    stage.announces_backup()
    stage.strain(SATURATED, STRAINED_S)
    _run("fsfreeze", "-f", str(mounted))
    try:
        began_s = time.monotonic()
        stage.strikes(kill_lines())
        stage.re_creates(*HURT)
        time.sleep(max(0.0, STALL_S - (time.monotonic() - began_s)))
    finally:
        _run("fsfreeze", "-u", str(mounted))
    stage.relax()


def _journal_full(stage: Stage) -> None:
    """The partition fills up under the journal; docker is killed when no line can be logged."""
    with suppress(BrokenPipeError):
        for _ in range(_MOST_PIECES):
            stage.journal.write(
                [entry(now_us(), secrets.token_hex(_PIECE_BYTES), _SYSTEMD_UNIT="docker.service")]
            )
    _fill(stage.agent.journal / "ballast")
    with suppress(BrokenPipeError):
        stage.strikes(kill_lines())
    stage.re_creates(*HURT)


def _fill(path: Path) -> None:
    try:
        with path.open("wb") as file:
            while True:
                file.write(b"x" * 4096)
                file.flush()
    except OSError:
        return


_NOBODY_SAW = tuple(
    Expected(frozenset({"unknown"}), "none", frozenset({pod}), SILENT, events=frozenset())
    for pod in HURT
)
DISKS = {
    "disk stalls 120 s": Scenario(
        "the founding incident while the file system of the agent's state is frozen",
        _disk_stalls,
        (BY_BACKUP,),
        f"{WRITTEN}, a loop device frozen",
    ),
    "journal partition full": Scenario(
        "nothing can be logged when docker is killed: all there is are two pods re-created",
        _journal_full,
        _NOBODY_SAW,
        f"{WRITTEN} to a full tmpfs",
        journal_bytes=_JOURNAL_BYTES,
    ),
}
