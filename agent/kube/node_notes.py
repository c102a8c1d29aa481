"""What else is said on the Node: that an incident is over, and what we ourselves cannot see. Pure.

These Events carry no ``knockon.dev/incident``: whoever counts or joins incidents meets each once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from agent.kube.event_body import Announcement, Saying, event, the_node
from agent.printable import safe
from agent.times import clock, rfc3339, span
from agent.words import counted

_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Ended:
    """An incident in which nothing more happens, as far as its end is concerned."""

    incident: str
    node: str
    opened_s: float
    verdict: str
    victims: tuple[tuple[str, str], ...]  # namespace and name


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where the victims of an incident are now: each is in one of these."""

    ready: int = 0
    gone: int = 0  # finished, or elsewhere: what runs on other nodes is not seen from here
    waiting: tuple[tuple[str, str], ...] = ()


def resolved(ended: Ended, recovery: Recovery, now_s: float) -> Announcement:
    """Say that it is over: how long it took until every pod was Ready again."""
    says = (f"Over {_after(ended, now_s)}: {_pods(ended, recovery)}.", ended.verdict)
    return _about_an_end(ended, "IncidentResolved", says, now_s, normal=True)


def unresolved(ended: Ended, recovery: Recovery, now_s: float) -> Announcement:
    """Say that pods are still not Ready long after."""
    named = [f"{namespace}/{name}" for namespace, name in recovery.waiting[:_MOST_NAMED]]
    others = len(recovery.waiting) - len(named)
    more = f" and {others} more" if others else ""
    waiting = f"Not Ready {_after(ended, now_s)}: {', '.join(named)}{more}."
    says = (waiting, f"{_sentence(_pods(ended, recovery))}.", ended.verdict)
    return _about_an_end(ended, "IncidentNotResolved", says, now_s, normal=False)


def journal_unreadable(node: str, sentences: Sequence[str], now_s: float) -> Announcement:
    """Say, once a day, that the journal hides something from us."""
    known = "Knock-on cannot read this node's journal, so it may miss what killed its pods."
    end = "More in the agent's log; knockon_source_up and knockon_journal_unreadable_files tell"
    says = (known, *sentences)
    saying = Saying("journal", the_node(node), "JournalUnreadable", "Checked", says, f"{end} when.")
    return _of_ourselves(saying, node, _day(now_s), now_s)


def recorder_gap(
    node: str, from_s: float, to_s: float | None, why: str, now_s: float
) -> Announcement:
    """Say, once an hour, that the flight recorder did not see; without an end it still does not."""
    if to_s is None:
        seen = f"The flight recorder has seen nothing of this node since {clock(from_s)} UTC"
    else:
        times = f"{clock(from_s)} to {clock(to_s)} UTC"
        seen = f"The flight recorder did not see this node for {span(to_s - from_s)} ({times})"
    lost = "What happened in it is explained without pressure, loads and probes."
    says = (f"{seen}: {why}.", lost)
    saying = Saying("recorder", the_node(node), "RecorderGap", "Checked", says)
    return _of_ourselves(saying, node, _hour(from_s), now_s)


def _about_an_end(
    ended: Ended, reason: str, says: tuple[str, ...], now_s: float, *, normal: bool
) -> Announcement:
    name = safe(ended.incident, 64)
    about, end = the_node(ended.node), f"Incident {name}."
    saying = Saying(reason, about, reason, "Followed", says, end, normal=normal)
    marks = {"resolves": name}
    key = f"{ended.incident} over"  # not out of the incident's budget: victims may have used it up
    return event(saying, key, ended.node, rfc3339(now_s) or "", marks)


def _of_ourselves(saying: Saying, node: str, period: str, now_s: float) -> Announcement:
    key = f"{saying.reason} {period}"
    return event(saying, key, node, rfc3339(now_s) or "", {})


def _after(ended: Ended, now_s: float) -> str:
    return f"{span(max(0.0, now_s - ended.opened_s))} after it began"


def _pods(ended: Ended, recovery: Recovery) -> str:
    total = len(ended.victims)
    if not total:
        return "no pod was hurt"
    if recovery.ready == total:
        every = "the pod it hurt is" if total == 1 else f"all {total} pods it hurt are"
        return f"{every} Ready again"
    ready = f"{recovery.ready} of {counted(total, 'pod')} it hurt Ready again"
    return ready + (f", {recovery.gone} finished or gone from this node" if recovery.gone else "")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _day(at_s: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at_s))


def _hour(at_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H", time.gmtime(at_s))
