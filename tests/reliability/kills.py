"""Scenarios in which the container runtime is killed, or nearly."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.agents import kill_lines, oom_lines
from tests.node_tree import uid
from tests.reliability.machine import Load, Strain
from tests.reliability.scenario import PAGE, SILENT, Scenario, incident
from tests.reliability.stage import Stage

_MB = 1_000_000
HURT = ("pg-0", "web-1")
_BACKUP = {"pg-0": Load(read_bytes=240 * _MB), "pg-backup-1": Load(written_bytes=2 * _MB)}
SATURATED = Strain(io_share=0.95, loads=_BACKUP)
_WITH_WRITER = Strain(io_share=0.95, loads=_BACKUP | {"report-7": Load(written_bytes=3 * _MB)})
_SQUEEZED = Strain(
    io_share=0.3,
    memory_share=0.9,
    available_kib=40_000,
    loads={
        "pg-0": Load(read_bytes=2 * _MB),
        "report-7": Load(read_bytes=90 * _MB, refaults=20_000, stalled_share=0.5),
    },
)
_HOG = {"report-7": Load(cpu_share=1.9)}
_BUSY = Strain(cpu_share=0.9, runtime_cpu_share=0.03, loads=_HOG)
_FROZEN = Strain(cpu_share=0.9, runtime_cpu_share=0.0, loads=_HOG)
KILL = incident("io_saturation", killer="health_monitor", pods=HURT, alert=PAGE)
BY_BACKUP = replace(KILL, offender="pg-backup-1")
_OOM = incident("container_oom", killer="oom_killer", pods=("report-7",), alert=SILENT)
STRAINED_S = 14.0


def _killed(stage: Stage) -> None:
    stage.strikes(kill_lines())
    stage.relax()
    stage.re_creates(*HURT)


def _founding(stage: Stage) -> None:
    stage.announces_backup()
    stage.strain(SATURATED, STRAINED_S)
    _killed(stage)


def _near_miss(stage: Stage) -> None:
    stage.announces_backup()
    stage.strain(SATURATED, 8.0)
    stage.strikes()
    stage.relax()
    time.sleep(6.0)


def _bystander(stage: Stage) -> None:
    stage.announces_backup()
    stage.strain(_WITH_WRITER, STRAINED_S)
    _killed(stage)


def _squeeze(stage: Stage) -> None:
    stage.announces_backup()
    stage.strain(_SQUEEZED, STRAINED_S)
    _killed(stage)


def _client_killed(stage: Stage) -> None:
    """The backup's client is gone an instant before docker hangs for another reason."""
    stage.announces_backup()
    time.sleep(2.0)
    stage.backup_is_killed()
    stage.machine.hung.set()
    time.sleep(STRAINED_S)
    _killed(stage)


def _starved(stage: Stage) -> None:
    stage.strain(_BUSY, STRAINED_S)
    _killed(stage)


def _frozen(stage: Stage) -> None:
    stage.is_watched(8)  # a counter that nobody saw move says nothing by standing still
    stage.strain(_FROZEN, STRAINED_S)
    _killed(stage)


def _api_down(stage: Stage) -> None:
    port = stage.api.port
    stage.api.refuse()
    stage.announces_backup()
    stage.strain(SATURATED, STRAINED_S)
    _killed(stage)
    time.sleep(6.0)
    stage.api.accept(port)


def _two_at_once(stage: Stage) -> None:
    stage.announces_backup()
    stage.strain(SATURATED, STRAINED_S)
    stage.strikes([*kill_lines(), *oom_lines(uid(3))])
    stage.relax()
    stage.re_creates(*HURT)


KILLS = {
    "founding incident": Scenario(
        "an unthrottled base backup reads 240 MB/s, docker does not answer, its monitor kills it",
        _founding,
        (BY_BACKUP,),
    ),
    "near miss": Scenario("the same for 8 s: slow, and not killed", _near_miss),
    "innocent bystander": Scenario(
        "another pod writes a little while the backup saturates the disk",
        _bystander,
        (replace(BY_BACKUP, never=frozenset({"report-7"})),),
    ),
    "innocent backup": Scenario(
        "a throttled backup (2 MB/s) beside a memory squeeze by another pod",
        _squeeze,
        (
            replace(
                KILL,
                causes=frozenset({"memory_pressure"}),
                never=frozenset({"pg-backup-1", "pg-0"}),
            ),
        ),
    ),
    "backup client killed": Scenario(
        "SIGKILL to the backup's client; docker hangs later, for a reason nobody knows",
        _client_killed,
        (
            replace(
                KILL,
                causes=frozenset({"runtime_hang"}),
                never=frozenset({"pg-backup-1", "pg-0"}),
            ),
        ),
    ),
    "processors busy": Scenario(
        "tasks wait for a processor 90 % of the time; dockerd gets a thirtieth of one, and is late",
        _starved,
        (replace(KILL, causes=frozenset({"cpu_starvation"}), offender="report-7"),),
    ),
    "dockerd frozen": Scenario(
        "dockerd stands still (as after SIGSTOP), while tasks wait for a processor just as much",
        _frozen,
        (replace(KILL, causes=frozenset({"runtime_hang"}), never=frozenset({"report-7", "pg-0"})),),
    ),
    "API server down": Scenario(
        "the founding incident; the API server is away from before it to 6 s after",
        _api_down,
        (BY_BACKUP,),
    ),
    "two incidents at once": Scenario(
        "the founding incident, and a container at its own memory limit in the same second",
        _two_at_once,
        (BY_BACKUP, _OOM),
    ),
}
