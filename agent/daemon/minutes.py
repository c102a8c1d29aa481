"""The minutes before an incident, from the recorder's ring; no more of them than are looked at.

Control groups make up nearly all of a Sample, and only the last minutes before the blow are asked
about them: earlier Samples keep the node's own numbers alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from agent.diagnosis.correlate import CONTEXT_BEFORE_S
from agent.diagnosis.offender import BASELINE_S
from agent.errors import UserError
from agent.model import BlindSpot, Incident, Probe, Sample
from agent.recorder.frame import PodName
from agent.recorder.ring_read import Found, Span, read_ring

_BEFORE_S = 3600.0  # a volume that was faster an hour ago
_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Minutes:
    """What the recorder knows about the time before and around an incident."""

    samples: tuple[Sample, ...] = ()
    probes: tuple[Probe, ...] = ()
    blind: tuple[BlindSpot, ...] = ()


def minutes_before(ring: Path, incident: Incident, names: Mapping[str, PodName]) -> Minutes:
    """Read the ring around an incident; one that cannot be read is a blind spot."""
    if incident.opened_at_s is None:
        return Minutes()
    at_s, end_s = incident.opened_at_s, incident.closed_at_s or incident.opened_at_s
    span = Span(at_s - _BEFORE_S, end_s + _AFTER_S)
    try:
        return _gathered(read_ring(ring, span, parts=False, names=names), incident)
    except UserError as error:
        return Minutes(blind=(BlindSpot("recorder", error.message),))
    except OSError as error:
        return Minutes(blind=(BlindSpot("recorder", f"{ring}: {error.strerror or error}"),))


def _gathered(found: Iterable[Found], incident: Incident) -> Minutes:
    samples: list[Sample] = []
    probes: list[Probe] = []
    blind: list[BlindSpot] = []
    groups_from_s = (incident.opened_at_s or 0.0) - BASELINE_S - 60.0
    groups_to_s = (incident.closed_at_s or 0.0) + 5.0
    for one in found:
        if isinstance(one, Sample):
            wanted = groups_from_s <= one.at_s <= groups_to_s
            samples.append(one if wanted else replace(one, cgroups=()))
        elif isinstance(one, Probe):
            probes.append(one)
        elif isinstance(one, BlindSpot) and _overlaps(one, incident):
            blind.append(one)
    samples.sort(key=lambda sample: sample.at_s)  # a clock that was set back writes out of order
    return Minutes(tuple(samples), tuple(probes), tuple(blind))


def _overlaps(spot: BlindSpot, incident: Incident) -> bool:
    opened_s, closed_s = incident.opened_at_s, incident.closed_at_s
    if opened_s is None or closed_s is None:
        return True
    begins_before_end = spot.from_s is None or spot.from_s <= closed_s
    ends_after_start = spot.to_s is None or spot.to_s >= opened_s - CONTEXT_BEFORE_S
    return begins_before_end and ends_after_start
