"""The image's recipe: promises that a review of it would look for."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from daemonset.jobs import NOBODY
from tests.daemonset.manifest import ROOT, agent_pod

RECIPE = (ROOT / "daemonset" / "Dockerfile").read_text("utf-8")
IGNORE = (ROOT / ".dockerignore").read_text("utf-8").splitlines()


def stage(name: str) -> str:
    """The lines of one stage."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", RECIPE, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def test_the_base_is_an_argument_in_every_stage() -> None:
    named = set(re.findall(r"AS (\S+)", RECIPE))
    bases = set(re.findall(r"^FROM (\S+)", RECIPE, re.MULTILINE))
    assert bases - named == {"${BASE}"}
    assert re.search(r"^ARG BASE=\S+$", RECIPE, re.MULTILINE)


def test_the_last_stage_is_the_agent() -> None:
    assert re.findall(r"^FROM (\S+) AS \S+", RECIPE, re.MULTILINE)[-1] == "agent"


def test_no_compiler_and_no_pip_is_left() -> None:
    for name in ("runtime", "agent", "backup", "restore-test"):
        assert not re.search(r"\bgcc\b|libsystemd-dev|pip install", stage(name)), name
    assert "site-packages/pip*" in stage("runtime")


def test_the_image_is_not_root_unless_a_pod_says_so() -> None:
    for name in ("runtime", "agent", "backup", "restore-test"):
        assert re.findall(r"^USER (\S+)", stage(name), re.MULTILINE)[-1] == f"{NOBODY}:{NOBODY}"
    assert agent_pod()["containers"][0]["securityContext"]["runAsUser"] == 0


def test_nothing_is_installed_without_a_hash() -> None:
    for line in re.findall(r"pip[^\n]* (?:install|wheel) [^\n]*", RECIPE):
        ours = line.endswith(" .")
        assert ours or "--require-hashes" in line or "--no-index" in line, line


def test_what_the_kubelet_does_the_runtime_does_not() -> None:
    assert "HEALTHCHECK NONE" in stage("runtime")


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"^COPY (?!--)(.+) \S+$", RECIPE, re.MULTILINE)))
)
def test_what_is_copied_is_sent(path: str) -> None:
    assert IGNORE[1] == "*"
    for name in path.split():
        assert f"!{name}" in IGNORE
        assert (ROOT / name).exists()


def test_the_wheel_is_the_same_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    made = set()
    for place, day in (("a", 1_000_000_000), ("b/deeper", 1_700_000_000)):
        source = tmp_path / place
        source.mkdir(parents=True)
        for name in ("agent", "backup", "alerts", "daemonset"):
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        for path in source.rglob("*"):
            os.utime(path, (day, day))
        build = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
        words = [sys.executable, "-c", build, str(tmp_path / place)]
        name = subprocess.run(words, cwd=source, check=True, capture_output=True, text=True).stdout
        wheel = (source / name.split()[-1]).read_bytes()
        made.add(hashlib.sha256(wheel).hexdigest())
    assert len(made) == 1
