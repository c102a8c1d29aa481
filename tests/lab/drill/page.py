"""The arms' plots side by side: one file that needs nothing else, has no script and asks nobody."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.report.page.markup import Markup, tag
from tests.lab.drill.arm import Outcome
from tests.lab.drill.setting import Setting
from tests.lab.drill.verdict import explanation, judged, killed_at_s, line
from tests.lab.drill.watch import Second

_STYLE = Path(__file__).with_name("page.css")
_WIDTH, _HEIGHT = 600.0, 100.0


@dataclass(frozen=True, slots=True)
class _Plot:
    """One row of the page: what is drawn of each second, on one scale for all arms."""

    name: str
    unit: str
    value: Callable[[Second], float | None]
    top: float | None = None
    """Of the scale; None: the highest of all arms."""
    log_from: float | None = None
    """Where a logarithmic scale begins; None: it is linear and begins at zero."""
    limit: Callable[[Setting], float] | None = None


_PLOTS = (
    _Plot("docker ps", "s", lambda one: one.check_s, log_from=0.03,
          limit=lambda setting: setting.check_s),
    _Plot("some wait for the disk", "%", lambda one: one.io_pct, top=100.0),
    _Plot("some wait for memory", "%", lambda one: one.memory_pct, top=100.0),
    _Plot("read from disk", "MB/s", lambda one: one.disk_mb_s),
    _Plot("lost pages, read again", "per s", lambda one: one.refaults),
    _Plot("application, p99", "ms", lambda one: one.app_p99_ms, log_from=0.3),
)  # fmt: skip


def as_page(outcomes: Sequence[Outcome], made: str) -> str:
    """Return the page; `made` says when and on what machine."""
    style = _STYLE.read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", "Knock-on: the drill"),
        Markup(f"<style>{style}</style>"),
    )
    end_s = max((one.at_s for outcome in outcomes for one in outcome.seconds), default=1.0)
    tops = {plot.name: _top(plot, outcomes) for plot in _PLOTS}
    body = tag(
        "main",
        tag("h1", judged(outcomes)),
        tag("p", made, class_="soft"),
        tag("div", [_arm(one, end_s, tops) for one in outcomes], class_="arms"),
        _setting(outcomes[0].setting) if outcomes else None,
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en').text}\n"


def _arm(outcome: Outcome, end_s: float, tops: dict[str, float]) -> Markup:
    told = line(outcome)
    pods = f"; {told.restarted} pods re-created" if told.restarted else ""
    return tag(
        "section",
        tag("h2", told.who),
        tag("p", f"{told.ending}{pods}", class_="ending bad" if outcome.killed else "ending"),
        [_figure(plot, outcome, end_s, tops[plot.name]) for plot in _PLOTS],
        tag("p", tag("span", "0 s"), tag("span", f"{end_s:.0f} s"), class_="axis soft"),
        tag("p", f"Knock-on: {explanation(outcome)}"),
        class_="arm",
    )


def _figure(plot: _Plot, outcome: Outcome, end_s: float, top: float) -> Markup:
    points = [
        (one.at_s, value) for one in outcome.seconds if (value := plot.value(one)) is not None
    ]
    killed_s = killed_at_s(outcome)
    worst = max((value for at_s, value in points if at_s <= (killed_s or at_s)), default=None)
    shown = "nothing seen" if worst is None else f"up to {_number(worst)} {plot.unit}"

    def x(at_s: float) -> float:
        return round(at_s / end_s * _WIDTH, 1)

    def y(value: float) -> float:
        return round(_HEIGHT * (1 - 0.96 * _share(plot, value, top)), 1)

    drawn: list[Markup] = [
        tag("rect", x=0, y=0, width=x(outcome.backup_from_s), height=_HEIGHT, class_="calm")
    ]
    if plot.limit:
        at_y = y(plot.limit(outcome.setting))
        drawn.append(tag("line", x1=0, x2=_WIDTH, y1=at_y, y2=at_y, class_="limit"))
    if points:
        path = "".join(f"{'L' if n else 'M'}{x(at_s)} {y(v)}" for n, (at_s, v) in enumerate(points))
        # Numbers of ours, and more of them than an attribute made of a stranger's text may hold.
        drawn.append(Markup(f'<path d="{path}" class="data"/>'))
    if killed_s is not None:
        drawn.append(tag("line", x1=x(killed_s), x2=x(killed_s), y1=0, y2=_HEIGHT, class_="kill"))
    label = f"{plot.name}: {shown}" + (f"; docker killed at {killed_s:.0f} s" if killed_s else "")
    picture = tag(
        "svg", drawn, viewbox=f"0 0 {_WIDTH:g} {_HEIGHT:g}", preserveaspectratio="none",
        role="img", aria_label=label,
    )  # fmt: skip
    return tag("figure", tag("figcaption", tag("span", plot.name), tag("b", shown)), picture)


def _top(plot: _Plot, outcomes: Sequence[Outcome]) -> float:
    if plot.top:
        return plot.top
    # What comes after a kill, on a disk that was let go, is another scale.
    values = [
        plot.value(one) or 0.0
        for outcome in outcomes
        for one in outcome.seconds
        if one.at_s <= (killed_at_s(outcome) or one.at_s)
    ]
    limits = [plot.limit(outcome.setting) for outcome in outcomes] if plot.limit else []
    return max([1e-9, *values, *limits])


def _share(plot: _Plot, value: float, top: float) -> float:
    if plot.log_from is None:
        return min(1.0, value / top)
    low = plot.log_from
    return min(1.0, math.log(max(value, low) / low) / max(1e-9, math.log(max(top, low) / low)))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _setting(setting: Setting) -> Markup:
    kept = "the node's own disk" if setting.kept else "away over the network"
    facts = {
        "page cache left to the node": f"{setting.room_mb} MB",
        "disk": f"{setting.disk_mb_s:g} MB/s, {setting.disk_iops:g} operations/s",
        "read-ahead": f"{setting.read_ahead_kb} KiB",
        "unthrottled backups": f"{setting.streams}, one begun every {setting.apart_s:g} s",
        "the backup goes": kept,
        "application": f"{setting.app_tps} transactions/s",
        "the monitor waits": f"{setting.check_s:g} s, scaled down from 60 s with the disk",
        "the monitor asks": f"every {setting.every_s:g} s",
    }
    listed = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag(
        "section",
        tag("h2", "How it was staged"),
        tag(
            "p",
            "Real: systemd, journald, dockerd without live-restore, Postgres and its walsenders, "
            "the health monitor's question and its signal. docker ps is what the monitor asked, "
            "on a logarithmic scale as the application's is. Grey: the calm before the backup. "
            "Dashed: when the monitor gives up. Red: when it killed docker, and the disk was let "
            "go so that the rest takes no time.",
            class_="soft",
        ),
        tag("dl", listed),
    )
