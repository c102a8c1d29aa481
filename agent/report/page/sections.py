"""The sections below the first screen: victims, evidence, rivals, and every line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.model import Fact, Trust
from agent.printable import safe
from agent.report import phrases
from agent.report.page.markup import NOTHING, SPACE, Markup, tag
from agent.report.page.strip import Numbered
from agent.report.view import IncidentView, Proof, Rival
from agent.times import clock, offset
from agent.words import counted

LONGEST_RAW = 240


def section(name: str, title: str, *content: Markup | Iterable[Markup]) -> Markup:
    """Make a section with its heading."""
    head = tag("h2", title, id=f"{name}-h")
    return tag("section", head, *content, id=name, aria_labelledby=f"{name}-h")


def table(head: Sequence[str], rows: Iterable[Markup], name: str, **more: str) -> Markup:
    """Make a table whose head cells name their columns."""
    cells = [tag("th", cell, scope="col") for cell in head]
    caption = tag("caption", name, class_="unseen-text")
    return tag("table", caption, tag("thead", tag("tr", cells)), tag("tbody", list(rows)), **more)


def victims(incident: IncidentView, prefix: str) -> Markup:
    """List who was hurt by owner, the worst hit first."""
    if not incident.owners:
        return NOTHING
    harms = {harm for owner in incident.owners for harm in owner.harms}
    rows = [
        tag(
            "tr",
            tag("th", phrases.owner_name(owner), scope="row"),
            tag(
                "td",
                tag("span", owner.impact, class_="bad" if owner.severity > 1 else None),
                [SPACE, tag("span", f"({', '.join(owner.harms)})")] if len(harms) > 1 else None,
            ),
            tag("td", _pods(owner.pods)),
        )
        for owner in incident.owners
    ]
    made = table(("Owner", "Impact", "Pods"), rows, "Victims by owner", class_="stack")
    count = tag("p", f"{', '.join(phrases.victims(incident))}.", class_="lead")
    search = _search(f"{prefix}victims-q", "Filter victims") if len(rows) > 8 else NOTHING
    return section(f"{prefix}victims", "Victims", count, search, made)


def _pods(pods: Sequence[str]) -> list[Markup]:
    shown = [tag("span", pod, class_="pod") for pod in pods[:12]]
    rest = len(pods) - len(shown)
    return [*shown, tag("span", f"and {rest} more", class_="muted")] if rest else shown


def _search(name: str, label: str) -> Markup:
    field = tag("input", id=name, type="search", autocomplete="off", spellcheck="false")
    return tag("p", tag("label", label, for_=name), field, class_="filter scripted")


def evidence(incident: IncidentView, prefix: str) -> Markup:
    """List what speaks for the verdict and against it, with the lines it rests on."""
    rows = [_proof(proof, "for") for proof in incident.evidence_for]
    rows += [_proof(proof, "against") for proof in incident.evidence_against]
    if not rows:
        return NOTHING
    head = ("Side", "Evidence", "Weight", "Source", "Trust", "Time (UTC)")
    return section(
        f"{prefix}evidence", "Evidence", table(head, rows, "Evidence", class_="stack proofs")
    )


def _proof(proof: Proof, side: str) -> Markup:
    raw = [tag("code", safe(quote, LONGEST_RAW), class_="raw") for quote in proof.quotes]
    trust = ("trusted" if proof.trusted else "quoted") if proof.source else "-"
    return tag(
        "tr",
        tag("td", side, class_=f"side {side}"),
        tag("td", tag("span", proof.says), raw),
        tag("td", f"{proof.weight:+.2f}", class_="number"),
        tag("td", proof.source or "concluded"),
        tag("td", trust),
        tag("td", clock(proof.at_s) or "-", class_="number"),
    )


def rivals(incident: IncidentView, prefix: str) -> Markup:
    """List the hypotheses that lost, and why."""
    if not incident.rivals:
        return NOTHING
    title = "What it was not" if incident.explained else "What it might be"
    rows = [
        tag(
            "tr",
            tag("th", phrases.capital(rival.name), scope="row"),
            tag("td", f"{rival.confidence:.2f}", class_="number"),
            tag("td", rival.lost_because or "less speaks for it", _reasons(rival)),
        )
        for rival in incident.rivals
    ]
    head = ("Hypothesis", "Confidence", "Why it lost")
    return section(f"{prefix}rivals", title, table(head, rows, title, class_="stack"))


def _reasons(rival: Rival) -> Markup:
    items = [
        tag("li", f"{side}: {proof.says} [{phrases.provenance(proof)}]")
        for side, proofs in (("for", rival.for_it), ("against", rival.against_it))
        for proof in proofs
    ]
    return tag("ul", items) if items else NOTHING


def chosen(facts: Sequence[Fact], kill_at_s: float | None, most: int) -> list[Numbered]:
    """Choose facts for the page: of every kind those nearest to the kill, then in order of time."""

    def away_s(fact: Fact) -> float:
        return abs(fact.at_s - (kill_at_s or 0.0)) if fact.at_s is not None else float("inf")

    seen: dict[str, int] = {}
    ranked: list[tuple[int, float, int]] = []
    for index in sorted(range(len(facts)), key=lambda i: (away_s(facts[i]), i)):
        kind = str(facts[index].kind)
        seen[kind] = seen.get(kind, 0) + 1
        ranked.append((seen[kind], away_s(facts[index]), index))
    kept = sorted(index for _, _, index in sorted(ranked)[:most])
    kept.sort(key=lambda i: (facts[i].at_s is None, facts[i].at_s or 0.0, i))
    return [(number, facts[index]) for number, index in enumerate(kept)]


def lines(incident: IncidentView, facts: Sequence[Numbered], prefix: str) -> Markup:
    """List every fact with the line it was read from."""
    if not facts:
        return NOTHING
    left_out = len(incident.facts) - len(facts)
    words = f"{counted(len(incident.facts), 'line')} tell of this incident"
    words += f"; {left_out} more of the same kinds are not shown here." if left_out else "."
    rows = [_line(number, fact, incident.kill_at_s, prefix) for number, fact in facts]
    head = ("Time (UTC)", "From kill", "Source", "Trust", "What", "The line, as it was written")
    return section(
        f"{prefix}lines",
        "Every line",
        tag("p", words, class_="lead"),
        _line_filter(facts, prefix),
        table(head, rows, "Facts", class_="stack lines", id=f"{prefix}lines-t"),
    )


def _line_filter(facts: Sequence[Numbered], prefix: str) -> Markup:
    sources = sorted({fact.source for _, fact in facts})
    options = [tag("option", "every source", value="")]
    options += [tag("option", source, value=f"{source[:40]}") for source in sources]
    find, pick = f"{prefix}lines-q", f"{prefix}lines-s"
    return tag(
        "p",
        tag("label", "Filter lines", for_=find),
        tag("input", id=find, type="search", autocomplete="off", spellcheck="false"),
        tag("label", "from", for_=pick),
        tag("select", options, id=pick),
        tag("output", "", class_="count", for_=find),
        class_="filter scripted",
    )


def _line(number: int, fact: Fact, kill_at_s: float | None, prefix: str) -> Markup:
    away = "-"
    if fact.at_s is not None and kill_at_s is not None:
        away = offset(fact.at_s - kill_at_s)
    times = f" x{fact.count}" if fact.count > 1 else ""
    what = f"{str(fact.kind).replace('_', ' ')}{times}"
    return tag(
        "tr",
        tag("td", clock(fact.at_s) or "unknown", class_="number"),
        tag("td", away, class_="number"),
        tag("td", fact.source),
        tag("td", "trusted" if fact.trust is Trust.TRUSTED else "quoted"),
        tag("td", what),
        tag("td", tag("code", safe(fact.text, LONGEST_RAW), class_="raw"), _where(fact)),
        id=f"{prefix}f{number}",
    )


def _where(fact: Fact) -> Markup:
    about = str(fact.subject)
    return tag("small", f"{about} · {fact.where}" if fact.where else about, class_="muted")
