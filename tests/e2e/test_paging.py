"""Scenarios with a real Prometheus and Alertmanager beside the agent: who is woken up, and who not.

The rules, routes and words are the committed ones, with shorter waits (``alerting.toml``).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.alerting import steady
from tests.golden_files import same_as_golden
from tests.reliability.cluster import HERE
from tests.reliability.scenarios import SCENARIOS
from tests.reliability.watched import Paged, played
from tests.replay import remote_tool

TOOL = remote_tool() or ""
NOBODY = {
    "planned drain": ("node_drain", "true"),
    "reboot": ("node_reboot", "true"),
    "planned restart, monitor on": ("planned_restart", "true"),
}
ONCE = {
    "node lost": ("node_reboot", "false"),
    "power loss": ("node_reboot", "false"),
    "founding incident": ("io_saturation", "false"),
}

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed"),
]
Plays = Mapping[str, Future[Paged]]


@pytest.fixture(scope="module")
def plays() -> Iterator[Plays]:
    """All of them, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(played, SCENARIOS[name], TOOL) for name in (*NOBODY, *ONCE)}


@pytest.mark.parametrize("name", NOBODY)
def test_planned_work_wakes_nobody_and_is_seen(plays: Plays, name: str) -> None:
    told = plays[name].result()
    assert told.incidents == {NOBODY[name]}
    assert told.victims
    assert told.titles == ()


@pytest.mark.parametrize("name", ONCE)
def test_what_nobody_planned_pages_once(plays: Plays, name: str) -> None:
    told = plays[name].result()
    assert ONCE[name] in told.incidents
    assert told.pages == 1, told.titles
    assert [title for title in told.titles if title.startswith("Critical:")] == [
        title for title in told.titles if not title.startswith("Warning: docker")
    ], "beside the page nobody hears of anything but the slow answers that led to it"


def test_the_page_of_a_lost_node_names_every_pod_that_was_given_up(plays: Plays) -> None:
    told = plays["node lost"].result()
    assert told.victims == {*HERE}
    same_as_golden(steady(told.texts[0]), "alert-node-lost-slack.txt")
