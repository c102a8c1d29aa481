"""What is made from templates and values and committed; a test compares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from daemonset.folder import OURS
from daemonset.render import Order, render
from daemonset.text import as_yaml

INSTALL = OURS / "install.yaml"
REFERENCE = OURS.parent / "docs" / "values.md"
VALUES = OURS / "values.yaml"
_NOTE = """\
# Made by `python -m daemonset` from daemonset/templates with the default values. Apply it with
# `kubectl apply -f`, patch it with kustomize (daemonset/kustomization.yaml), or make your own with
# `knockon render -f values.yaml`.
"""
_HEAD = """\
# Values

Made from `daemonset/values.yaml` by `python -m daemonset`; a test compares.

`knockon render -f yours.yaml -s key=value,…`: files and settings are merged as helm merges them.
Tables merge key by key, lists and scalars replace, `null` removes. An unknown key or a wrong type
is refused with the nearest name.
"""
_KEY = re.compile(r"(?P<indent> *)(?P<key>[\w.-]+):(?P<rest>.*)")
_TABLE = "\n| value | default | meaning |\n| --- | --- | --- |\n"


def files() -> Iterator[tuple[Path, str]]:
    """Yield path and text of each generated file."""
    yield INSTALL, _NOTE + as_yaml(render(Order()))
    yield REFERENCE, reference(VALUES.read_text("utf-8"))


def reference(text: str) -> str:
    """Return the page: a table a section, one row for each value that has a comment above it."""
    defaults = yaml.safe_load(text)
    page, top = [_HEAD], ""
    for key, says in _commented(text):
        section = key[0] if len(key) > 1 else "all"
        if section != top:
            top = section
            page.append(f"\n## {section}\n{_TABLE}")
        value = defaults
        for name in key:
            value = value[name]
        shown = json.dumps(value, ensure_ascii=False)
        page.append(f"| `{'.'.join(key)}` | `{shown}` | {says.replace('|', chr(92) + '|')} |\n")
    return "".join(page)


def _commented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: list[tuple[int, str]] = []
    says: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            says.append(line.lstrip("# ").rstrip())
            continue
        found = _KEY.fullmatch(line)
        if found:
            depth = len(found["indent"])
            path = [*(one for one in path if one[0] < depth), (depth, found["key"])]
            if says:
                yield tuple(name for _, name in path), " ".join(says)
        says = []
