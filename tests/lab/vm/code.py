"""The machine's second disk, read-only: this very tree, the packages it needs, and the modules."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.lab.box import NODE_FILES
from tests.lab.image import LabUnavailable
from tests.lab.vm.kernel import Kernel

ROOT = Path(__file__).resolve().parents[3]
_CODE = ("agent", "backup")
_LOCKS = ("agent", "backup")
_GUEST = Path(__file__).with_name("guest")
_AT_BOOT = ("virtio_console", "virtio_net", "overlay", "bfq")
_SIZE_BYTES = 512 << 20  # sparse
_LAUNCHER = """#!/bin/sh
PYTHONPATH=/opt/knockon/packages PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH PYTHONDONTWRITEBYTECODE
cd /opt/knockon && exec /usr/bin/python3 {}"$@"
"""
_LAUNCHERS = {"knockon": "-m agent ", "knockon-python": ""}


def build(image: Path, kernel: Kernel, rootfs: Path) -> None:
    """Write the disk; takes seconds, so it is made afresh of the tree as it is now."""
    _require_same_python(rootfs)
    tree = image.with_suffix(".tree")
    inside = tree / "knockon"
    for name in _CODE:
        _copy(ROOT / name, inside / name)
    packages = inside / "packages"
    for lock in _LOCKS:
        for name in _locked(ROOT / "locks" / f"{lock}.txt"):
            _copy_distribution(name, packages)
    shutil.copytree(kernel.modules, tree / "modules" / kernel.modules.name, symlinks=True)
    _lay_node(tree / "node")
    with image.open("wb") as file:
        file.truncate(_SIZE_BYTES)
    words = ["mkfs.ext4", "-q", "-F", "-m", "0", "-d", str(tree), str(image)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(tree)


def _lay_node(target: Path) -> None:
    """What the node's own root gets, as a box's overlay has it; and the door."""
    programs, units = target / "usr/lib/knockon-lab", target / "etc/systemd/system"
    units.mkdir(parents=True)
    for folder in (NODE_FILES, _GUEST):
        _copy(folder, programs)
        for unit in folder.glob("*.service"):
            shutil.copy(unit, units)
    for path in programs.iterdir():
        path.chmod(0o755)
    (units / "serial-getty@ttyS0.service").symlink_to("/dev/null")  # waits for udev, 90 s
    wants = units / "multi-user.target.wants"
    wants.mkdir()
    (wants / "lab-door.service").symlink_to("/etc/systemd/system/lab-door.service")
    at_boot = target / "etc/modules-load.d/lab.conf"
    at_boot.parent.mkdir(parents=True)
    at_boot.write_text("\n".join(_AT_BOOT) + "\n")
    for name, words in _LAUNCHERS.items():
        launcher = target / "usr/bin" / name
        launcher.parent.mkdir(parents=True, exist_ok=True)
        launcher.write_text(_LAUNCHER.format(words))
        launcher.chmod(0o755)


def _require_same_python(rootfs: Path) -> None:
    there = (rootfs / "usr/bin/python3").readlink().name
    here = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if there != here:
        raise LabUnavailable(f"the machine has {there} and the packages here are {here}'s")


def _locked(lock: Path) -> list[str]:
    """The names in a lock file; what does not belong to this platform is not installed here."""
    lines = lock.read_text().splitlines()
    return [line.partition("==")[0] for line in lines if "==" in line and line[0].isalpha()]


def _copy_distribution(name: str, packages: Path) -> None:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for file in found.files or ():
        source, target = Path(str(file.locate())), packages / file
        if ".." not in file.parts and source.is_file() and source.suffix != ".pyc":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


def _copy(source: Path, target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.service")
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
