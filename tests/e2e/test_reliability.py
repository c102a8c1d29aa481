"""Every scenario once: nothing is lost, nothing is told twice, nothing is told wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.reliability.play import Row, play
from tests.reliability.scenarios import SCENARIOS
from tests.replay import remote_tool

TOOL = remote_tool() or ""
AT_ONCE = 4  # a scenario mostly waits
LONG = {"disk stalls 120 s"}
KILLED = ("founding incident", "two incidents at once", "planned drain")
PLAYED = [name for name in SCENARIOS if name not in LONG]

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
    pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed"),
]
Rows = Mapping[str, Future[Row]]


@pytest.fixture(scope="module")
def rows() -> Iterator[Rows]:
    """All of them, several at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(play, name, SCENARIOS[name], TOOL) for name in PLAYED}


@pytest.mark.parametrize("name", PLAYED)
def test_a_scenario_is_told_once_and_right(rows: Rows, name: str) -> None:
    row = rows[name].result()
    assert row.complaints == ()
    assert (row.lost, row.duplicated, row.wrong) == (0, 0, 0)
    assert row.reported == row.expected


@pytest.mark.parametrize("name", KILLED)
def test_the_same_is_told_when_the_agent_is_killed_in_it(name: str) -> None:
    row = play(name, SCENARIOS[name], TOOL, kills_agent=True)
    assert row.complaints == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in KILLED])
def test_the_same_is_told_when_the_agent_is_killed_in_any(name: str) -> None:
    row = play(name, SCENARIOS[name], TOOL, kills_agent=True)
    assert row.complaints == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LONG))
def test_a_long_scenario_is_told_once_and_right(name: str) -> None:
    assert play(name, SCENARIOS[name], TOOL).complaints == ()
