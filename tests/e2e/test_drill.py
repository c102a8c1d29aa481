"""The founding incident in a node on one slow disk, explained by the agent as it runs in a pod."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser, chromium
from tests.lab.drill.__main__ import ORDER, made
from tests.lab.drill.arm import Outcome, play
from tests.lab.drill.node import PODS, Node, node, until
from tests.lab.drill.page import as_page
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.verdict import as_text, line
from tests.lab.drill.witness import watching
from tests.lab.image import LabUnavailable

CACHE = Path(os.environ.get("KNOCKON_LAB_CACHE", "/var/cache/knockon-lab"))
CHECK_S = 4.0
_PID = "systemctl show -p MainPID --value docker.service"

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = pytest.mark.e2e


@pytest.fixture
def booted() -> Iterator[Node]:
    try:
        prepared = node(CACHE)
        with prepared as made:
            made.start_pods()
            yield made
    except LabUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def endings() -> dict[Ending, Outcome]:
    try:
        played = {ending: play(ending, Setting(), CACHE) for ending in ORDER}
    except LabUnavailable as missing:
        pytest.skip(str(missing))
    print(as_text(list(played.values())))
    return played


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_a_hung_docker_is_killed_by_the_monitor_and_every_pod_is_told_why(
    booted: Node, tmp_path: Path
) -> None:
    with watching(booted, CHECK_S, tmp_path) as witness:
        before = booted.sandboxes()
        booted.start_monitor(CHECK_S)
        pid = booted.box.check(_PID).strip()
        booted.box.check(f"kill -STOP {pid}")  # injected: this test is about what comes after
        until(lambda: any(check.status for check in booted.checks()), "the monitor gives up", 60)
        booted.box.check(f"kill -CONT {pid}")
        told = witness.told(time.time(), PODS)
        until(booted.answers, "the database is back", 60)
        after = booted.sandboxes()
    assert [name for name in before if before[name] == after[name]] == []
    assert set(told.explained) == set(before)
    (incident,) = told.incidents
    assert incident["cause"] == "runtime_hang"
    assert incident["killer"]["kind"] == "health_monitor"
    assert incident["planned"] is False


def test_the_unthrottled_backup_kills_docker_and_it_is_explained(
    endings: dict[Ending, Outcome],
) -> None:
    outcome = endings[Ending.UNTHROTTLED]
    if not outcome.killed:
        pytest.skip("docs/drill.md: not every evening decides: " + as_text(list(endings.values())))
    told = _told_to_every_pod(outcome)
    assert told["cause"] in {"memory_pressure", "io_saturation"}


def test_what_ionice_comes_to_is_told_as_it_is(endings: dict[Ending, Outcome]) -> None:
    outcome = endings[Ending.IONICE]
    if outcome.killed:
        _told_to_every_pod(outcome)
    else:
        assert [one for one in outcome.told.incidents if one["killer"]] == []


def _told_to_every_pod(outcome: Outcome) -> dict[str, Any]:
    assert len(outcome.restarted) == PODS
    assert set(outcome.told.explained) == set(outcome.restarted)
    told: dict[str, Any]
    (told,) = [one for one in outcome.told.incidents if one["killer"]]
    assert told["killer"]["kind"] == "health_monitor"
    # Whom it names, if it can name anybody, is the reader of the backup and nobody else.
    assert told["offender"] is None or "pg-0" in told["offender"]["name"]
    return told


@pytest.mark.parametrize("ending", [Ending.NONE, Ending.GOVERNED])
def test_without_it_and_with_the_governed_one_nothing_dies(
    endings: dict[Ending, Outcome], ending: Ending
) -> None:
    outcome = endings[ending]
    assert not outcome.killed, as_text(list(endings.values()))
    assert outcome.restarted == ()
    assert [one for one in outcome.told.incidents if one["killer"]] == []


def test_the_governed_backup_did_read(endings: dict[Ending, Outcome]) -> None:
    read, alone = line(endings[Ending.GOVERNED]).read_mb_s, line(endings[Ending.NONE]).read_mb_s
    assert read > alone


@pytest.fixture(scope="module")
def page(endings: dict[Ending, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    kept = os.environ.get("KNOCKON_DRILL_PAGE")
    path = Path(kept) if kept else tmp_path_factory.mktemp("page") / "drill.html"
    path.write_text(as_page(list(endings.values()), made()), "utf-8")
    return path


@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_asks_nobody_and_fits_the_screen(browser: Browser, page: Path, width: int) -> None:
    browser.size(width, 844)
    browser.open(page)
    assert page.stat().st_size < 300_000
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []
    assert browser.run("return document.querySelectorAll('svg .data').length") == 24
    assert browser.run("return document.documentElement.scrollWidth") <= width
    wide = "return [...document.querySelectorAll('main *')].filter((e) => !e.closest('svg') &&"
    wide += " e.getBoundingClientRect().right > innerWidth + 1).length"
    assert browser.run(wide) == 0
    columns = "return new Set([...document.querySelectorAll('.arm')].map((e) =>"
    columns += " e.getBoundingClientRect().left)).size"
    assert browser.run(columns) == (1 if width < 600 else 4)
