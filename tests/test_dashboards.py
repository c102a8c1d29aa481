"""Dashboards: every query parses, asks for metrics that exist, and every panel explains itself."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alerts.dashboards import dashboards
from alerts.rule import Board
from tests.exposed import labels_of, metrics_in, wrong_labels
from tests.promtool import parses

BOARDS: dict[str, Any] = json.loads(json.dumps(dashboards()))


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in board["panels"] if one["type"] != "row"]


def queries(board: dict[str, Any]) -> list[str]:
    """Every PromQL expression of panels and annotations."""
    asked = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    return asked + [one["expr"] for one in board["annotations"]["list"]]


@pytest.mark.parametrize("name", BOARDS)
def test_every_query_parses(name: str, tmp_path: Path) -> None:
    parses(queries(BOARDS[name]), tmp_path)


@pytest.mark.parametrize("name", BOARDS)
def test_every_metric_is_exposed(name: str) -> None:
    asked = queries(BOARDS[name]) + [
        one["query"]["query"]
        for one in BOARDS[name]["templating"]["list"]
        if one["name"] != "datasource"
    ]
    assert {metric for query in asked for metric in metrics_in(query)} - labels_of().keys() == set()
    assert [wrong for query in asked for wrong in wrong_labels(query)] == []


def test_the_uids_are_those_the_alerts_link_to() -> None:
    assert {board["uid"] for board in BOARDS.values()} == {one.value for one in Board}


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_explains_itself(name: str) -> None:
    for panel in panels(BOARDS[name]):
        assert panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["targets"], panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_their_own_place_and_number(name: str) -> None:
    everything = BOARDS[name]["panels"]
    assert len({one["id"] for one in everything}) == len(everything)
    taken: set[tuple[int, int]] = set()
    for place in (one["gridPos"] for one in everything):
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert place["x"] + place["w"] <= 24
        taken |= cells


@pytest.mark.parametrize("name", BOARDS)
def test_queries_follow_the_zoom_and_the_choices(name: str) -> None:
    for query in queries(BOARDS[name]):
        assert set(re.findall(r"\[([^\]]+)\]", query)) <= {"$__rate_interval"}, query
        assert 'cluster=~"$cluster"' in query, query


@pytest.mark.parametrize("name", BOARDS)
def test_everybody_can_choose_source_cluster_and_node(name: str) -> None:
    chosen = [one["name"] for one in BOARDS[name]["templating"]["list"]]
    assert chosen[0] == "datasource"
    assert {"cluster", "node"} <= set(chosen)


@pytest.mark.parametrize("name", BOARDS)
def test_incidents_are_marked_on_every_time_axis(name: str) -> None:
    marks = BOARDS[name]["annotations"]["list"]
    assert any("knockon_open_incident_info" in one["expr"] for one in marks)


def test_a_label_that_is_misspelt_is_found() -> None:
    wrong = list(wrong_labels('sum by (nod) (knockon_backup_running{databse="x"})'))
    assert len(wrong) == 2
