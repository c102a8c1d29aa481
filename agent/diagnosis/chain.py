"""The causal chain: what led to it, the blow, what it broke, in order of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from agent.diagnosis.case import Case, is_kubelet, is_runtime
from agent.model import Fact, Hypothesis, Killer, Kind, Link, Victim

MOST_LINKS = 12
LONGEST = 160

CONSEQUENCES = (
    Kind.SIGNAL_RECEIVED,
    Kind.UNIT_STOPPING,
    Kind.UNIT_EXITED,
    Kind.UNIT_ENDED_CLEAN,
    Kind.UNIT_FAILED,
    Kind.UNIT_RESTART_SCHEDULED,
    Kind.UNIT_STARTED,
)


def build_chain(
    case: Case, winner: Hypothesis | None, killer: Killer | None, victims: Sequence[Victim]
) -> tuple[Link, ...]:
    """Return the links in order of time; undated ones come first."""
    reasons = [e for e in winner.evidence_for if e.facts] if winner else []
    facts = [f for e in reasons for f in e.facts[:1]]
    facts.extend(_consequences(case))
    links = [Link(f.at_s, _short(f), f.source) for f in _each_once(facts)]
    if killer and not any(link.at_s == killer.at_s for link in links):
        links.append(Link(killer.at_s, f"killed by {killer.name}", "journal"))
    links.extend(_pressure(case, winner))
    links.extend(_harm(victims))
    ordered = sorted(links, key=lambda link: link.at_s if link.at_s is not None else 0.0)
    return tuple(ordered[:MOST_LINKS])


def _consequences(case: Case) -> Iterable[Fact]:
    for kind in CONSEQUENCES:
        ours = case.of(kind, where=lambda f: is_runtime(f) or is_kubelet(f))
        yield from ours[:1]


def _each_once(facts: Iterable[Fact]) -> list[Fact]:
    seen: dict[tuple[str, float | None], Fact] = {}
    for fact in facts:
        seen.setdefault((fact.text, fact.at_s), fact)
    return list(seen.values())


def _short(fact: Fact) -> str:
    text = " ".join(fact.text.split())
    name = fact.subject.name
    said = text if not name or name in text else f"{name}: {text}"
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _pressure(case: Case, winner: Hypothesis | None) -> list[Link]:
    if winner is None or case.pivot_s is None:
        return []
    measured = [e.says for e in winner.evidence_for if not e.facts]
    return [Link(case.pivot_s, says, "recorder") for says in measured]


def _harm(victims: Sequence[Victim]) -> list[Link]:
    links = []
    for harm, group in groupby(sorted(victims, key=lambda v: v.harm), key=lambda v: v.harm):
        hurt = sorted(group, key=lambda v: v.at_s or 0.0)
        names = ", ".join(f"{v.namespace}/{v.pod}" if v.namespace else v.pod for v in hurt[:4])
        more = f" and {len(hurt) - 4} more" if len(hurt) > 4 else ""
        links.append(Link(hurt[0].at_s, f"{harm}: {names}{more}", "events"))
    return links
