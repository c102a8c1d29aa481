"""The report for tickets: golden, agreeing with the others, and inert whatever a log says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.report.markdown import as_markdown, code, prose
from agent.report.view import report
from tests.golden_files import same_as_golden
from tests.handmade import founding, origin, unknown
from tests.hostile import TEXTS, hostile_report

markdown_it = pytest.importorskip("markdown_it", reason="renders what was written")

OURS = frozenset({
    "h3", "h4", "p", "ul", "ol", "li", "strong", "code", "inline", "text", "softbreak", "br", "",
})  # fmt: skip


def test_ticket_is_golden() -> None:
    same_as_golden(as_markdown(report([founding(), unknown()], origin(spoofed=3))), "report.md")


def test_every_incident_is_golden() -> None:
    both = as_markdown(report([founding(), unknown()], origin()), every_incident=True)
    same_as_golden(both, "report-all.md")


def test_quiet_input_says_so() -> None:
    assert as_markdown(report([], origin("calm"))) == (
        "**Nothing to report: no incident in calm.**\n"
    )


def rendered(text: str) -> str:
    return str(markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(text))


def kinds(text: str) -> set[str]:
    found = set()
    for block in markdown_it.MarkdownIt("gfm-like", {"linkify": False}).parse(text):
        found |= {block.tag, *(inline.tag for inline in block.children or [])}
        assert block.type != "html_block", block.content
        for inline in block.children or []:
            assert inline.type != "html_inline" or inline.content == "<br>", inline.content
    return found


@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_is_shown_not_obeyed(text: str) -> None:
    written = as_markdown(hostile_report(text), every_incident=True)
    assert kinds(written) <= OURS
    assert written.replace("\n", "").isprintable()


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_text_at_all_becomes_markup(text: str) -> None:
    assert kinds(as_markdown(hostile_report(text))) <= OURS


@given(st.text(alphabet="`| a\\*_[]<>#&;1.)-+=~@/:w", min_size=1, max_size=30))
def test_prose_and_code_render_as_what_they_say(text: str) -> None:
    from html import unescape

    said = " ".join(text.split())
    for written in (prose(said), code(said)):
        line = unescape(rendered(f"x: {written}").removeprefix("<p>x:").removesuffix("</p>\n"))
        bare = line.replace("<code>", "").replace("</code>", "").replace(" ", "")
        assert bare == said.replace(" ", "")


@pytest.mark.parametrize("word", ["@team", "#7", "https://x.y", "www.x.y", "evil.example", "!3"])
def test_what_a_ticket_system_acts_on_becomes_code(word: str) -> None:
    assert prose(f"see {word}") == f"see `{word}`"
