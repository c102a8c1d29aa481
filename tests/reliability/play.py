"""Play one scenario before a real agent process, and count what it told."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.agents import explained
from tests.lab.drill.matrix import worst_gap_s
from tests.reliability.counting import Counts, Heard, count
from tests.reliability.paging import alerts_of
from tests.reliability.scenario import Scenario
from tests.reliability.stage import Stage, stage

PATIENCE_S = 60.0
SETTLED_S = 7.0
AGENT_KILLED = "agent killed in it"


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario, played once."""

    scenario: str
    agent_killed: bool
    how: str
    expected: int
    reported: int
    lost: int
    duplicated: int
    wrong: int
    worst_gap_s: float | None
    explained_s: float | None
    """From the blow to the last Event that had to be sent."""
    complaints: tuple[str, ...]
    told: tuple[str, ...]


def play(name: str, scenario: Scenario, tool: str, *, kills_agent: bool = False) -> Row:
    """Set the stage, let it happen, wait, and count."""
    with tempfile.TemporaryDirectory(prefix="knockon-scenario-") as scratch:
        folder = Path(scratch)
        with stage(folder, tool, scenario.journal_bytes) as made:
            made.kills_agent = kills_agent
            from_s = time.time()
            with _arrivals(made) as came_s:
                scenario.act(made)
                took_s = _await_told(made, scenario, came_s)
            pages = [made.agent.get("/metrics")]
            time.sleep(SETTLED_S)
            pages.append(made.agent.get("/metrics"))
            heard = _heard(made, pages)
            gap_s = worst_gap_s(made.agent.ring, from_s, time.time())
    counts = count(scenario.expected, heard)
    return _row(name, scenario, counts, heard, (gap_s, took_s), kills_agent=kills_agent)


def _row(
    name: str,
    scenario: Scenario,
    counts: Counts,
    heard: Heard,
    times: tuple[float | None, float | None],
    *,
    kills_agent: bool,
) -> Row:
    return Row(
        name,
        kills_agent,
        scenario.how,
        counts.expected,
        counts.reported,
        counts.lost,
        counts.duplicated,
        counts.wrong,
        *times,
        counts.complaints,
        tuple(str(one["verdict"]) for one in heard.incidents),
    )


@contextmanager
def _arrivals(made: Stage) -> Iterator[list[float]]:
    """Note when each Event arrives that explains a pod; the scenario may go on long after."""
    came_s: list[float] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.2):
            came_s.extend([time.time()] * (len(explained(made.api)) - len(came_s)))

    thread = threading.Thread(target=run, name="arrivals")
    thread.start()
    try:
        yield came_s
    finally:
        stop.set()
        thread.join()


def _await_told(made: Stage, scenario: Scenario, came_s: Sequence[float]) -> float | None:
    """Wait until every Event and incident that is due is there; how long it took."""
    due = sum(len(one.pods if one.events is None else one.events) for one in scenario.expected)
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        with suppress(OSError):
            there = len(_incidents(made)) >= len(scenario.expected)
            if there and len(came_s) >= due:
                break
        time.sleep(0.1)
    else:
        return None
    told_s = came_s[due - 1] if due else time.time()
    return round(told_s - made.struck_at_s, 1) if scenario.expected else None


def _incidents(made: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(made.agent.get("/incidents"))["incidents"]
    return found


def _heard(made: Stage, pages: Sequence[str]) -> Heard:
    incidents, reports = [], {}
    for item in _incidents(made):
        text = made.agent.get(f"/incidents/{item['id']}")
        reports[item["id"]] = text
        incidents += json.loads(text)["incidents"]
    events = made.api.store.everything("events")[1]
    marks = [
        (one["metadata"]["annotations"]["knockon.dev/incident"], one)
        for one in events
        if "knockon.dev/incident" in one["metadata"].get("annotations", {})
    ]
    about_node = [(mark, one) for mark, one in marks if one["involvedObject"]["kind"] == "Node"]
    return Heard(
        incidents=incidents,
        events=[
            (mark, one["involvedObject"]["name"])
            for mark, one in marks
            if one["reason"] == "RestartExplained"
        ],
        notes=[(mark, str(one["reason"])) for mark, one in about_node],
        alerts=alerts_of(pages, made.folder),
        reports=reports,
    )
