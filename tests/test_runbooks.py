"""Runbooks: one page an alert, the same four headings, and every command in them exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from agent.__main__ import main
from tests.runbooks import PAGES, blocks, commands, inner
from tests.test_alerts import ALL

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
# What `kubectl VERB --help` lists (1.29), as far as we use it; one that is here is asked itself.
KUBECTL = {
    "cordon": "",
    "create": "--from",
    "delete": "",
    "describe": "",
    "drain": "--ignore-daemonsets --delete-emptydir-data",
    "edit": "",
    "exec": "",
    "get": "-A -l -o --field-selector --sort-by",
    "logs": "-l --since --tail",
    "patch": "-p",
    "rollout": "",
    "top": "-A --sort-by",
    "wait": "--for --timeout",
}
VERBLESS = {"cat", "df", "journalctl", "mkdir"}


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


def options(words: list[str]) -> set[str]:
    """The options of a command, without their values and without what follows `--`."""
    mine = words[: words.index("--")] if "--" in words else words
    return {word.partition("=")[0] for word in mine[1:] if re.match(r"--?[A-Za-z]", word)}


@cache
def help_of(*command: str) -> set[str] | None:
    """Every option that a program's own help names; None where the program is not here."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?<![\w-])--?[A-Za-z][A-Za-z.-]*", done.stdout + done.stderr))


@pytest.mark.parametrize("name", PAGES)
def test_every_program_exists_and_knows_its_options(name: str) -> None:
    for words in commands(PAGES[name]):
        assert words[0] in PROGRAMS, words
        if words[0] == "kubectl":
            asked = words[3:] if words[1] == "-n" else words[1:]
            verb = asked[: 2 if asked[0] in {"create", "rollout", "top"} else 1]
            known = help_of("kubectl", *verb) or set(KUBECTL[asked[0]].split())
            assert options(asked) <= known | {"-n"}, words
        elif words[0] != "knockon":
            listed = help_of(words[0], *(words[1:3] if words[0] == "amtool" else ()))
            assert listed is None or options(words) <= listed, words


def test_what_needs_no_cluster_runs(tmp_path: Path) -> None:
    ran = set()
    for words in {tuple(words) for page in PAGES.values() for words in commands(page)}:
        if words[0] in VERBLESS and shutil.which(words[0]) and Path(words[-1]).parts[:1] != ("/",):
            line = [*words, "-n", "0"] if words[0] == "journalctl" else [*words]
            done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode in {0, 1}, (words, done.stderr)  # 1: nothing was found
            ran.add(words[0])
    assert "mkdir" in ran


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
            if inner(words)[0] == "knockon":
                found.add((name, tuple(inner(words)[1:])))
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
