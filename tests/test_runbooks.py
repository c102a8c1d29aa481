"""Runbooks: one page an alert, the same four headings, and every command in them exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from functools import cache

import pytest

from agent.__main__ import main
from alerts.rendering import HERE
from tests.test_alerts import ALL

PAGES = {path.stem: path.read_text("utf-8") for path in sorted((HERE / "runbooks").glob("*.md"))}
HEADINGS = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
LONGEST_WORDS = 450
PROGRAMS = {
    "amtool": "Alertmanager",
    "cat": "coreutils",
    "df": "coreutils",
    "journalctl": "systemd",
    "knockon": "ours",
    "kubectl": "Kubernetes",
    "mkdir": "coreutils",
    "pg_amcheck": "Postgres 14 and newer",
}
# `kubectl --help`, 1.29
VERBS = frozenset(
    [
        "get",
        "describe",
        "logs",
        "exec",
        "cordon",
        "drain",
        "delete",
        "patch",
        "create",
        "wait",
        "top",
        "edit",
        "rollout",
    ]
)


def blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", page, re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Each command of a page in words, those in $(...) too."""
    found = []
    for line in "\n".join(blocks(page)).splitlines():
        found += [shlex.split(inner) for inner in re.findall(r"\$\(([^)]*)\)", line)]
        words = shlex.split(re.sub(r"\$\([^)]*\)", "x", line), comments=True)
        while words and re.fullmatch(r"[A-Z]+=.*", words[0]):
            words = words[1:]
        if words:
            found.append(words)
    return found


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert PAGES.keys() == ALL.keys()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_four_headings_and_fits_a_screen(name: str) -> None:
    page = PAGES[name]
    assert page.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == HEADINGS
    assert all(section.strip() for section in re.split(r"^##? .*$", page, flags=re.MULTILINE)[2:])
    assert len(page.split()) < LONGEST_WORDS
    assert blocks(page.partition("## Diagnosis")[2]), "no command to begin with"


@pytest.mark.parametrize("name", PAGES)
def test_alerts_named_in_a_page_exist(name: str) -> None:
    named = re.findall(r"\b(?:see|follows\.?) ([A-Z]\w+[A-Z]\w+)", PAGES[name])
    assert set(named) <= ALL.keys()


@pytest.mark.parametrize("name", PAGES)
def test_blocks_are_good_shell(name: str) -> None:
    script = "#!/bin/bash\n" + "\n".join(blocks(PAGES[name]))
    judges = [["bash", "-n"]]
    if shutil.which("shellcheck"):
        judges.append(["shellcheck", "-S", "warning", "-e", "SC2034", "-"])
    for judge in judges:
        done = subprocess.run(judge, input=script, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PAGES)
def test_every_program_exists(name: str) -> None:
    for words in commands(PAGES[name]):
        assert words[0] in PROGRAMS, words
        if words[0] == "kubectl":
            asked = words[3:] if words[1] == "-n" else words[1:]
            assert asked[0] in VERBS, words


@pytest.mark.parametrize("name", PAGES)
def test_variables_are_set_before_they_are_used(name: str) -> None:
    known: set[str] = set()
    for line in "\n".join(blocks(PAGES[name])).splitlines():
        assert set(re.findall(r"\$([A-Z]+)", line)) <= known, line
        known |= set(re.findall(r"^([A-Z]+)=", line))


def ours() -> list[tuple[str, tuple[str, ...]]]:
    """Every use of our own command, wherever it stands in a line of a block or in the prose."""
    found = set()
    for name, page in PAGES.items():
        for words in commands(page) + [
            shlex.split(text) for text in re.findall(r"`(knockon [^`…]+)`", page)
        ]:
            inner = (
                words[words.index("--") + 1 :] if words[0] == "kubectl" and "--" in words else words
            )
            if inner[0] == "knockon":
                found.add((name, tuple(inner[1:])))
    return sorted(found)


@cache
def depth(word: str) -> int:
    return {"backup": 2}.get(word, 1)


@pytest.mark.parametrize(
    ("name", "words"), ours(), ids=lambda one: " ".join(one) if isinstance(one, tuple) else one
)
def test_our_own_commands_know_these_options(
    name: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    mine = words[: words.index("--")] if "--" in words else words
    command = [word for word in mine if not word.startswith("-")][: depth(mine[0])]
    assert main([*command, "--help"]) == 0, f"{name}: {command}"
    known = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", capsys.readouterr().out))
    assert {word for word in mine if word.startswith("-")} <= known | {"--help"}, name
