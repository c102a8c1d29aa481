"""Runs Debian's promtool and amtool (packages prometheus and prometheus-alertmanager)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def run(program: str, *arguments: str | Path) -> str:
    """Return what it printed; fail the test with that when it is not content."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed (apt: prometheus, prometheus-alertmanager)")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parses(queries: list[str], folder: Path) -> None:
    """Fail unless every query is PromQL; what Grafana fills in is filled in before."""
    rules = "groups:\n- name: queries\n  rules:\n" + "".join(
        f"  - record: query:{at}\n    expr: |-\n{_indented(filled(query))}\n"
        for at, query in enumerate(queries)
    )
    path = folder / "queries.yaml"
    path.write_text(rules, "utf-8")
    run("promtool", "check", "rules", path)


def filled(query: str) -> str:
    """Put something into Grafana's variables."""
    for variable in ("$cluster", "$node", "$database"):
        query = query.replace(variable, ".*")
    return query.replace("$__rate_interval", "1m")


def _indented(query: str) -> str:
    return "\n".join(f"      {line}" for line in query.splitlines())
