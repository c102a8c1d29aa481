"""A person who reads only the first screen, wide or narrow, can name everything that counts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from agent.commands.why import Question, answer
from agent.report.html import as_html
from tests.browser import Browser, chromium
from tests.conftest import ROOT
from tests.full_node import whole_report

pytestmark = pytest.mark.e2e

STORIES_DIR = ROOT / "tests" / "stories"
FOUND = (
    "const at = document.querySelector(arguments[0]).getBoundingClientRect();"
    "return [at.top, at.bottom, at.right]"
)
STORIES = ("founding-incident", "dockerd-crash", "monitor-kill-2020", "reboot", "sandbox-killed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@cache
def story_page(name: str) -> str:
    return as_html(
        whole_report() if name == "full" else answer(Question(bundle=STORIES_DIR / name))
    )


@pytest.mark.parametrize("name", ["full", *STORIES])
@pytest.mark.parametrize("size", [(1440, 900), (390, 844)])
def test_first_screen_holds_the_answer(
    browser: Browser, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    (width, height), page = size, tmp_path / "page.html"
    page.write_text(story_page(name), "utf-8")
    browser.size(width, height)
    browser.open(page)
    labels = browser.run("return [...document.querySelectorAll('dt')].map((e) => e.textContent)")
    assert labels == ["Killer", "Cause", "Offender", "Victims"]
    places = ["h1", *(f".answers > div:nth-child({n}) strong" for n in (1, 2, 3, 4))]
    for place in (*places, ".next li", ".next", ".confidence strong"):
        top, bottom, right = browser.run(FOUND, place)
        assert 0 <= top < bottom <= height, place
        assert right <= width, place
    if width > 900:
        assert 0 < browser.run(FOUND, ".chain.wide")[1] <= height


def test_names_in_the_heading_stay_whole(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(story_page("founding-incident"), "utf-8")
    for width in (390, 768, 1440):
        browser.size(width, 844)
        browser.open(page)
        heights = browser.run(
            "return [...document.querySelectorAll('h1 .whole')]"
            ".map((e) => [e.textContent, e.getClientRects().length])"
        )
        assert [name for name, _ in heights] == ["re-created", "kube-docker-monitor,"]
        assert {lines for _, lines in heights} == {1}
