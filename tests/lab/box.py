"""Boot the node: systemd-nspawn over a throw-away overlay, with dockerd running inside.

Works without systemd on the host: nothing is registered, no unit is made. The node's PID 1 is
entered with `nsenter`, found as the process of our own cgroup that is PID 1 in its namespace.
"""

from __future__ import annotations

import atexit
import os
import platform
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from . import cgroups, image, runs
from .disk import SlowDisk, arguments

NODE_FILES = Path(__file__).parent / "node"
_LAUNCH = Path(__file__).with_name("launch.sh")
_FORCE_RESTART = 133  # systemd-nspawn(1): what --keep-unit makes of a reboot inside.

_NODE_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "HOME": "/root"}


class Box:
    """A booted node; use as a context manager, everything is removed at the end."""

    def __init__(
        self,
        cache: Path,
        *,
        kernel_log: bool = False,
        network: bool = False,
        disk: Path | None = None,
    ) -> None:
        """Prepare the image and a scratch directory; nothing runs yet.

        With `kernel_log` the node's journald also reads the kernel's messages, which are those of
        the whole machine. With `network` it shares this machine's network and name servers. With
        the base image of a `disk` everything of the node lies on one slow disk of its own.
        """
        image.require_tools()
        self._base = disk
        self._rootfs = image.ensure_rootfs(cache)
        self._run = runs.start(cache)
        self._kernel_log = kernel_log
        self._network = network
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader: int | None = None
        atexit.register(self.close)
        self._install_node_files()
        if network:
            self._share_names()

    def __enter__(self) -> Self:
        """Boot the node and return it."""
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the node and remove what it left."""
        self.close()

    @property
    def scrub(self) -> dict[str, str]:
        """Strings of this machine that a recording must not carry, with their replacements."""
        groups = {
            f"{hierarchy.own_path.rstrip('/')}/{self._run.cgroup}": ""
            for hierarchy in cgroups.hierarchies()
        }
        name = self._run.cgroup
        release = platform.release()
        short = ".".join(release.split(".")[:2])
        return groups | {f"/{name}": "", name: "/", str(self._run.path): "/lab", release: short}

    @property
    def files(self) -> Path:
        """Where files of the node's own root may be laid before it boots, and are found after."""
        return self._run.path / "upper"

    @property
    def root(self) -> Path:
        """The running node's whole file system, its /proc and /sys too; another after a reboot."""
        if self._leader is None:
            raise RuntimeError("the node is down")
        return Path(f"/proc/{self._leader}/root")

    @property
    def disk(self) -> SlowDisk:
        """The slow disk of a node that has one and runs."""
        if self._base is None:
            raise RuntimeError("this box has no disk of its own")
        return SlowDisk(self._run.path)

    def memory(self) -> cgroups.Memory:
        """What the whole node uses."""
        return cgroups.memory(self._run.cgroup)

    def stalled_us(self, resource: str) -> int | None:
        """How long some process of the node has waited for `io`, `memory` or `cpu` so far."""
        return cgroups.stalled_us(self._run.cgroup, resource)

    def limit_memory(self, limit_bytes: int | None) -> None:
        """Set the size of the node; None: as large as the machine."""
        cgroups.limit_memory(self._run.cgroup, limit_bytes)

    @property
    def cgroup(self) -> str:
        """Name of the box's group, as kernel lines about the node carry it."""
        return self._run.cgroup

    def boot(self, patience_s: float = 90.0) -> None:
        """Start the node and wait until its systemd says it is up."""
        groups = cgroups.make(self._run.cgroup)
        self._nspawn = self._spawn(groups)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline and self._nspawn.poll() is None:
            self._leader = self._find_leader()
            state = self.sh("systemctl is-system-running", timeout_s=20) if self._leader else None
            if state and state.stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.3)
        console = (self._run.path / "console.log").read_text(errors="replace")
        raise RuntimeError(f"the node did not come up:\n{console[-2000:]}")

    def enter(
        self, argv: Sequence[str], timeout_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the node, as root."""
        if self._leader is None:
            return subprocess.CompletedProcess(list(argv), 125, "", "node is down")
        return subprocess.run(
            [*_into(self._leader), *argv], capture_output=True, text=True, errors="replace",
            timeout=timeout_s, check=False, stdin=subprocess.DEVNULL, env=_NODE_ENVIRONMENT,
        )  # fmt: skip

    def sh(self, script: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a shell script inside the node."""
        return self.enter(["/bin/sh", "-c", script], timeout_s)

    def check(self, script: str, timeout_s: float = 60.0) -> str:
        """Run a shell script inside the node that must succeed; return what it printed."""
        done = self.sh(script, timeout_s)
        if done.returncode:
            raise RuntimeError(f"in the node: {script!r} -> {done.returncode}: {done.stderr}")
        return done.stdout

    def read(self, path: Path) -> str:
        """Return a file by its path below the node's root, without asking the node."""
        return (self.root / path).read_text()

    def export_journal(self, since_s: float, until_s: float) -> bytes:
        """Return the node's journal between two times, in export format."""
        if self._leader is None:
            raise RuntimeError("the node is down")
        self.check("journalctl --sync")
        window = [f"--since=@{since_s:.3f}", f"--until=@{until_s:.3f}"]
        argv = [*_into(self._leader), "journalctl", "-o", "export", *window]
        done = subprocess.run(
            argv, capture_output=True, timeout=120, check=True, env=_NODE_ENVIRONMENT
        )
        return done.stdout

    def reboot(self) -> None:
        """Reboot the node from inside, in order, and wait until it is up again."""
        self.sh("systemctl reboot")
        self._leader = None
        if self._nspawn is None:
            raise RuntimeError("the node was never booted")
        if self._nspawn.wait(timeout=120) != _FORCE_RESTART:
            raise RuntimeError(f"the node ended with {self._nspawn.returncode}, not by a reboot")
        self.boot()

    def lose_power(self) -> None:
        """Cut the node off in the middle of whatever it does, and boot it again.

        On a slow disk what was not flushed is lost; without one the machine's page cache keeps it.
        """
        self._leader = None
        if self._nspawn is None:
            raise RuntimeError("the node was never booted")
        self._nspawn.kill()
        self._nspawn.wait()
        if not cgroups.destroy(self._run.cgroup):
            raise RuntimeError("the node would not die")
        self.boot()

    def close(self) -> None:
        """Kill the node and remove everything it left; safe to call twice."""
        atexit.unregister(self.close)
        self._leader = None
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.kill()
            self._nspawn.wait()
        self._run.remove()

    def _spawn(self, groups: list[Path]) -> subprocess.Popen[bytes]:
        run = self._run.path
        data = run / "disk" if self._base else run
        unified = cgroups.is_unified(cgroups.hierarchies())
        options = [
            "-M", "lab-node", "--capability=all", "--private-users=no",
            *([] if self._network else ["--private-network"]),
            "--resolv-conf=off", "--link-journal=no", "--console=pipe",
            "--system-call-filter=@keyring bpf",
            *(["--bind=/dev/kmsg"] if self._kernel_log else []),
            # overlay2 cannot stand on an overlay, so docker's data lies beside it.
            f"--bind={data}/docker:/var/lib/docker",
            f"--bind={data}/containerd:/var/lib/containerd",
            *([f"--bind={data}/pg:/srv/pg"] if self._base else []),
            "/usr/lib/knockon-lab/init",
        ]  # fmt: skip
        # The box must not outlive its recorder: the launcher dies with us, and the process
        # namespace it holds dies with it. (A node whose nspawn is killed lives on otherwise.)
        argv = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"]
        argv += ["--pid", "--fork", "--kill-child", "--mount-proc"]
        argv += ["/bin/sh", str(_LAUNCH), str(self._rootfs), str(run), *arguments(self._base)]
        argv += [*map(str, groups), "--", *options]
        environment = {
            "PATH": os.environ["PATH"],
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1" if unified else "0",
            "SYSTEMD_NSPAWN_LOCK": "0",
        }
        with (run / "console.log").open("ab") as console:
            return subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment,
                start_new_session=True,
            )  # fmt: skip

    def _install_node_files(self) -> None:
        target = self._run.path / "upper/usr/lib/knockon-lab"
        shutil.copytree(
            NODE_FILES, target, ignore=shutil.ignore_patterns("__pycache__", "*.service")
        )
        for path in target.iterdir():
            path.chmod(0o755)
        units = self._run.path / "upper/etc/systemd/system"
        units.mkdir(parents=True)
        for unit in NODE_FILES.glob("*.service"):
            shutil.copy(unit, units)

    def _share_names(self) -> None:
        """Give the node this machine's way to find other machines."""
        for name in ("resolv.conf", "hosts"):
            path = self.files / "etc" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((Path("/etc") / name).read_bytes())

    def _find_leader(self) -> int | None:
        for pid in cgroups.processes(self._run.cgroup):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue
            nested = next((line for line in status.splitlines() if line.startswith("NSpid:")), "")
            pids = nested.split()[1:]
            if len(pids) > 1 and pids[-1] == "1" and pids[0] == str(pid) and _is_systemd(pid):
                return pid
        return None


def _into(leader: int) -> list[str]:
    return ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--"]


def _is_systemd(pid: int) -> bool:
    # A container's first process is PID 1 of its own namespace too; only the node's is systemd.
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "systemd"
    except OSError:
        return False


def exit_on_signals() -> None:
    """Turn SIGTERM and SIGHUP into an orderly exit, so that boxes are removed."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
