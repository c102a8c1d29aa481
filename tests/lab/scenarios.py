"""What is done to the node in each recording, and what the truth then is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .shell import Shell

CHECK_S = 10
_MAIN_PID = "systemctl show -p MainPID --value docker.service"
_MONITORS = {
    "docker": ("kube-docker-monitor.service", "Docker daemon failed!"),
    "container-runtime": (
        "kube-container-runtime-monitor.service",
        "Container runtime docker failed!",
    ),
}
Note = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One recording: the action, the truth about it, and what of it was only played."""

    act: Callable[[Shell, Note], None]
    cause: str | None
    killer: str
    note: str
    staged: str
    monitor: str | None = None
    victims: int = 4
    needs_memory_limit: bool = False


def monitor_unit(monitor: str) -> str:
    """Return the systemd unit of a health monitor."""
    return _MONITORS[monitor][0]


def _freeze_until_monitor_fires(monitor: str) -> Callable[[Shell, Note], None]:
    unit, line = _MONITORS[monitor]

    def act(box: Shell, note: Note) -> None:
        pid = box.check(_MAIN_PID).strip()
        box.check(f"kill -STOP {pid}")
        note(f"SIGSTOP to dockerd, pid {pid}: from now on it hangs")
        _wait(box, f"journalctl -u {unit} -o cat | grep -qxF '{line}'", 90)
        note(f"{unit} has printed {line!r} and sent its signal")
        time.sleep(3)
        box.check(f"kill -CONT {pid}")
        note(f"SIGCONT to pid {pid}: the signal lands")

    return act


def _planned_restart(box: Shell, note: Note) -> None:
    note("systemctl restart docker.service")
    box.check("systemctl restart docker.service")


def _upgrade(box: Shell, note: Note) -> None:
    box.check(
        "mkdir -p /run/systemd/system/apt-daily-upgrade.service.d && "
        "printf '[Unit]\\nConditionACPower=\\n[Service]\\nExecStartPre=\\nExecStart=\\n"
        "ExecStart=/usr/lib/knockon-lab/upgrade-docker\\n'"
        " > /run/systemd/system/apt-daily-upgrade.service.d/lab.conf && systemctl daemon-reload"
    )
    note("apt-daily-upgrade.service: apt-get --reinstall docker.io, then a restart of the service")
    box.check("systemctl start apt-daily-upgrade.service", timeout_s=180)


def _dockerd_oom(box: Shell, note: Note) -> None:
    resident_pages = int(box.check(f"cat /proc/$({_MAIN_PID})/statm").split()[1])
    limit = 16 * 2**20 + resident_pages * 4096
    box.check(f"systemctl set-property --runtime docker.service MemoryMax={limit}")
    note(f"memory limit of docker.service set to {limit} bytes, 16 MiB above its resident size")
    pid = box.check(_MAIN_PID).strip()
    box.sh("python3 /usr/lib/knockon-lab/leaky_client.py", timeout_s=90)
    note("a client had opened event streams and kept them until dockerd was gone")
    _wait(box, f"test $({_MAIN_PID}) != {pid}", 60)
    box.check("systemctl set-property --runtime docker.service MemoryMax=infinity")
    note("memory limit lifted")


def oom_is_possible(box: Shell) -> bool:
    """Tell whether a memory limit can be set on a service inside the box."""
    group = "/sys/fs/cgroup/memory/system.slice/docker.service/memory.limit_in_bytes"
    unified = "/sys/fs/cgroup/system.slice/docker.service/memory.max"
    return box.sh(f"test -w {group} -o -w {unified}").returncode == 0


def _dockerd_crash(box: Shell, note: Note) -> None:
    pid = box.check(_MAIN_PID).strip()
    note(f"SIGSEGV to dockerd, pid {pid}: it dies with a goroutine dump, as in a real crash")
    box.check(f"kill -SEGV {pid}")


def _sandbox_killed(box: Shell, note: Note) -> None:
    pid = box.check(
        "docker inspect -f '{{.State.Pid}}' $(docker ps -q"
        " -f label=io.kubernetes.docker.type=podsandbox -f label=io.kubernetes.pod.name=pg-0)"
    ).strip()
    box.check(f"kill -KILL {pid}")
    note(f"SIGKILL to the pause process of pg-0, pid {pid}; nothing else was touched")


def _reboot(box: Shell, note: Note) -> None:
    note("systemctl reboot")
    box.reboot()
    note("the node is up again, with a new boot id and the same journal")


def _spoofed_kill(box: Shell, note: Note) -> None:
    for name, script in _SPOOFS:
        note(f"spoof by {name}: {script}")
        box.check(
            f"systemd-run --wait --collect --unit=nightly-report /bin/sh -c {_single(script)}"
        )
        time.sleep(1)


_KILL_LINE = "Docker daemon failed!"
_CONTAINER = "docker run --rm --network none"
_ECHO = f"lab.local/lab:1 /bin/echo '{_KILL_LINE}'"
_FORGED_MONITOR = (
    f"MESSAGE={_KILL_LINE}\\nUNIT=docker.service\\n"
    "SYSTEMD_UNIT=kube-docker-monitor.service\\nSYSLOG_IDENTIFIER=health-monitor.sh\\n"
)
_FORGED_STOP = (
    "MESSAGE=Stopping docker.service...\\nUNIT=docker.service\\n"
    "MESSAGE_ID=de5b426a63be47a7b6ac3eaac82e2f6f\\nSYSLOG_IDENTIFIER=systemd\\n"
)
_FORGED_OOM = (
    "Memory cgroup out of memory: Killed process 65 (dockerd) total-vm:1460220kB, anon-rss:70000kB"
)
_JOURNALD_DRIVER = "--log-driver journald --log-opt tag=kube-docker-monitor"
_SPOOFS = (
    ("logger", f"logger -t kube-docker-monitor '{_KILL_LINE}'"),
    ("systemd-cat", f"echo '{_KILL_LINE}' | systemd-cat -t health-monitor"),
    ("systemd-cat", "echo 'Container runtime docker failed!' | systemd-cat -t health-monitor.sh"),
    ("a container's output", f"{_CONTAINER} {_ECHO}"),
    ("docker's journald driver", f"{_CONTAINER} {_JOURNALD_DRIVER} {_ECHO}"),
    ("forged fields", f"printf '{_FORGED_MONITOR}' | logger --journald"),
    ("a forged stop", f"printf '{_FORGED_STOP}' | logger --journald"),
    ("a forged kernel line", f"logger -t kernel '{_FORGED_OOM}'"),
)


def _quiet(_: Shell, note: Note) -> None:
    note("nothing is done for 60 s")
    time.sleep(60)


def _single(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


def _wait(box: Shell, condition: str, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while box.sh(condition).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError(f"never came true in the node: {condition}")
        time.sleep(0.5)


_PLAYED = "pods and events by the lab's pod keeper, which is not a kubelet"
SCENARIOS = {
    "founding-incident": Scenario(
        _freeze_until_monitor_fires("docker"),
        "runtime_hang",
        "health_monitor",
        "dockerd hung; kube-docker-monitor's `docker ps` timed out and it sent SIGTERM by "
        "`pkill docker`; without live-restore dockerd's end took every container with it. "
        "Why dockerd hung is not in the recording.",
        f"the hang (SIGSTOP, and SIGCONT 3 s after the kill line); check timeout {CHECK_S} s "
        f"instead of 60; {_PLAYED}",
        monitor="docker",
    ),
    "monitor-kill-2020": Scenario(
        _freeze_until_monitor_fires("container-runtime"),
        "runtime_hang",
        "health_monitor",
        "dockerd hung; kube-container-runtime-monitor's `docker ps` timed out; it sent SIGUSR1 and "
        "then SIGTERM by `systemctl kill`. Why dockerd hung is not in the recording.",
        f"the hang (SIGSTOP, and SIGCONT 3 s after the kill line); check timeout {CHECK_S} s "
        f"instead of 60; {_PLAYED}",
        monitor="container-runtime",
    ),
    "planned-restart": Scenario(
        _planned_restart,
        "planned_restart",
        "operator",
        "docker.service was restarted on purpose with systemctl.",
        _PLAYED,
    ),
    "upgrade": Scenario(
        _upgrade,
        "planned_restart",
        "operator",
        "The docker.io package was re-installed by apt-daily-upgrade.service, which then restarted "
        "docker.service, as unattended upgrades with needrestart do.",
        "the same package version again, without a network; started by hand instead of by the "
        f"timer; the restart by our script instead of needrestart; {_PLAYED}",
    ),
    "dockerd-oom": Scenario(
        _dockerd_oom,
        "memory_pressure",
        "oom_killer",
        "dockerd reached the memory limit of docker.service and the kernel killed it.",
        f"the limit (16 MiB above dockerd's size) and the client that filled it; {_PLAYED}",
        needs_memory_limit=True,
    ),
    "dockerd-crash": Scenario(
        _dockerd_crash,
        "runtime_crash",
        "crash",
        "dockerd died of SIGSEGV; systemd restarted it.",
        f"the fault: SIGSEGV was sent from outside; {_PLAYED}",
    ),
    "sandbox-killed": Scenario(
        _sandbox_killed,
        "unknown",
        "none",
        "One pause process was killed with SIGKILL by hand; nothing in the journal says by whom.",
        f"the kill; {_PLAYED}",
        monitor="docker",
        victims=1,
    ),
    "reboot": Scenario(
        _reboot,
        "node_reboot",
        "operator",
        "The node was rebooted on purpose with `systemctl reboot`.",
        "the machine: systemd-nspawn ends and starts again, with a new boot id, under the kernel "
        f"that runs on, so monotonic times go on too; {_PLAYED}",
    ),
    "spoofed-kill": Scenario(
        _spoofed_kill,
        None,
        "none",
        "Kill lines written by logger, systemd-cat, containers and forged fields; nothing "
        "happened to the runtime or the pods.",
        f"the forgeries; {_PLAYED}",
        monitor="docker",
        victims=0,
    ),
    "quiet": Scenario(
        _quiet,
        None,
        "none",
        "Nothing happened.",
        _PLAYED,
        monitor="docker",
        victims=0,
    ),
}
