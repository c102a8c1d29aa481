"""Reads a ring file, also while it is written and whatever happened to it.

Nothing here raises for what the bytes hold: a torn end is where the writer was, anything else that
is damaged becomes a blind spot, and reading goes on at the next key frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from agent.model import BlindSpot, Probe, Sample, Subject
from agent.recorder.delta import Decoder, Wanted, every_row, no_part
from agent.recorder.frame import GROUP, PART, Frame, PodName, Samples, group_key
from agent.recorder.ring_file import RingFile, Slot, opened
from agent.recorder.ring_format import What
from agent.recorder.ring_words import Words
from agent.recorder.top_processes import TopProcesses
from agent.recorder.varint import Damaged, Known

SOURCE = "recorder"
GAP_S = 2.5  # two samples further apart than this: somebody was not looking


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a reader wants to look; the rest is decoded, but not made into Samples."""

    from_s: float = -math.inf
    to_s: float = math.inf


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that this node's counters can never show, at no time."""

    why: str


Found: TypeAlias = Sample | Probe | TopProcesses | BlindSpot | Limit


@dataclass(frozen=True, slots=True)
class Recording:
    """All that a ring holds: samples, probes and looks in order of time, blind spots, limits."""

    samples: tuple[Sample, ...] = ()
    probes: tuple[Probe, ...] = ()
    blind: tuple[BlindSpot, ...] = ()
    limits: tuple[str, ...] = ()
    processes: tuple[TopProcesses, ...] = ()

    @property
    def last_s(self) -> float | None:
        """The time of the newest sample."""
        return self.samples[-1].at_s if self.samples else None


def load_ring(
    source: Path | bytes,
    span: Span | None = None,
    parts: bool = True,
    names: Mapping[str, PodName] | None = None,
    owners: Iterable[Subject] | None = None,
) -> Recording:
    """Read a ring into memory; ``parts`` asks for each container beside the whole pods.

    ``names`` of pods by uid stand in where the recorder did not know them. Of all control groups
    only those of these ``owners`` are kept, if any are named: an hour of five instead of a hundred.
    """
    wanted = _wanted(parts, owners)
    with opened(source) as ring:
        found = _collected(_read(ring, span or Span(), wanted, names or {}))
    if ring.lapped and isinstance(source, Path):  # written faster than read: read a copy of it
        return load_ring(source.read_bytes(), span, parts, names, owners)
    return found


def _collected(read: Iterator[Found]) -> Recording:
    samples: list[Sample] = []
    probes: list[Probe] = []
    blind: list[BlindSpot] = []
    limits: list[str] = []
    processes: list[TopProcesses] = []
    for found in read:
        if isinstance(found, Sample):
            samples.append(found)
        elif isinstance(found, Probe):
            probes.append(found)
        elif isinstance(found, TopProcesses):
            processes.append(found)
        elif isinstance(found, Limit):
            limits.append(found.why)
        else:
            blind.append(found)
    samples.sort(key=lambda sample: sample.at_s)  # a clock that was set back writes out of order
    seen = (tuple(samples), tuple(probes), tuple(blind), tuple(limits))
    return Recording(*seen, tuple(processes))


def read_ring(
    source: Path | bytes,
    span: Span | None = None,
    parts: bool = True,
    names: Mapping[str, PodName] | None = None,
    owners: Iterable[Subject] | None = None,
) -> Iterator[Found]:
    """Give probes, looks at processes and notes, then samples and the gaps between, oldest first.

    Raises UserError when this is no ring; never for what a ring holds.
    """
    with opened(source) as ring:
        yield from _read(ring, span or Span(), _wanted(parts, owners), names or {})


def _read(
    ring: RingFile, span: Span, wanted: Wanted, names: Mapping[str, PodName]
) -> Iterator[Found]:
    slots = ring.slots()
    faults: list[BlindSpot] = []
    words = Words(dict(names))
    for slot in slots:
        for payload in ring.records(slot):
            if payload and payload[0] >= What.PROBE:
                try:
                    words.take(payload)
                except Damaged:
                    faults.append(_spot("a note in the ring is damaged", slot.at_ms, slot.at_ms))
    yield from (BlindSpot(SOURCE, why) for why in ring.faults)
    yield from faults
    yield from (Limit(why) for why in words.limits)
    yield from (spot for spot in words.blind.values() if (spot.to_s or 0.0) >= span.from_s)
    seen: list[Probe | TopProcesses] = [*words.probes.values(), *words.processes()]
    inside = (one for one in seen if span.from_s <= one.at_s <= span.to_s)
    yield from sorted(inside, key=lambda one: one.at_s)
    frames = _frames(ring, _near(slots, span), wanted)
    yield from _with_gaps(frames, span, Samples(words.names))


def _wanted(parts: bool, owners: Iterable[Subject] | None) -> Wanted:
    if owners is None:
        return every_row if parts else no_part
    chosen = {group_key(owner) for owner in owners}
    return lambda key: key in chosen if key[0] == GROUP else parts or key[0] != PART


def _near(slots: list[Slot], span: Span) -> list[Slot]:
    """Leave out slots that ended before the span: the one after them began before it."""
    early = {slot.lap for slot, after in pairwise(slots) if 0 < after.at_ms < span.from_s * 1000}
    return [slot for slot in slots if slot.lap not in early]


def _with_gaps(
    frames: Iterator[Frame | BlindSpot], span: Span, samples: Samples
) -> Iterator[Sample | BlindSpot]:
    before_s = -math.inf
    for found in frames:
        if isinstance(found, BlindSpot):
            if (found.to_s or math.inf) >= span.from_s:
                yield found
            continue
        at_s = found.at_ms / 1000
        if span.from_s <= at_s <= span.to_s:
            if math.isfinite(before_s) and at_s - before_s > GAP_S:
                yield BlindSpot(SOURCE, "nothing was sampled", before_s, at_s)
            elif at_s < before_s:
                yield BlindSpot(SOURCE, "the node's clock was set back", at_s, before_s)
            yield samples.sample(found)
        before_s = at_s


def _frames(ring: RingFile, slots: list[Slot], wanted: Wanted) -> Iterator[Frame | BlindSpot]:
    """Decode every slot from its first key frame; skip from damage to the next key frame."""
    at_ms = 0
    numbers = Known()
    for number, slot in enumerate(slots):
        chain = _Chain(numbers, wanted)
        for payload in ring.records(slot):
            was_torn = chain.torn
            frame = chain.follow(payload)
            if frame is None:
                continue
            if was_torn:
                yield _spot("part of the ring is damaged", at_ms or frame.at_ms, frame.at_ms)
            at_ms = frame.at_ms
            yield frame
        following = slots[number + 1].at_ms if number + 1 < len(slots) else None
        if chain.torn and following is not None:
            yield _spot("part of the ring is damaged", at_ms, following)
        elif chain.lost:  # damage with frames behind it is more than a writer's torn end
            yield BlindSpot(SOURCE, "the end of the ring is damaged", at_ms / 1000)


@dataclass(slots=True)
class _Chain:
    """Frames of one slot, each understood from the one before."""

    numbers: Known
    wanted: Wanted
    decoder: Decoder | None = None
    torn: bool = False
    lost: int = 0

    def follow(self, payload: bytes | None) -> Frame | None:
        """Return the frame of a record, or None when it is none or cannot be understood."""
        if payload is None:
            self.decoder, self.torn = None, True
            return None
        if not payload or payload[0] not in (What.KEY, What.DELTA):
            return None
        if payload[0] == What.KEY:
            self.decoder = Decoder(self.numbers, self.wanted)
        if self.decoder is None:
            self.lost += 1
            return None
        try:
            frame = self.decoder.decode(payload[1:])
        except Damaged:
            self.decoder, self.torn = None, True
            return None
        self.torn, self.lost = False, 0
        return frame


def _spot(why: str, from_ms: int, to_ms: int) -> BlindSpot:
    return BlindSpot(SOURCE, why, from_ms / 1000, max(from_ms, to_ms) / 1000)
