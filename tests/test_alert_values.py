"""Thresholds of one's own: each changes a rule, and a wrong file is one clear line."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from agent.errors import UserError
from alerts import rendering
from alerts.thresholds import Thresholds, Values, load


@pytest.mark.parametrize("name", [one.name for one in fields(Thresholds)])
def test_every_threshold_changes_a_rule(name: str) -> None:
    default = getattr(Thresholds(), name)
    one: dict[str, Any] = {name: "17s" if isinstance(default, str) else default + 1}
    changed = Values(replace(Thresholds(), **one))
    assert dict(rendering.files(changed)) != dict(rendering.files(Values()))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[thresholds]\nbackup_stale = 3", "did you mean backup_stale_s?"),
        ("[thresholds]\npressure_window = 300", "is no text"),
        ("[thresholds]\npressure_window = 'soon'", "is no duration"),
        ("[thresholds]\nfleet_nodes = true", "is no number"),
        ("[thresholds]\nfleet_nodes = nan", "is no number"),
        ("[limits]\nfleet_nodes = 3", "unknown table limits"),
        ("thresholds = 3", "a table is expected"),
        ("[thresholds", "Expected"),
    ],
)
def test_a_wrong_values_file_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "values.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UserError) as caught:
        load(path)
    assert complaint in f"{caught.value.message} {caught.value.hint}"


def test_a_values_file_changes_thresholds_and_links(tmp_path: Path) -> None:
    path = tmp_path / "values.toml"
    path.write_text(
        "[thresholds]\nbackup_stale_s = 32400\n[links]\nrunbooks = 'https://wiki'", "utf-8"
    )
    made = dict(rendering.files(load(path)))["backup.yaml"]
    assert "> 32400" in made
    assert "https://wiki/PostgresBackupStale" in made
