"""One ending, played: boot, calm, backup, and what came of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.drill.backups import Backup, taking
from tests.lab.drill.foreground import Foreground
from tests.lab.drill.node import DATABASE, Check, Node, node
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.watch import Second, Watch
from tests.lab.drill.witness import NOBODY, Told, watching

Tell = Callable[[Second], None]
_BACK_S = 90.0
_WARM_S = 3.0
_READILY = 1 / 3
"""Of the monitor's patience: from there on the agent speaks of a near miss."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one arm came to."""

    ending: Ending
    setting: Setting
    backup_from_s: float
    """When the backup began, in seconds since the drill did."""
    backup_to_s: float | None
    """When all of it was taken; None: it was not."""
    seconds: tuple[Second, ...]
    checks: tuple[Check, ...]
    restarted: tuple[str, ...]
    """Pods whose sandbox is another one than before."""
    said: str = ""
    told: Told = NOBODY

    @property
    def killed(self) -> bool:
        """Whether the health monitor killed docker."""
        return any(second.killed for second in self.seconds)

    @property
    def worst_check_s(self) -> float:
        """The longest the monitor waited."""
        return max((check.took_s for check in self.checks), default=0.0)


def play(
    ending: Ending,
    setting: Setting,
    cache: Path,
    tell: Tell = lambda _: None,
    bundle: Path | None = None,
) -> Outcome:
    """Boot a node, play an ending on it; the node is gone afterwards, but for a bundle of it."""
    folder = tempfile.TemporaryDirectory(prefix="knockon-drill-")
    with node(cache, setting.workers) as booted, folder as scratch:
        booted.start_pods()
        return play_on(booted, ending, setting, tell, Path(scratch), bundle)


def play_on(
    booted: Node,
    ending: Ending,
    setting: Setting,
    tell: Tell,
    scratch: Path,
    bundle: Path | None = None,
) -> Outcome:
    """Play an ending on a node whose pods run; where docker is killed, keep the bundle of it."""
    before, disk = booted.sandboxes(), booted.box.disk
    disk.read_ahead(setting.read_ahead_kb)
    if ending is Ending.IONICE:
        disk.schedule("bfq")
    with Foreground(booted.box.root / DATABASE, setting.app_tps, scratch / "app") as app:
        _narrow(booted, setting)
        with watching(booted, setting.check_s, scratch) as witness:
            booted.start_monitor(setting.check_s, setting.every_s)
            began_s = time.time()
            with Watch(booted, app, tell, began_s) as watch:
                time.sleep(setting.calm_s)
                backup_from_s = time.time() - began_s
                with taking(ending, setting, booted, scratch / "backup") as backup:
                    done_s = _await_end(watch, backup, setting)
                    disk.cap(0, 0)  # what ends now does not wait for the disk
                    booted.box.limit_memory(None)
                    said, done = backup.said, backup.succeeded
                moved = _settle(booted, watch, before)
            killed = [check.at_s + check.took_s for check in watch.kills]
            told = witness.told(killed[0] if killed else None, len(moved))
            if bundle is not None and killed:
                witness.collect(bundle)
    return Outcome(
        ending, setting, round(backup_from_s, 2),
        round(done_s - began_s, 2) if done and done_s else None,
        tuple(watch.seconds), tuple(watch.checks), moved, said, told,
    )  # fmt: skip


def _narrow(booted: Node, setting: Setting) -> None:
    """Make the node as small and its disk as slow as is said, and let it get used to that."""
    time.sleep(_WARM_S)
    booted.limit_memory(setting.room_mb << 20)
    booted.box.disk.cap(setting.disk_mb_s * 1e6, setting.disk_iops)
    booted.settle(setting.check_s * _READILY)


def _await_end(watch: Watch, backup: Backup, setting: Setting) -> float | None:
    """Wait until docker is killed or the time is over; when the backup was done, if it was."""
    until_s = time.monotonic() + setting.length_s
    done_s = None
    while time.monotonic() < until_s and not watch.kills:
        if done_s is None and backup.processes and backup.ended:
            done_s = time.time()
        time.sleep(0.5)
    return done_s


def _settle(booted: Node, watch: Watch, before: dict[str, str]) -> tuple[str, ...]:
    """After a kill, wait until every pod is back; return those that live in another sandbox."""
    until_s = time.monotonic() + (_BACK_S if watch.kills else 0.0)
    while time.monotonic() < until_s:
        if len(_moved(booted, before)) == len(before) and booted.answers():
            break
        time.sleep(1.0)
    return _moved(booted, before)


def _moved(booted: Node, before: dict[str, str]) -> tuple[str, ...]:
    now = booted.sandboxes()
    return tuple(name for name, was in before.items() if now.get(name) not in (None, was))
