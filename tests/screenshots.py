"""``python -m tests.screenshots [FOLDER]``: pictures for the README: a report, and an agent's page.

The stories are the repository's own recordings of real nodes, so that whoever makes the pictures
gets the same ones. The agent is a real one, which records this machine for a minute and keeps what
befell the nodes of the stories.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.commands.why import Question, answer
from agent.report.html import as_html
from agent.report.jsonform import document
from tests.agents import site, until
from tests.browser import Browser, chromium

LIVE_S = 60.0
ROOT = Path(__file__).resolve().parent.parent
STORY = Path("tests/stories/unthrottled-backup")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: which screen, how much of the page, and what was done before."""

    name: str
    width: int
    height: int
    dark: bool = False
    place: str = ""  # scrolled to; empty: the first screen
    act: str = ""  # a button of the timeline


PICTURES = (
    Picture("report-1440.png", 1440, 900),
    Picture("report-1440-dark.png", 1440, 900, dark=True),
    Picture("report-390.png", 390, 844),
    Picture("timeline-1440.png", 1440, 900, place="#i0-timeline", act="kill"),
    Picture("timeline-390.png", 390, 844, place="#i0-timeline", act="kill"),
)

AGENT_PICTURES = (Picture("agent-1440.png", 1440, 900), Picture("agent-390.png", 390, 844))


def main(argv: Sequence[str] | None = None) -> int:
    """Make every picture; other bundles may be named behind the folder, to look at."""
    words = list(sys.argv[1:] if argv is None else argv)
    folder = Path(words[0]) if words else ROOT / "docs" / "img"
    stories = [Path(word) for word in words[1:]] or [STORY]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _take_all(folder, stories)
    except pytest.skip.Exception as why:
        print(f"no pictures: {why}", file=sys.stderr)
        return 1
    return 0


def _take_all(folder: Path, stories: Sequence[Path]) -> None:
    with chromium() as browser, tempfile.TemporaryDirectory(prefix="knockon-page-") as place:
        for story in stories:
            prefix = "" if story == STORY else f"{story.name}-"
            page = Path(place) / f"{story.name}.html"
            page.write_text(as_html(answer(Question(bundle=story))), "utf-8")
            for picture in PICTURES:
                take(browser, page, picture, folder / f"{prefix}{picture.name}")
        _take_agent(browser, folder)


def _take_agent(browser: Browser, folder: Path) -> None:
    """Show what an agent shows that has seen the incidents of all stories."""
    with tempfile.TemporaryDirectory(prefix="knockon-agent-") as place:
        kept = Path(place) / "state" / "incidents"
        kept.mkdir(parents=True)
        for story in sorted(path for path in STORY.parent.iterdir() if path.is_dir()):
            whole = document(answer(Question(bundle=story)))
            incidents = whole["incidents"]
            assert isinstance(incidents, list)
            for one in incidents:
                line = json.dumps({**whole, "incidents": [one], "stage": "settled"})
                (kept / f"{one['id']}.json").write_text(f"{line}\n", "utf-8")
        with site(Path(place)) as agent:
            agent.start()
            url = f"http://127.0.0.1:{agent.port()}/"
            time.sleep(LIVE_S)
            for picture in AGENT_PICTURES:
                browser.size(picture.width, picture.height, dark=picture.dark)
                browser.open(url)
                until(lambda: bool(browser.run("return document.querySelector('.chart')")))
                browser.frame()
                browser.picture(folder / picture.name)
                print(folder / picture.name)


def take(browser: Browser, page: Path, picture: Picture, target: Path) -> None:
    """Make one picture."""
    browser.size(picture.width, picture.height, dark=picture.dark)
    browser.open(page)
    if picture.act:
        browser.run(f"document.querySelector('[data-do={picture.act}]').click()")
        browser.frame()
    if picture.place:
        browser.run(f"document.querySelector('{picture.place}').scrollIntoView()")
    browser.frame()
    browser.picture(target)
    print(target)


if __name__ == "__main__":
    raise SystemExit(main())
