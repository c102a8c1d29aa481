"""The page in a real browser: it draws, zooms by keyboard, filters, prints, and asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agent.commands.why import Question, answer
from agent.report.html import as_html
from agent.report.view import report
from tests.browser import Browser, chromium
from tests.full_node import whole_report
from tests.handmade import founding, origin
from tests.hostile import TEXTS, hostile_report

pytestmark = pytest.mark.e2e

STORY = Path(__file__).resolve().parent.parent / "stories" / "founding-incident"
LEFT, RIGHT, TAB, ENTER = "\ue012", "\ue014", "\ue004", "\ue007"
SHOWN = "return document.querySelector('.board').dataset.shown.split('-').map(Number)"
PATHS = "return [...document.querySelectorAll('.plot path')].map((p) => p.getAttribute('d'))"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@cache
def full_page() -> str:
    return as_html(whole_report())


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(full_page(), "utf-8")
    return path


@pytest.fixture(autouse=True)
def wide(request: pytest.FixtureRequest) -> None:
    started: Browser = request.getfixturevalue("browser")
    started.size(1440, 900)


def focus_board(browser: Browser) -> None:
    browser.run("document.querySelector('.board').focus()")


def test_renders_without_a_complaint_and_without_a_request(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert browser.run("return document.documentElement.dataset.ready") is not None
    assert browser.run("return document.querySelectorAll('.plot').length") == 11
    assert browser.requests() == [page.as_uri()]
    assert browser.complaints() == []


def test_script_draws_what_stands_in_the_page(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("for (const one of document.scripts) one.remove()")
    drawn = browser.run(PATHS)
    text = full_page()
    assert len(drawn) >= 14
    assert [path for path in drawn if f'd="{path}"' not in text] == []


def test_zooms_and_moves_by_keyboard(browser: Browser, page: Path) -> None:
    browser.open(page)
    whole, paths = browser.run(SHOWN), browser.run(PATHS)
    focus_board(browser)
    browser.keys("+", "+", "+")
    near = browser.run(SHOWN)
    assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 8, abs=4)
    kill = browser.run("return JSON.parse(document.getElementById('i0-data').textContent).kill")
    assert near[0] < kill < near[1]
    assert browser.run(PATHS) != paths
    browser.keys(LEFT)
    assert browser.run(SHOWN)[0] < near[0]
    browser.keys(RIGHT, RIGHT)
    assert browser.run(SHOWN)[0] > near[0]
    browser.keys("-")
    assert browser.run("return document.querySelectorAll('.kill-line').length") > 0
    browser.keys("k")
    seconds = browser.run(SHOWN)
    assert seconds[1] - seconds[0] == 90
    browser.keys("0")
    assert browser.run(SHOWN) == whole
    assert browser.run(PATHS) == paths


def test_zooms_to_what_is_dragged_over(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('.plot').scrollIntoView({block: 'center'})")
    box = browser.run(
        "const b = document.querySelector('.plot').getBoundingClientRect();"
        "return [b.left, b.top, b.width, b.height]"
    )
    left, top, width, height = box
    y = top + height / 2
    for kind, share in (("mousePressed", 0.5), ("mouseMoved", 0.6), ("mouseReleased", 0.75)):
        event = {"type": kind, "x": left + width * share, "y": y, "button": "left"}
        event |= {"buttons": 1, "clickCount": 1}
        browser.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)
    browser.frame()
    first, last = browser.run(SHOWN)
    cells = browser.run("return JSON.parse(document.getElementById('i0-data').textContent).cells")
    assert (first / cells, last / cells) == (
        pytest.approx(0.5, abs=0.01),
        pytest.approx(0.75, abs=0.01),
    )
    assert "/s" in browser.run("return document.querySelector('.row output').textContent")


def test_buttons_do_what_keys_do(browser: Browser, page: Path) -> None:
    browser.open(page)
    whole = browser.run(SHOWN)
    browser.run("document.querySelector('[data-do=in]').focus()")
    browser.keys(ENTER)
    assert browser.run(SHOWN) != whole
    browser.run("document.querySelector('[data-do=all]').click()")
    browser.frame()
    assert browser.run(SHOWN) == whole


def test_mark_under_the_focus_tells_its_line(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.run("document.querySelector('.mark[tabindex=\"0\"]').focus()")
    said = "return document.querySelector('.said').textContent"
    first = browser.run(said)
    browser.keys(RIGHT)
    second = browser.run(said)
    assert first != second
    assert ": " in second
    assert browser.run("return document.querySelectorAll('.mark[tabindex=\"0\"]').length") == 1
    browser.keys(ENTER)
    row = browser.run("return document.activeElement.tagName")
    assert row == "TR"


def test_filters_lines_and_their_marks(browser: Browser, page: Path) -> None:
    browser.open(page)
    rows = "return [...document.querySelectorAll('#i0-lines-t tbody tr')].filter(r => !r.hidden)"
    marks = (
        "return [...document.querySelectorAll('.mark')].filter(m => m.style.display !== 'none')"
        ".length"
    )
    every, drawn = len(browser.run(rows)), browser.run(marks)
    browser.run("document.getElementById('i0-lines-q').focus()")
    browser.keys("daemon failed")
    assert len(browser.run(rows)) == 1
    assert browser.run(marks) == 1
    assert browser.run("return document.querySelector('.count').textContent") == f"1 of {every}"
    browser.run(
        "const q = document.getElementById('i0-lines-q'); q.value = '';"
        "q.dispatchEvent(new Event('input'))"
    )
    assert browser.run(marks) == drawn
    browser.run(
        "const s = document.getElementById('i0-lines-s'); s.value = 'events';"
        "s.dispatchEvent(new Event('input'))"
    )
    assert 0 < len(browser.run(rows)) < every


def test_prints_with_everything_open(browser: Browser, page: Path) -> None:
    browser.open(page)
    printed = browser.pdf()
    assert printed.startswith(b"%PDF-")
    assert len(printed) > 20_000
    assert browser.run("return document.querySelectorAll('details[open]').length") == 0


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("unbroken", ["", "W" * 300])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, page: Path, width: int, dark: bool, unbroken: str
) -> None:
    if unbroken:
        page.write_text(as_html(hostile_report(unbroken)), "utf-8")
    browser.size(width, 844, dark=dark)
    browser.open(page)
    wide = browser.run(
        "return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility()"
        " && !e.closest('.wide-table, .unseen-text, svg, .stack thead')"
        " && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert wide == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    small = browser.run(
        "return [...document.querySelectorAll('main p, main td, main dd')].filter((e) =>"
        " e.checkVisibility() && parseFloat(getComputedStyle(e).fontSize) < 11).length"
    )
    assert small == 0


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_names_are_harmless(browser: Browser, tmp_path: Path, text: str) -> None:
    path = tmp_path / "hostile.html"
    path.write_text(as_html(hostile_report(text), every_incident=True), "utf-8")
    browser.open(path)
    assert browser.requests() == [path.as_uri()]
    assert browser.complaints() == []
    assert browser.run("return document.title").startswith("Knock-on:")
    assert browser.run("return document.querySelectorAll('img, iframe, object').length") == 0
    assert browser.run("return document.scripts.length") == 3
    focus_board(browser)
    browser.keys("+")
    browser.run("document.querySelector('.mark[tabindex=\"0\"]').focus()")
    assert browser.run("return document.querySelector('.said').children.length") == 1


def test_without_samples_nothing_breaks(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bare.html"
    path.write_text(as_html(report([founding()], origin())), "utf-8")
    browser.open(path)
    assert browser.complaints() == []
    assert browser.run("return document.querySelectorAll('.mark').length") > 5


def test_recorded_story_served_asks_for_the_page_alone(browser: Browser) -> None:
    text = as_html(answer(Question(bundle=STORY))).encode()
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            del args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        browser.open(f"http://127.0.0.1:{server.server_port}/page")
        assert browser.run("return document.documentElement.dataset.ready") is not None
        browser.frame()
        assert asked == ["/page"]
        assert browser.complaints() == []
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
