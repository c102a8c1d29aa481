"""What lies on the node's disk before it boots: built once, kept beside the root file system."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path

from tests.lab.image import LabUnavailable, ensure_rootfs, locked, require_tools

SIZE_BYTES = 8 << 30  # sparse; the cluster, the system and what a drill writes
_BUILD = Path(__file__).with_name("build.sh")
_TOOLS = ("mkfs.ext4", "losetup")
_DEVICES = (Path("/dev/fuse"), Path("/dev/loop-control"))


def ensure_disk(cache: Path, scale: int = 100) -> Path:
    """Return a disk image with the node's system and a cluster of `scale` times 15 MB."""
    require_tools(*_TOOLS)
    missing = [str(path) for path in _DEVICES if not path.exists()]
    if missing:
        raise LabUnavailable(f"no slow disk without {' and '.join(missing)}")
    rootfs = ensure_rootfs(cache)
    recipe = hashlib.sha256(_BUILD.read_bytes() + repr((rootfs.name, scale, SIZE_BYTES)).encode())
    wanted = cache / f"disk-{recipe.hexdigest()[:12]}.img"
    with locked(cache / "disk.lock"):
        if not wanted.is_file():
            for old in cache.glob("disk-*.img*"):
                old.unlink()
            _build(wanted, rootfs, scale)
    return wanted


def _build(wanted: Path, rootfs: Path, scale: int) -> None:
    half = wanted.with_suffix(".img.half")
    with half.open("wb") as file:
        file.truncate(SIZE_BYTES)
    own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix="building-") as place:
        words = [*own, "/bin/sh", str(_BUILD), str(half), place, str(rootfs), str(scale)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabUnavailable(f"the node's disk was not made: {done.stderr.strip()[-500:]}")
    half.rename(wanted)
