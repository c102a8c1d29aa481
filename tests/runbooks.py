"""The runbooks' pages, and every command that stands in them."""

from __future__ import annotations

import re
import shlex

from alerts.rendering import HERE

PAGES = {path.stem: path.read_text("utf-8") for path in sorted((HERE / "runbooks").glob("*.md"))}


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


def inner(words: list[str]) -> list[str]:
    """What `kubectl exec … -- COMMAND` runs in the pod; any other command is itself."""
    return words[words.index("--") + 1 :] if words[0] == "kubectl" and "--" in words else words
