"""What a policy checker holds against the manifests: all of it has a reason, and nothing more.

checkov lives in an environment of its own (`make policy`); no network is needed to run it.
"""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.daemonset.manifest import EVERYTHING, ROOT

pytestmark = pytest.mark.slow
CHECKOV = ROOT / ".venv" / "policy" / "bin" / "checkov"
EXCEPTIONS = tomllib.loads((ROOT / "daemonset" / "exceptions.toml").read_text("utf-8"))["exception"]
Failed = tuple[str, str]  # check and kind


def failed(folder: Path, *words: str) -> set[Failed]:
    """What checkov says against one rendering."""
    if not CHECKOV.is_file():
        pytest.skip("there is no checkov: make policy")
    knockon = ROOT / ".venv" / "bin" / "knockon"
    made = subprocess.run(
        [knockon, "render", *words], capture_output=True, text=True, check=True, cwd=ROOT
    )
    path = folder / "manifests.yaml"
    path.write_text(made.stdout, "utf-8")
    asked = [
        str(CHECKOV),
        "-f",
        str(path),
        "--framework",
        "kubernetes",
        "--compact",
        "--quiet",
        "-o",
        "json",
    ]
    quiet = {**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "BC_SKIP_MAPPING": "TRUE"}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=quiet)
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["summary"]["passed"] > 50, told["summary"]
    assert told["summary"]["parsing_errors"] == 0
    return {
        (one["check_id"], one["resource"].partition(".")[0])
        for one in told["results"]["failed_checks"]
    }


def excepted(*, profiles: bool) -> set[Failed]:
    return {
        (one["check"], kind)
        for one in EXCEPTIONS
        if profiles or not one.get("profile")
        for kind in one["kinds"]
    }


def test_by_default_nothing_fails_but_what_has_a_reason(tmp_path: Path) -> None:
    assert failed(tmp_path) <= excepted(profiles=False)


def test_with_everything_switched_on_too_and_no_exception_is_idle(tmp_path: Path) -> None:
    every = failed(tmp_path, "-f", str(EVERYTHING)) | failed(tmp_path)
    assert every == excepted(profiles=True)


def test_every_exception_says_why() -> None:
    page = (ROOT / "docs" / "privileges.md").read_text("utf-8")
    for one in EXCEPTIONS:
        assert len(one["why"]) > 20 or one["why"].startswith("As CKV")
        assert one["check"] in page, one["check"]
