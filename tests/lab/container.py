"""The agent's image, built for real: Debian's docker in the node of `box`, on a debootstrap base.

What was built is kept as an archive beside the node's root file system, under a name made of
everything the image is made of; so a second run on the same tree builds nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.box import Box
from tests.lab.image import MIRROR, SUITE, LabUnavailable, locked, require_tools

ROOT = Path(__file__).resolve().parents[2]
TAG = "knockon:e2e"
_BASE = "knockon-base:e2e"
_BASE_PACKAGES = ("python3", "ca-certificates")
_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
_CODE = ("agent", "backup", "alerts", "daemonset")
_FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".dockerignore")
_BUILD_S = 900.0
# Each image, and command lines that import what is special to it.
_STARTS = {
    "agent": ("{} agent --help", "--entrypoint python {} -c 'import agent.fleet.assemble'"),
    "backup": ("{} backup run --help",),
}


@dataclass(frozen=True, slots=True)
class Built:
    """An image's archive, as `docker save` wrote it."""

    archive: Path
    size_bytes: Mapping[str, int]  # of each image made of the recipe, unpacked
    build_s: float | None  # None: it was there


def ensure_image(cache: Path) -> Built:
    """Return the image of this tree, building it first where there is none."""
    require_tools()
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "image.lock"):
        wanted = cache / f"image-{_tree_id()}.tar"
        if wanted.is_file():
            return Built(wanted, json.loads(wanted.with_suffix(".json").read_text()), None)
        base = _ensure_base(cache)
        began_s = time.monotonic()
        partial = wanted.with_suffix(".half")
        sizes = _build(cache, base, partial)
        for old in cache.glob("image-*"):
            if old != partial:
                old.unlink()
        wanted.with_suffix(".json").write_text(json.dumps(sizes))
        partial.rename(wanted)
        return Built(wanted, sizes, time.monotonic() - began_s)


def _ensure_base(cache: Path) -> Path:
    """A Debian with Python and nothing else, as a tar that `docker import` takes."""
    wanted = cache / f"base-{SUITE}-{'-'.join(_BASE_PACKAGES)}.tar"
    if wanted.is_file():
        return wanted
    with tempfile.TemporaryDirectory(dir=cache, prefix="base-") as folder:
        tree = Path(folder) / "tree"
        words = ["debootstrap", "--variant=minbase", f"--include={','.join(_BASE_PACKAGES)}"]
        words += [SUITE, str(tree), *([MIRROR] if MIRROR else [])]
        own = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
        done = subprocess.run([*own, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabUnavailable(f"debootstrap failed: {done.stdout[-500:]}{done.stderr[-500:]}")
        shutil.rmtree(tree / "var/cache/apt/archives")
        if _AUTHORITIES.is_file():  # also those of a company's own proxy
            shutil.copy(_AUTHORITIES, tree / str(_AUTHORITIES).lstrip("/"))
        half = Path(folder) / "base.tar"
        subprocess.run(["tar", "-C", str(tree), "-cf", str(half), "."], check=True)
        half.rename(wanted)
    return wanted


def _build(cache: Path, base: Path, archive: Path) -> dict[str, int]:
    """Make every image of the recipe and start it once; keep the agent's. Gives their sizes."""
    box = Box(cache, network=True)
    home = box.files / "root"
    source = home / "source"
    source.mkdir(parents=True)
    for name in (*_CODE, "locks"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _FILES:
        shutil.copy(ROOT / name, source / name)
    shutil.copy(base, home / "base.tar")
    with box:
        box.check(f"docker import /root/base.tar {_BASE}", 120)
        sizes = {target: _made(box, target) for target in _STARTS}
        box.check(f"docker save -o /root/image.tar {TAG}", 120)
        shutil.copy(home / "image.tar", archive)
    return sizes


def _made(box: Box, target: str) -> int:
    tag = TAG if target == "agent" else f"{TAG}-{target}"
    words = ["docker", "build", "--network=host", "-q", "-f", "daemonset/Dockerfile"]
    words += [f"--target={target}", f"--build-arg=BASE={_BASE}"]
    words += [f"--build-arg=PIP_CERT={_AUTHORITIES}"]
    index = os.environ.get("PIP_INDEX_URL")
    words += [f"--build-arg=PIP_INDEX_URL={index}"] if index else []
    done = box.sh(f"cd /root/source && {' '.join(words)} -t {tag} . > /root/log 2>&1", _BUILD_S)
    if done.returncode:
        raise RuntimeError(f"docker build: {box.sh('tail -c 3000 /root/log').stdout}")
    for start in _STARTS[target]:
        box.check(f"docker run --rm --network=none --read-only {start.format(tag)}", 60)
    return int(box.check(f"docker image inspect -f '{{{{.Size}}}}' {tag}"))


def _tree_id() -> str:
    """A hash of all that goes into the image."""
    made = hashlib.sha256(repr((SUITE, _BASE_PACKAGES)).encode())
    for path in _sources():
        made.update(f"{path.relative_to(ROOT)}\0".encode())
        made.update(path.read_bytes())
    return made.hexdigest()[:12]


def _sources() -> Iterator[Path]:
    for folder in (*_CODE, "locks"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
    yield from (ROOT / name for name in _FILES)
