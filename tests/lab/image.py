"""The node's root file system: a Debian with systemd and docker, built once and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUITE = "bookworm"
MIRROR = os.environ.get("KNOCKON_LAB_MIRROR")  # Unset: the one debootstrap knows.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "docker.io", "containerd", "iptables", "ca-certificates",
    "busybox-static", "procps", "iproute2", "bsdutils", "kmod", "python3", "postgresql",
)  # fmt: skip
_NODE_FILES = {
    "etc/hostname": "lab-node\n",
    "etc/hosts": "127.0.0.1 localhost lab-node\n",
    "etc/resolv.conf": "",
    "etc/machine-id": "",  # Empty, not "uninitialized": that would be a first boot, with presets.
    "etc/systemd/journald.conf.d/lab.conf": (
        "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n"
    ),
    # The box has no network but its own loopback, and live-restore stays at its default: off.
    "etc/docker/daemon.json": '{"bridge": "none", "iptables": false, "ip-forward": false}\n',
}
# Nothing may happen in a recording that its scenario did not ask for.
_MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "postgresql.service",
)  # fmt: skip


class LabUnavailable(Exception):
    """This machine cannot run the lab; the message says what is missing."""


def require_tools(*more: str) -> None:
    """Raise `LabUnavailable` unless we are root and every host tool is there."""
    if os.geteuid() != 0:
        raise LabUnavailable("the lab needs root (namespaces, cgroups, debootstrap)")
    needed = ("debootstrap", "systemd-nspawn", "nsenter", "unshare", "setpriv", *more)
    missing = [tool for tool in needed if not shutil.which(tool)]
    if missing:
        raise LabUnavailable(
            f"missing: {', '.join(missing)} (apt-get install debootstrap systemd-container)"
        )


def ensure_rootfs(cache: Path) -> Path:
    """Return the cached root file system, building it first when it is absent or outdated.

    The finished tree appears under its name by one rename, so a build that was interrupted is
    simply built again.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "build.lock"):
        wanted = cache / f"rootfs-{_recipe_id()}"
        if not wanted.is_dir():
            _drop(cache.glob("building-*"))
            _build(cache / f"building-{_recipe_id()}", wanted)
    return wanted


def _build(partial: Path, wanted: Path) -> None:
    # In namespaces of its own: whatever it mounts and starts goes when it is interrupted.
    debootstrap = [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
        "debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}",
        SUITE, str(partial), *([MIRROR] if MIRROR else []),
    ]  # fmt: skip
    log = partial.with_suffix(".log")
    with log.open("wb") as out:
        done = subprocess.run(debootstrap, stdout=out, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise LabUnavailable(f"debootstrap failed ({done.returncode}), see {log}")
    _configure(partial)
    _keep_only_docker_package(partial / "var/cache/apt/archives")
    log.unlink()
    partial.rename(wanted)


def _configure(rootfs: Path) -> None:
    for name, text in _NODE_FILES.items():
        path = rootfs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    for unit in _MASKED:
        (rootfs / "etc/systemd/system" / unit).symlink_to("/dev/null")
    (rootfs / "var/log/journal").mkdir(exist_ok=True)
    # Debian makes a cluster when it installs the server; the lab makes its own.
    for made in ("var/lib/postgresql", "etc/postgresql"):
        shutil.rmtree(rootfs / made, ignore_errors=True)


def _keep_only_docker_package(archives: Path) -> None:
    for package in archives.glob("*.deb"):
        if not package.name.startswith("docker.io_"):
            package.unlink()


def _recipe_id() -> str:
    recipe = repr((SUITE, PACKAGES, sorted(_NODE_FILES.items()), _MASKED))
    return hashlib.sha256(recipe.encode()).hexdigest()[:12]


def _drop(leftovers: Iterator[Path]) -> None:
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock against other processes."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
