"""Killed -9 at random moments of a storm of incidents: none is lost, none is told twice."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.agents import (
    NODE,
    PATIENCE_S,
    Site,
    explained,
    incidents_told_on_the_node,
    oom_lines,
    site,
    uid_of,
    until,
)
from tests.fake_api import FakeApi
from tests.fake_pods import pod
from tests.replay import JournalWriter, journal_writer, remote_tool

TOOL = remote_tool() or ""

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]


def storm(writer: JournalWriter, incidents: int, lasts_s: float) -> None:
    for number in range(incidents):
        writer.write(oom_lines(uid_of(number)))
        time.sleep(lasts_s / incidents)


def kill_at_random(one: Site, kills: int, rng: random.Random) -> None:
    for _ in range(kills):
        one.start()
        time.sleep(rng.uniform(0.2, 2.6))
        one.kill()


def told(api: FakeApi) -> Counter[str]:
    return Counter(one["involvedObject"]["name"] for one in explained(api))


def survive(folder: Path, kills: int, incidents: int, seed: int) -> None:
    with (
        FakeApi() as api,
        site(folder, api, incidents={"settle_s": 2.0, "ripe_s": 0.5}) as one,
        journal_writer(TOOL, one.journal / "a.journal") as writer,
    ):
        for number in range(incidents):
            api.store.put("pods", pod(f"job-{number}", node=NODE, uid=uid_of(number)))
        writer.write(oom_lines(uid_of(10**6)))
        lasts_s = kills * 1.3
        raging = threading.Thread(target=storm, args=(writer, incidents, lasts_s))
        raging.start()
        kill_at_random(one, kills, random.Random(seed))
        raging.join()
        one.start()
        until(lambda: len(told(api)) >= incidents, one.said, 2 * PATIENCE_S)
        time.sleep(4.0)  # whatever would be told twice is told by now
        assert one.stop() < 2.0
        names = {f"job-{number}" for number in range(incidents)}
        assert told(api) == Counter(dict.fromkeys(names, 1))
        ids = Counter(
            event["metadata"]["annotations"]["knockon.dev/incident"] for event in explained(api)
        )
        assert set(ids.values()) == {1}, "two incidents have become one, or one has become two"
        nodes = Counter(incidents_told_on_the_node(api))
        assert set(nodes.values()) <= {1}
        assert set(ids) <= set(nodes), "a settled incident is told on the node"
        kept = {path.stem for path in (one.state / "incidents").glob("*.json")}
        assert set(ids) <= kept


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_twenty_times(tmp_path: Path, seed: int) -> None:
    survive(tmp_path, kills=10, incidents=25, seed=seed)


@pytest.mark.slow
def test_killed_two_hundred_times(tmp_path: Path) -> None:
    survive(tmp_path, kills=200, incidents=50, seed=3)
