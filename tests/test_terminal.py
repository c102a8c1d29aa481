"""What a tired person sees: golden pages, widths, colour, and text written to deceive."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Kind, Link
from agent.printable import ascii_only, columns, safe, wrapped
from agent.report.screen import Screen
from agent.report.terminal import as_text, incident_line
from agent.report.view import Asked, incident_view, report
from tests.golden_files import same_as_golden
from tests.handmade import fact, founding, origin, unknown

HOSTILE = (
    "\x1b[2J\x1b]52;c;cm0gLXJm\x07 \u202egnp.exe\u2066 a\nb\r\x00\x9b31m \u2028 \ud800 "
    "\U000e0041 e" + "\u0301" * 40 + " " + "A" * 5000
)


def page(screen: Screen) -> str:
    return as_text(report([founding(), unknown()], origin(spoofed=3)), screen)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_page_is_golden(width: int) -> None:
    same_as_golden(page(Screen(width=width)), f"terminal-{width}.txt")


def test_explained_page_is_golden() -> None:
    same_as_golden(page(Screen(explain=True, every_incident=True)), "terminal-explain.txt")


def test_first_line_is_the_verdict() -> None:
    assert page(Screen(width=120)).startswith("The health monitor killed docker because")


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("explain", [False, True])
def test_no_line_is_wider_than_the_screen(width: int, explain: bool) -> None:
    text = page(Screen(width=width, explain=explain, every_incident=True))
    assert max(map(columns, text.splitlines())) <= width


def test_no_escape_without_colour_and_the_same_words_with_it() -> None:
    plain, coloured = page(Screen()), page(Screen(colour=True))
    assert "\x1b" not in plain
    assert "\x1b[31m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


def test_kill_is_marked_once() -> None:
    assert sum(line.startswith("> ") for line in page(Screen(width=120)).splitlines()) == 1


def test_ascii_terminal_gets_ascii_within_its_width() -> None:
    diagnosis = replace(founding(), verdict="Größe der Platte überschritten, 磁盘 " + "x" * 700)
    text = as_text(report([diagnosis], origin()), Screen(width=60, unicode=False))
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 60


def hostile_page(text: str, screen: Screen) -> str:
    """Put the same text wherever a stranger may write."""
    diagnosis = founding(verdict=text)
    chain = (*diagnosis.chain, Link(diagnosis.chain[0].at_s, text, text))
    incident = replace(
        diagnosis.incident,
        node=text,
        facts=(*diagnosis.incident.facts, fact(Kind.CORE_DUMP, 9.0, text, source=text)),
    )
    assert diagnosis.killer
    assert diagnosis.offender
    diagnosis = replace(
        diagnosis,
        incident=incident,
        chain=chain,
        killer=replace(diagnosis.killer, name=text),
        offender=replace(diagnosis.offender, name=text, namespace=text, method=text),
        victims=tuple(replace(v, pod=text, owner=text, harm=text) for v in diagnosis.victims),
        missing=(text,),
        advice=(text,),
    )
    asked = Asked(text, text, found=False, close_names=(text,))
    page = as_text(report([diagnosis], origin(text, missing=(text,))), screen)
    other = as_text(report([diagnosis], origin(text), asked=asked), screen)
    return page + other + incident_line(incident_view(diagnosis)) + "\n"


def test_hostile_text_is_shown_not_obeyed() -> None:
    text = hostile_page(HOSTILE, Screen(explain=True))
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)
    assert "\\x1b[2J" in text
    assert "\\u202e" in text
    assert "\\n" in text
    assert "A" * 1000 not in text.replace("\n", "").replace(" ", "")
    text.encode("utf-8")


@given(st.text(max_size=80))
def test_no_text_at_all_reaches_the_screen_unsafe(text: str) -> None:
    shown = hostile_page(text, Screen())
    assert all(line.isprintable() for line in shown.split("\n"))


@given(st.text(max_size=200), st.integers(min_value=8, max_value=60))
def test_wrapping_loses_nothing_and_stays_inside(text: str, width: int) -> None:
    lines = wrapped(safe(text), width)
    assert all(columns(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == safe(text).replace(" ", "")


def test_ascii_only_keeps_plain_text_and_spells_the_rest() -> None:
    assert ascii_only("plain") == "plain"
    assert ascii_only("cut…") == "cut..."
    assert ascii_only("ü") == "\\xfc"


def test_quiet_input_says_so_first() -> None:
    text = as_text(report([], origin("calm")), Screen())
    assert text == "Nothing to report: no incident in calm.\n"


def test_pod_in_no_incident_is_said_first_with_a_suggestion() -> None:
    asked = Asked("prod", "pg-O", found=False, close_names=("prod/pg-0",))
    text = as_text(report([founding()], origin(), asked=asked), Screen())
    assert text.startswith("Pod prod/pg-O is in no incident found in bundle-1.\nDid you mean")
    assert "Other incidents" in text


def test_the_pod_asked_about_has_a_line_of_its_own() -> None:
    for pod, line in (
        ("pg-0", "Your pod    prod/pg-0: sandbox re-created at 18:02:53 UTC"),
        ("backup-7", "Your pod    backup-7: not hurt itself, named as the offender"),
    ):
        asked = Asked("", pod, found=True)
        assert line in as_text(report([founding()], origin(), asked=asked), Screen())


def test_incidents_are_one_line_each() -> None:
    lines = [incident_line(incident_view(one)) for one in (founding(), unknown())]
    assert lines[0].startswith("7f3a90c1d2  2018-05-21 18:02:41 UTC  gke-prod-node-1  5 pods  io_")
    assert lines[1].startswith("00ff00ff00  time unknown  -  1 pod  unknown 0.10  ")
