"""The page people forward: one file that needs nothing else, and asks nobody for anything.

The policy in its head forbids every request; style and script are allowed by their hashes only, so
that not even markup that got past the escaping could run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from agent import __version__
from agent.report import phrases
from agent.report.page.diagram import chain_pictures
from agent.report.page.figures import timeline
from agent.report.page.markup import NOTHING, Markup, joined, tag, unbroken
from agent.report.page.sections import chosen, evidence, lines, rivals, section, table, victims
from agent.report.page.strip import MOST_MARKS
from agent.report.view import IncidentView, Report
from agent.times import clock, readable

_PARTS = Path(__file__).parent / "page"
_OTHERS_SHOWN = 50


def as_html(report: Report, *, every_incident: bool = False) -> str:
    """Return the whole page; the same report gives the same bytes."""
    style, script = ((_PARTS / name).read_text("utf-8") for name in ("page.css", "page.js"))
    shown = report.incidents if every_incident else report.incidents[:1]
    body = joined(_top(report), _main(report, shown), _foot(), Markup(f"<script>{script}</script>"))
    title = shown[0].verdict if shown else phrases.no_incident(report)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="robots", content="noindex"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", f"Knock-on: {title[:120]}"),
        Markup(f"<style>{style}</style>"),
    )
    page = tag("html", head, tag("body", body), lang="en")
    return f"<!doctype html>\n{page.text}\n"


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _top(report: Report) -> Markup:
    node = report.origin.node or (report.incidents[0].node if report.incidents else "")
    about = [tag("span", report.origin.name), tag("span", f"node {node}") if node else None]
    return tag(
        "header",
        tag("span", "Knock-on", class_="brand"),
        about,
        class_="top",
    )


def _main(report: Report, shown: tuple[IncidentView, ...]) -> Markup:
    said = phrases.no_incident(report)
    rest = (*report.incidents[len(shown) :], *report.others)
    return tag(
        "main",
        tag("h1" if not shown else "p", said, class_="quiet") if said else None,
        [_article(one, report, f"i{number}-") for number, one in enumerate(shown)],
        _others(rest) if rest else None,
        _input(report),
    )


def _article(incident: IncidentView, report: Report, prefix: str) -> Markup:
    facts = chosen(incident.facts, incident.kill_at_s, MOST_MARKS)
    return tag(
        "article",
        _first_screen(incident, report, prefix),
        timeline(incident, report.origin, facts, prefix),
        victims(incident, prefix),
        evidence(incident, prefix),
        rivals(incident, prefix),
        _blind(incident, prefix),
        lines(incident, facts, prefix),
        aria_labelledby=f"{prefix}verdict",
    )


def _first_screen(incident: IncidentView, report: Report, prefix: str) -> Markup:
    """Show what a person who reads nothing else must know."""
    cause = incident.cause_words
    answers = (
        ("Killer", *phrases.killer(incident)),
        ("Cause", phrases.capital(cause.name), cause.sentence),
        ("Offender", *phrases.offender(incident.offender)),
        ("Victims", *phrases.victims(incident)),
    )
    asked = [tag("p", f"Your pod: {said}") for said in phrases.asked_about(incident, report.asked)]
    pictures = chain_pictures(incident.steps, incident.kill_at_s)
    return tag(
        "div",
        tag("p", _where_and_when(incident), class_="when"),
        tag("h1", unbroken(incident.verdict), id=f"{prefix}verdict"),
        asked,
        tag("dl", [_answer(*one) for one in answers], class_="answers"),
        tag("div", _next(incident), _confidence(incident), class_="beside"),
        tag("figure", pictures, class_="chain-figure"),
        class_="first",
    )


def _where_and_when(incident: IncidentView) -> list[Markup]:
    planned = tag("span", "planned work", class_="tag") if incident.planned else NOTHING
    where = f" on {incident.node}" if incident.node else ""
    return [tag("span", f"{phrases.when(incident)}{where}"), planned]


def _answer(label: str, name: str, more: str) -> Markup:
    shown = tag("dd", tag("strong", unbroken(name)), tag("span", more) if more else None)
    return tag("div", tag("dt", label), shown)


def _confidence(incident: IncidentView) -> Markup:
    share = f"{100 * min(max(incident.confidence, 0.0), 1.0):.0f}%"
    bar = tag(
        "svg",
        tag("rect", width="100%", height=6, rx=3, class_="bar-all"),
        tag("rect", width=share, height=6, rx=3, class_="bar"),
        class_="confidence-bar",
        height=6,
        aria_hidden="true",
    )
    missing = "; ".join(incident.missing)
    words = (
        f"Missing, would raise it: {missing}." if missing else "Nothing it looks for was missing."
    )
    return tag(
        "section",
        tag("h2", "Confidence"),
        tag("p", tag("strong", phrases.capital(incident.confidence_words))),
        bar,
        tag("p", words, class_="muted"),
        class_="confidence",
    )


def _next(incident: IncidentView) -> Markup:
    steps = [tag("li", step) for step in incident.advice]
    said = tag("ol", steps) if steps else tag("p", "Nothing is advised from what was seen.")
    return tag("section", tag("h2", "What to do next"), said, class_="next")


def _blind(incident: IncidentView, prefix: str) -> Markup:
    said = [*incident.missing, *(f"Blind: {phrases.blind(spot)}" for spot in incident.blind)]
    if not said:
        return NOTHING
    items = tag("ul", [tag("li", one) for one in said])
    return section(f"{prefix}blind", "What could not be seen", items)


def _others(rest: tuple[IncidentView, ...]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", readable(other.kill_at_s), class_="number"),
            tag("td", other.cause_words.name),
            tag("td", f"{other.confidence:.2f}", class_="number"),
            tag("td", other.verdict),
        )
        for other in rest[:_OTHERS_SHOWN]
    ]
    head = ("When", "Cause", "Confidence", "Verdict")
    made = table(head, rows, "Other incidents", class_="stack")
    hidden = len(rest) - len(rows)
    more = tag("p", f"and {hidden} more", class_="muted") if hidden > 0 else NOTHING
    return section("others", "Other incidents in the same input", made, more)


def _input(report: Report) -> Markup:
    """Say what was read, what of it nobody could use, and how to get this answer again."""
    return section("input", "About this input", list(_input_parts(report)))


def _input_parts(report: Report) -> Iterator[Markup]:
    origin = report.origin
    from_s, to_s = origin.window
    if from_s is not None and to_s is not None:
        yield tag("p", f"The journal reaches from {readable(from_s)} to {clock(to_s)} UTC.")
    told = {spot for incident in report.incidents for spot in incident.blind}
    said = [*phrases.about_input(report)]
    said += [f"Blind: {phrases.blind(spot)}" for spot in origin.blind if spot not in told]
    if said:
        yield tag("ul", [tag("li", one) for one in said])
    if origin.command:
        words = f"Made by knockon {__version__}. To get this answer again:"
        yield tag("p", words)
        yield tag("pre", tag("code", origin.command), tabindex=0)


def _foot() -> Markup:
    words = "Times are UTC. Lines are shown as they were written; what does not print is spelt out."
    return tag("footer", tag("p", words))
