"""What may befall a node, and what must be told of it: the rows of docs/reliability.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.agents import until
from tests.lab.drill.node import PODS, Node
from tests.lab.drill.witness import Witness, settings_of
from tests.lab.scenarios import SCENARIOS

CHECK_S = 5.0
DISK_STALL_S = 120.0
_HOGS, _BUSY_S = 6, 15.0
_PID = "systemctl show -p MainPID --value docker.service"
_DOCKER, _RUNTIME = "kube-docker-monitor.service", "kube-container-runtime-monitor.service"


@dataclass(frozen=True, slots=True)
class Stage:
    """What a fault may reach for: the node, the agent on it, the API server."""

    booted: Node
    witness: Witness


@dataclass(frozen=True, slots=True)
class Expected:
    """One incident that must be told, once."""

    killer: str
    causes: frozenset[str]
    victims: int
    planned: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done, whether by injection, and the truth about it."""

    act: Callable[[Stage], None]
    says: str
    expected: tuple[Expected, ...] = ()
    injected: str = ""
    monitor: str | None = _DOCKER
    if_killed: tuple[Expected, ...] = ()
    """What must be told as well where the monitor gave up, which this fault leaves to the node."""


def _hang(stage: Stage) -> None:
    """Freeze dockerd until the monitor gives up; thaw it, so that its signal lands."""
    box = stage.booted.box
    pid, known = box.check(_PID).strip(), _timeouts(stage)
    box.check(f"kill -STOP {pid}")
    until(lambda: _timeouts(stage) > known, str, 60)
    box.check(f"kill -CONT {pid}")


def _hang_while_busy(stage: Stage) -> None:
    """The same beside tasks that take all processors: whoever is frozen wants none."""
    box = stage.booted.box
    hogs = [f"hog-{number}" for number in range(_HOGS)]
    for hog in hogs:
        box.check(f"systemd-run --quiet --unit={hog} sh -c 'while :; do :; done'")
    time.sleep(_BUSY_S)
    _hang(stage)
    box.check(f"systemctl stop {' '.join(hogs)}")


def _timeouts(stage: Stage) -> int:
    return sum(check.status != 0 for check in stage.booted.checks())


def _near_miss(stage: Stage) -> None:
    box = stage.booted.box
    pid = box.check(_PID).strip()
    box.check(f"kill -STOP {pid}")
    time.sleep(CHECK_S * 0.6)
    box.check(f"kill -CONT {pid}")
    time.sleep(10.0)


def _disk_stall(stage: Stage) -> None:
    """Nothing is answered by the disk; what happens to docker then is the monitor's affair."""
    stage.booted.box.disk.stall()
    time.sleep(DISK_STALL_S)
    stage.booted.box.disk.cap(0, 0)


def _agent_killed(stage: Stage) -> None:
    _hang(stage)
    stage.witness.one.kill()
    time.sleep(1.0)
    stage.witness.one.start()


def _api_down(stage: Stage) -> None:
    api = stage.witness.api
    port = api.port
    api.refuse()
    _hang(stage)
    time.sleep(20.0)
    api.accept(port)


def _reboot(stage: Stage) -> None:
    stage.witness.one.stop()
    stage.booted.box.reboot()
    _watch_again(stage)


def _power_loss(stage: Stage) -> None:
    stage.witness.one.kill()
    stage.booted.box.lose_power()
    _watch_again(stage)


def _watch_again(stage: Stage) -> None:
    """Start the agent on the node as it is after a boot, with what it remembers."""
    one, booted = stage.witness.one, stage.booted
    until(booted.answers, str, 90)
    one.settings |= settings_of(booted, CHECK_S)
    one.start()
    one.ready()


def _recorded(name: str) -> Callable[[Stage], None]:
    return lambda stage: SCENARIOS[name].act(stage.booted.box, lambda _: None)


def _killed(*causes: str) -> tuple[Expected, ...]:
    return (Expected("health_monitor", frozenset(causes), PODS),)


_FROZEN = "SIGSTOP of dockerd"
FAULTS: Mapping[str, Fault] = {
    "monitor kill of 2018": Fault(
        _hang, "dockerd hangs; `pkill docker`", _killed("runtime_hang"), _FROZEN
    ),
    "monitor kill of 2020": Fault(
        _hang, "dockerd hangs; `systemctl kill`", _killed("runtime_hang"), _FROZEN, _RUNTIME
    ),
    "frozen while processors are busy": Fault(
        _hang_while_busy, "dockerd hangs while six tasks take all processors",
        _killed("runtime_hang"), _FROZEN,
    ),
    "near miss": Fault(_near_miss, "slow, and not killed", (), _FROZEN),
    "planned restart": Fault(
        _recorded("planned-restart"),
        "`systemctl restart docker`",
        (Expected("operator", frozenset({"planned_restart"}), PODS, planned=True),),
        monitor=None,  # it would take the pause for a hang, and pkill would find the upgrade too
    ),
    "planned restart, monitor on": Fault(
        _recorded("planned-restart"),
        "the monitor meets the pause and kills what is coming up",
        (Expected("operator", frozenset({"planned_restart"}), PODS, planned=True),),
    ),
    "planned upgrade": Fault(
        _recorded("upgrade"),
        "apt re-installs docker.io and restarts it",
        (Expected("operator", frozenset({"planned_restart"}), PODS, planned=True),),
        monitor=None,  # it would take the pause for a hang, and pkill would find the upgrade too
    ),
    "runtime crash": Fault(
        _recorded("dockerd-crash"),
        "dockerd dies of SIGSEGV",
        (Expected("crash", frozenset({"runtime_crash"}), PODS),),
        "the signal",
        None,
    ),
    "one sandbox killed": Fault(
        _recorded("sandbox-killed"),
        "one pause process dies, nobody says why",
        (Expected("none", frozenset({"unknown"}), 1),),
        "the signal",
    ),
    "forged kill lines": Fault(
        _recorded("spoofed-kill"), "eight of them, from containers and logger"
    ),
    "disk stalls 120 s": Fault(
        _disk_stall,
        "no request is answered",
        if_killed=_killed("runtime_hang", "io_saturation", "disk_error"),
    ),
    "agent killed in it": Fault(
        _agent_killed, "SIGKILL to the agent just after the kill line", _killed("runtime_hang"),
        _FROZEN,
    ),
    "API server away": Fault(
        _api_down, "from before the kill to 20 s after", _killed("runtime_hang"), _FROZEN
    ),
    "reboot": Fault(
        _reboot,
        "in order, by systemctl",
        (Expected("operator", frozenset({"node_reboot"}), PODS, planned=True),),
    ),
    "power loss": Fault(
        _power_loss,
        "everything ends at once, also the disk; then it boots",
        (Expected("power", frozenset({"node_reboot"}), PODS),),
    ),
    "quiet": Fault(lambda _: time.sleep(30.0), "nothing is done"),
}  # fmt: skip
