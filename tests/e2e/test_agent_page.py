"""The agent's own page: a real agent, a real browser, and a proxy below a path between them."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.agents import Site, kill_lines, now_us, site, until
from tests.browser import Browser, chromium
from tests.fake_runtimes import late, plain, runtime
from tests.hostile import TEXTS
from tests.kept_incidents import keep_incidents
from tests.path_proxy import path_proxy
from tests.replay import JournalWriter, entry, journal_writer, remote_tool

TOOL = remote_tool() or ""
ROWS = "return [...document.querySelectorAll('#rows tr')].map((r) => r.textContent)"
SHOWN = "return document.getElementById('one').textContent"
STATE = "return document.getElementById('state').textContent"
BOTH = f"return [(() => {{ {STATE} }})(), (() => {{ {ROWS} }})()]"
ENTER = "\ue007"
SETTLE_S = 20.0

pytest.importorskip("systemd._reader", reason="systemd-python is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not TOOL, reason="systemd-journal-remote is not installed"),
]


@dataclass(slots=True)
class Node:
    """A running agent that has incidents of the past, and a journal to add to."""

    site: Site
    writer: JournalWriter

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.port()}/"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="knockon-")))
        keep_incidents(folder / "state" / "incidents")
        socket = folder / "docker.sock"
        stack.enter_context(runtime(socket, late(plain(), 8.0)))
        probing = {"docker": str(socket), "mean_gap_s": 1.0}
        one = stack.enter_context(site(folder, probe=probing, incidents={"settle_s": SETTLE_S}))
        writer = stack.enter_context(journal_writer(TOOL, one.journal / "a.journal"))
        writer.write([entry(now_us() - 10**6, "quiet", _SYSTEMD_UNIT="docker.service")])
        until(lambda: any(file.stat().st_size for file in one.journal.glob("*.journal")))
        one.start()
        one.ready()
        yield Node(one, writer)


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def browser(started: Browser) -> Browser:
    started.size(1440, 900)
    return started


def show(browser: Browser, url: str) -> None:
    browser.open("about:blank")  # else a change of the fragment alone loads nothing
    browser.open(url)
    wait(lambda: browser.run("return document.documentElement.dataset.ready") == "yes")


def wait(happens: Callable[[], bool], why: Callable[[], str] = str) -> None:
    until(happens, why, longest_s=120.0)


def test_shows_incidents_and_charts_and_asks_nobody_else(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    rows = browser.run(ROWS)
    assert len(rows) == 3 + len(TEXTS)
    assert "No incident is open." in browser.run("return document.body.innerText")
    wait(lambda: browser.run("return document.querySelectorAll('.chart:not([hidden])').length") > 2)
    labels = browser.run(
        "return [...document.querySelectorAll('.chart svg')].map((e) => e.ariaLabel)"
    )
    assert all("the last ten minutes" in label for label in labels)
    asked = browser.requests()
    assert {url.removeprefix(node.url).partition("?")[0] for url in asked} == {
        "",
        "live",
        "incidents",
    }
    assert browser.complaints() == []


def test_charts_go_on_while_one_looks(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    end = "return document.querySelector('.axis span:last-child').textContent"
    wait(lambda: browser.run(end) != "")
    first = browser.run(end)
    wait(lambda: browser.run(end) > first)
    said = "return [...document.querySelectorAll('.chart')].map((e) => e.textContent).join()"
    wait(lambda: "docker ps answersno answer for" in browser.run(said))
    wait(lambda: "docker ps answers8." in browser.run(said))
    assert "the killer waits 60 s" in browser.run(said)
    asked = [url for url in browser.requests() if "live?since=" in url]
    assert asked[0].endswith("since=0")
    assert not asked[-1].endswith("since=0"), "what was shown once is not asked for again"


def open_rows(browser: Browser, node: Node) -> list[str]:
    """Let docker be killed until the page says so; return the rows it shows at that moment.

    A page on a busy machine asks seldom, and the sooner an incident ends, the sooner it is missed:
    so this one does not end before it was seen.
    """
    killed_s, rows = float("-inf"), []

    def seen() -> bool:
        nonlocal killed_s, rows
        if time.monotonic() - killed_s > SETTLE_S / 4:
            killed_s = time.monotonic()
            node.writer.write(kill_lines())
        said, rows = browser.run(BOTH)
        return bool(said.startswith("Open: "))

    wait(seen, node.site.said)
    return rows


def test_an_incident_that_happens_now_appears(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    before = browser.run(ROWS)
    rows = open_rows(browser, node)
    assert rows[1:] == before, "each kill is of the same incident"
    assert rows[0].find("open") > 0
    wait(lambda: browser.run(STATE) == "No incident is open.", node.site.said)
    assert browser.run(ROWS)[1:] == before


def test_filters_by_words_cause_and_plan(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    every = len(browser.run(ROWS))
    browser.run("document.getElementById('words').focus()")
    browser.keys("prod/pg-0")
    assert [("health monitor" in row) for row in browser.run(ROWS)] == [True, True]
    assert browser.run("return document.getElementById('count').textContent") == f"2 of {every}"
    browser.run("document.getElementById('planned').click()")
    assert len(browser.run(ROWS)) == 1
    choose = (
        "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
        "e.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.run(choose, "words", "")
    browser.run(choose, "cause", "unknown")
    assert all("does not say why" in row for row in browser.run(ROWS))
    browser.run(choose, "cause", "")
    browser.run(choose, "since", "24")
    assert "The health monitor killed docker" not in "".join(browser.run(ROWS))
    browser.run(choose, "words", "no such thing")
    assert "No incident fits this filter." in browser.run("return document.body.innerText")


def test_one_incident_is_a_link_away_by_keyboard(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    browser.run("document.querySelector('#rows a[href=\"#abcd0000\"]').focus()")
    browser.keys(ENTER)
    wait(lambda: "Killer" in browser.run(SHOWN))
    text = browser.run(SHOWN)
    for said in (
        "kube-docker-monitor.service",
        "I/O saturation",
        "pod prod/backup-7",
        "5 pods",
        "Give backup-7 a rate limit",
        "outage: its only member",
        "knockon why pod/pg-0 -n prod --html report.html",
    ):
        assert said in text
    assert browser.run("return document.activeElement.id") == "one"
    assert browser.run(
        "return document.querySelector('#one p:last-child a').getAttribute('href')"
    ) == ("incidents/abcd0000")
    show(browser, f"{node.url}#abcd0001")
    assert "does not say why" in browser.run(SHOWN)
    show(browser, f"{node.url}#ffffffff")
    assert "not kept here" in browser.run(SHOWN)


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_hostile_names_are_harmless(browser: Browser, node: Node, number: int) -> None:
    show(browser, f"{node.url}#abcd{16 + number:04x}")
    wait(lambda: "Killer" in browser.run(SHOWN))
    assert browser.run("return document.title").startswith("Knock-on")
    assert (
        browser.run("return document.querySelectorAll('img, iframe, object, svg svg').length") == 0
    )
    assert browser.run("return document.scripts.length") == 1
    assert browser.run("return document.querySelector('#one code')") is None, "nothing to paste"
    assert browser.complaints() == []
    assert all(url.startswith(node.url) for url in browser.requests() if url != "about:blank")


def open_report(browser: Browser, text: str) -> None:
    """Follow the link of the shown incident, and wait for the page behind it."""
    wait(lambda: "Killer" in browser.run(SHOWN))
    browser.run("document.querySelector('#one a[href$=report]').click()")
    wait(lambda: bool(browser.run("return document.querySelector('article')?.textContent || ''")))
    assert text in browser.run("return document.querySelector('article').textContent")


def test_the_whole_report_is_a_link_away(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    links = "return [...document.querySelectorAll('#rows a')].map((e) => e.getAttribute('href'))"
    assert "incidents/abcd0000/report" in browser.run(links)
    show(browser, f"{node.url}#abcd0000")
    open_report(browser, "kube-docker-monitor.service")
    assert browser.run("return document.title").startswith("Knock-on: The health monitor killed")
    assert browser.run("return self.origin") == "null", "a sandbox: it can ask nobody for anything"
    assert browser.complaints() == []
    assert node.site.metric('knockon_reports_total{result="made"}') >= 1


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_reports_of_hostile_names_are_harmless(browser: Browser, node: Node, number: int) -> None:
    show(browser, f"{node.url}#abcd{16 + number:04x}")
    open_report(browser, "")
    assert browser.run("return document.title").startswith("Knock-on: ")
    assert browser.run("return document.querySelectorAll('img, iframe, object').length") == 0
    assert browser.complaints() == []
    assert all(url.startswith(node.url) for url in browser.requests() if url != "about:blank")


def test_the_report_of_what_happens_now_has_the_minutes_before(
    browser: Browser, node: Node
) -> None:
    def newest() -> str:
        every = json.loads(node.site.get("/incidents"))["incidents"]
        return next((one["id"] for one in every if not one["id"].startswith("abcd")), "")

    if not newest():  # else it is that of a test before
        node.writer.write(kill_lines())
    wait(lambda: newest() != "", node.site.said)
    browser.open(f"{node.url}incidents/{newest()}/report")
    charts = "return [...document.querySelectorAll('[data-track] .title')].map((e) => e.innerText)"
    wait(lambda: "Memory available" in browser.run(charts), node.site.said)
    assert "Runtime probe" in browser.run(charts)


def test_works_below_the_path_of_a_proxy(browser: Browser, node: Node) -> None:
    with path_proxy(node.url.rstrip("/")) as proxy:
        show(browser, f"{proxy.url}#abcd0000")
        wait(lambda: "Killer" in browser.run(SHOWN))
        end = "return document.querySelector('.axis span:last-child').textContent"
        wait(lambda: browser.run(end) != "")
        links = browser.run("return [...document.links].map((e) => e.href)")
        assert all(link.startswith(f"{proxy.url}/") for link in links)
        open_report(browser, "kube-docker-monitor.service")
        assert browser.complaints() == []
        assert all(url.startswith(proxy.url) for url in browser.requests() if url != "about:blank")
        assert proxy.strays == []


@pytest.mark.parametrize("size", [(390, 844), (1440, 900)])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_screen(
    browser: Browser, node: Node, size: tuple[int, int], dark: bool
) -> None:
    browser.size(*size, dark=dark)
    show(browser, f"{node.url}#abcd0000")
    wait(lambda: "Killer" in browser.run(SHOWN))
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    small = browser.run(
        "return [...document.querySelectorAll('main *')].filter((e) => e.checkVisibility()"
        " && parseFloat(getComputedStyle(e).fontSize) < 12).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert small == []


def test_an_agent_that_is_gone_is_said_to_be_gone(browser: Browser, node: Node) -> None:
    show(browser, node.url)
    node.site.kill()
    heard = "return document.getElementById('heard').textContent"
    wait(lambda: "does not answer" in browser.run(heard))
    assert len(browser.run(ROWS)) > 3, "and what was told stays"
