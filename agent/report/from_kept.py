"""What a report is made from, where it is made anew: kept diagnoses, and the recorder's ring."""

from __future__ import annotations

from collections.abc import Sequence

from agent.model import Diagnosis
from agent.recorder.ring_read import Recording, Span
from agent.report.page.span import AFTER_S, BEFORE_S
from agent.report.view import Origin
from agent.sources.kept import Kept
from agent.words import counted

LONGER_AGO = "The flight recorder keeps an hour, and this is longer ago."
_MARGIN_S = 60.0


def minutes_around(diagnosis: Diagnosis) -> Span | None:
    """Give the time whose minutes the charts show; none of an incident without a time."""
    opened_s, closed_s = diagnosis.incident.opened_at_s, diagnosis.incident.closed_at_s
    if opened_s is None:
        return None
    return Span(opened_s - BEFORE_S - _MARGIN_S, (closed_s or opened_s) + AFTER_S + _MARGIN_S)


def origin_of(
    kept: Sequence[Kept], minutes: Recording, name: str, node: str, command: str
) -> Origin:
    """Put together what was kept of some incidents, and the minutes around them."""
    every = (*minutes.probes, *(probe for one in kept for probe in one.probes))
    return Origin(
        name=name,
        node=node,
        pods=tuple(dict.fromkeys(pod for one in kept for pod in one.pods)),
        probes=tuple(sorted(dict.fromkeys(every), key=lambda one: one.at_s)),
        samples=minutes.samples,
        command=command,
    )


def left_out(kept: Sequence[Kept]) -> list[str]:
    """Say how many lines were not kept, if any."""
    lost = sum(one.facts_left_out for one in kept)
    says = f"{counted(lost, 'line')} that say the same as others are left on the node."
    return [says] if lost else []
