"""Debian's cloud kernel: downloaded once and unpacked; never installed on this machine."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.image import MIRROR, SUITE, LabUnavailable, locked, require_tools

_PACKAGE = "linux-image-cloud-amd64"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its modules, in a folder of the cache."""

    folder: Path

    @property
    def image(self) -> Path:
        """What the machine is started with."""
        return next(self.folder.glob("boot/vmlinuz-*"))

    @property
    def modules(self) -> Path:
        """The folder that lies in /lib/modules under the kernel's release."""
        return next(self.folder.glob("lib/modules/*"))


def ensure_kernel(cache: Path, rootfs: Path) -> Kernel:
    """Return the kernel of the suite, fetched first where it is not kept yet.

    debootstrap finds it: it knows the mirror and the keys, also on a machine that is no Debian.
    """
    require_tools("dpkg-deb")
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "kernel.lock"):
        wanted = cache / f"kernel-{SUITE}"
        if not wanted.is_dir():
            half = cache / "fetching-kernel"
            shutil.rmtree(half, ignore_errors=True)
            _fetch(half)
            _list_modules(half / "kernel", rootfs)
            (half / "kernel").rename(wanted)
            shutil.rmtree(half)
    return Kernel(wanted)


def _fetch(half: Path) -> None:
    half.mkdir()
    own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    words = ["debootstrap", "--download-only", "--variant=minbase", f"--include={_PACKAGE}", SUITE]
    _must([*own, *words, str(half / "tree"), *([MIRROR] if MIRROR else [])])
    packages = (half / "tree/var/cache/apt/archives").glob("linux-image-[0-9]*-cloud-amd64_*.deb")
    package = next(packages, None)
    if package is None:
        raise LabUnavailable(f"{_PACKAGE} brought no kernel")
    _must(["dpkg-deb", "-x", str(package), str(half / "kernel")])


def _list_modules(kernel: Path, rootfs: Path) -> None:
    """Have the node's own depmod write what its modprobe reads."""
    release = next((kernel / "lib/modules").iterdir()).name
    inside = 'mount --bind "$1" "$2/mnt" && exec chroot "$2" /sbin/depmod -b /mnt "$3"'
    own = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", inside, "sh"]
    _must([*own, str(kernel), str(rootfs), release])


def _must(words: list[str]) -> None:
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise LabUnavailable(f"no kernel: {words[0]}: {(done.stderr or done.stdout)[-500:]}")
