"""Promises of the repository itself: two commands, layers, sizes, and nothing of this machine."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter import cli

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("agent", "backup", "alerts", "daemonset", "bench", "tests")
LONGEST_MODULE = 300
MAY_BE_LONGER = {
    "agent/model.py": "a vocabulary is looked up, not read; in one place nothing is named twice",
}
SKIPPED_FOLDERS = {".git", ".venv", "__pycache__", "dist", "build", ".hypothesis"}

# Written in halves, because this file is searched too.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("proxy", "golang", "org"),
    )
)


def committed() -> list[Path]:
    """Every file that is, or with the next commit could be, in the repository."""
    if (ROOT / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if listed.returncode == 0:
            names = filter(None, listed.stdout.split("\0"))
            return [path for name in names if (path := ROOT / name).is_file()]
    return [path for path in walk() if path.is_file()]


def walk() -> Iterator[Path]:
    """The same without git, as in an unpacked archive."""
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [
            name for name in folders if name not in SKIPPED_FOLDERS and not name.endswith("_cache")
        ]
        yield from (Path(folder, name) for name in names)


def modules() -> list[Path]:
    """Every Python file of ours."""
    ours = (p for p in committed() if p.suffix == ".py")
    return sorted(p for p in ours if p.relative_to(ROOT).parts[0] in PACKAGES)


def name_of(path: Path) -> str:
    """The path as a person would type it."""
    return path.relative_to(ROOT).as_posix()


def places_of_this_machine() -> list[str]:
    """This checkout and what lies beside it; a parent shared with the whole system says nothing."""
    places = [str(ROOT)] if len(ROOT.parts) > 2 else []
    if len(ROOT.parent.parts) > 1 and ROOT.parent != Path(tempfile.gettempdir()):
        places += [str(path) for path in ROOT.parent.iterdir() if path.is_dir()]
    return places


@pytest.mark.parametrize("command", ["demo", "test"])
def test_the_readme_names_a_command_that_make_knows(command: str) -> None:
    assert f"make {command}" in (ROOT / "README.md").read_text("utf-8")
    assert re.search(rf"^{command}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)


def test_nothing_committed_names_this_machine() -> None:
    places = "|".join(map(re.escape, places_of_this_machine()))
    if not places:
        pytest.skip("the checkout lies where every machine has something")
    pattern = re.compile(rf"(?<![\w./-])(?:{places})(?![\w-])".encode())
    assert [name_of(p) for p in committed() if pattern.search(p.read_bytes())] == []


def test_nothing_committed_names_a_package_registry() -> None:
    hosts = re.compile("|".join(map(re.escape, REGISTRY_HOSTS)).encode())
    assert [name_of(p) for p in committed() if hosts.search(p.read_bytes())] == []


def test_locks_hold_hashes_and_no_addresses() -> None:
    for lock in sorted((ROOT / "locks").glob("*.txt")):
        text = lock.read_text("utf-8")
        assert "://" not in text, lock.name
        assert not re.search(r"^\s*-(-.*index|-find|f|i)\b", text, re.MULTILINE), lock.name
        for pinned in re.split(r"\n(?=\S)", text.strip()):
            assert "==" in pinned, f"{lock.name}: {pinned}"
            assert "--hash=sha256:" in pinned, f"{lock.name}: {pinned}"


def test_locks_agree_on_every_version() -> None:
    versions: dict[str, list[set[str]]] = {}
    pin = re.compile(r"^([\w.-]+)==(\S+)", re.MULTILINE)
    for lock in (ROOT / "locks").glob("*.txt"):
        if lock.stem == "policy":  # in an environment of its own
            continue
        pinned: dict[str, set[str]] = {}
        for name, version in pin.findall(lock.read_text("utf-8")):
            pinned.setdefault(name, set()).add(version)  # one for each Python, where they differ
        for name, found in pinned.items():
            versions.setdefault(name, []).append(found)
    assert {name: all_ for name, all_ in versions.items() if any(v != all_[0] for v in all_)} == {}


def test_every_extra_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {lock.stem for lock in (ROOT / "locks").glob("*.txt")}
    assert project["optional-dependencies"].keys() - {"zstd"} <= locked, "run `make lock`"


def test_the_offline_command_needs_nothing_but_python() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["dependencies"] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [p for p in modules() if not ast.get_docstring(ast.parse(p.read_bytes()))]
    assert [name_of(p) for p in silent] == []


def test_no_module_is_too_long_to_read() -> None:
    lengths = {name_of(p): len(p.read_text("utf-8").splitlines()) for p in modules()}
    long = {name for name, lines in lengths.items() if lines > LONGEST_MODULE}
    assert {name: lengths[name] for name in long - MAY_BE_LONGER.keys()} == {}
    assert MAY_BE_LONGER.keys() <= long, "an exception is no longer needed: remove it"


def test_fakes_are_written_by_hand() -> None:
    patching = re.compile(r"unittest\.mock|from unittest import mock|mock[.]patch|mocker[.]patch")
    others = (p for p in modules() if p != Path(__file__).resolve())
    assert [name_of(p) for p in others if patching.search(p.read_text("utf-8"))] == []


def test_imports_go_downwards_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out
