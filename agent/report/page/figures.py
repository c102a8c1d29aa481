"""The timeline of the page: the strip of facts, one row a track, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.report.page.charts import plot, quantity, scale_words, sentence, told
from agent.report.page.markup import NOTHING, Markup, data_block, tag
from agent.report.page.sections import section
from agent.report.page.span import Span, span_around
from agent.report.page.strip import Numbered, axis, lanes_of, script_data, strip
from agent.report.page.tracks import Recorded, Track, tracks
from agent.report.view import IncidentView, Origin
from agent.times import clock, readable

_BUTTONS = (
    ("in", "+", "Zoom in (key +)"),
    ("out", "-", "Zoom out (key -)"),
    ("left", "←", "Earlier (arrow left)"),
    ("right", "→", "Later (arrow right)"),
    ("kill", "The kill", "A minute around the kill (key k)"),
    ("all", "Everything", "Show the whole time again (key 0)"),
)


@dataclass(frozen=True, slots=True)
class _Board:
    span: Span
    tracks: Sequence[Track]
    facts: Sequence[Numbered]
    kill_at_s: float | None
    prefix: str

    @property
    def kill(self) -> float | None:
        """Where the kill stands, as a share of the width; none when it is not in sight."""
        share = None if self.kill_at_s is None else self.span.share(self.kill_at_s)
        return share if share is not None and 0 <= share <= 1 else None


def timeline(
    incident: IncidentView, origin: Origin, facts: Sequence[Numbered], prefix: str
) -> Markup:
    """Draw at most an hour around the kill; without samples, say that there are none."""
    offender = incident.offender
    recorded = Recorded(
        origin.samples,
        origin.probes,
        incident.killer_timeout_s,
        (offender.namespace, offender.name) if offender else ("", ""),
        origin.paced,
    )
    dated = [fact.at_s for _, fact in facts if fact.at_s is not None]
    dated += [one.at_s for one in origin.paced]
    span = span_around(incident.kill_at_s, dated, origin.samples)
    if span is None:
        return section(f"{prefix}timeline", "Timeline", _nothing_recorded())
    board = _Board(span, tracks(span, recorded), facts, incident.kill_at_s, prefix)
    return section(
        f"{prefix}timeline",
        "Timeline",
        _controls(board) if board.tracks else NOTHING,
        _drawn(board),
        _numbers(board) if board.tracks else _nothing_recorded(),
        data_block(f"{prefix}data", script_data(span, board.tracks, facts, incident.kill_at_s)),
    )


def _nothing_recorded() -> Markup:
    words = "The recorder's samples are not in this input, so there are no charts to show."
    return tag("p", words, class_="muted")


def _controls(board: _Board) -> Markup:
    buttons = [
        tag("button", sign, type="button", data_do=what, aria_label=label, title=label)
        for what, sign, label in _BUTTONS
        if what != "kill" or board.kill_at_s is not None
    ]
    shown = f"{readable(board.span.from_s)} to {clock(board.span.to_s)}"
    hint = "Drag to zoom in; keys + - arrows 0 once the timeline has the focus."
    return tag(
        "div",
        tag("p", tag("span", shown, class_="shown"), tag("span", f" {hint}", class_="muted hint")),
        tag("div", buttons, class_="buttons"),
        class_="controls scripted",
    )


def _drawn(board: _Board) -> Markup:
    name = "Timeline. Keys: plus and minus zoom, arrows move, k goes to the kill, 0 shows all."
    rows = [_track(track, board) for track in board.tracks]
    return tag(
        "div",
        _facts(board),
        _movers_head(board),
        rows,
        tag("div", tag("div", axis(board.span), class_="cell"), class_="row axis-row"),
        _overlay(),
        class_="board",
        tabindex=0,
        role="group",
        aria_label=name,
        data_from=f"{board.prefix}data",
    )


def _facts(board: _Board) -> Markup:
    if not any(fact.at_s is not None for _, fact in board.facts):
        return NOTHING
    lanes = [tag("span", lane) for lane in lanes_of(board.facts)]
    drawn = strip(board.facts, board.span, board.prefix, board.kill_at_s)
    said = tag("p", "Point at a mark to read its line.", class_="said", role="status")
    row = tag(
        "div",
        tag("div", tag("div", lanes, class_="lanes"), class_="name"),
        tag("div", drawn, class_="cell"),
        tag("div", "", class_="value"),
        class_="row facts",
    )
    return tag("div", row, tag("div", said, class_="row said-row"))


def _movers_head(board: _Board) -> Markup:
    first = next((track for track in board.tracks if track.minor), None)
    if not first:
        return NOTHING
    words = f"Bytes moved, by pod or unit (each up to {scale_words(first)})"
    return tag("p", words, class_="group muted")


def _track(track: Track, board: _Board) -> Markup:
    found = [one for s in track.series if (one := told(s, board.span, board.kill_at_s))]
    keys: list[Markup] = []
    low = track.minor or track.calm
    if not low:
        keys = [tag("span", s.label, class_=f"key k-{s.style}") for s in track.series]
        if track.limit:
            keys.append(
                tag("span", f"{track.limit[1]}, {track.limit[0]:g} s", class_="key k-limit")
            )
    top = "" if track.minor else scale_words(track)
    if track.calm:
        top = f"at most {quantity(track.highest, track.unit)}"
    caption = tag(
        "figcaption",
        tag("span", track.title, class_="title"),
        tag("span", keys, class_="keys") if keys else None,
        class_="name",
    )
    return tag(
        "figure",
        caption,
        tag("div", plot(track, sentence(found, track), board.kill), class_="cell"),
        tag("div", tag("span", top, class_="top"), tag("output", ""), class_="value"),
        class_="row minor" if low else "row",
        data_track=track.key,
    )


def _overlay() -> Markup:
    return tag(
        "svg",
        tag("rect", class_="selection", y=0, height="100%", width=0),
        tag("line", class_="cursor", y1=0, y2="100%", x1="-9", x2="-9"),
        class_="over",
        aria_hidden="true",
    )


def _numbers(board: _Board) -> Markup:
    head = ("Chart", "Series", "Lowest", "Typical", "Highest", "Highest at", "At the kill")
    bodies = [tag("tbody", _number_rows(track, board)) for track in board.tracks]
    top = tag("thead", tag("tr", [tag("th", cell, scope="col") for cell in head]))
    caption = tag("caption", "The numbers behind the charts", class_="unseen-text")
    summary = tag("summary", "The numbers behind the charts")
    table = tag("table", caption, top, bodies)
    return tag("details", summary, tag("div", table, class_="wide-table"), class_="numbers")


def _number_rows(track: Track, board: _Board) -> list[Markup]:
    rows: list[Markup] = []
    for series in track.series:
        one = told(series, board.span, board.kill_at_s)
        if not one:
            continue
        shown = [quantity(value, track.unit) for value in (one.low, one.typical, one.high)]
        shown.append(clock(one.high_at_s))
        shown.append("-" if one.at_kill is None else quantity(one.at_kill, track.unit))
        rows.append(
            tag(
                "tr",
                tag("th", track.title, scope="row"),
                tag("td", one.label),
                [tag("td", cell, class_="number") for cell in shown],
            )
        )
    return rows
