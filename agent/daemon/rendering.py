"""Makes one report, and is gone: the process behind ``/incidents/ID/report``.

It gets the whole Diagnosis on standard input, reads the recorder's ring, and leaves a page. Nothing
it loads is ever in the agent's own memory.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agent.errors import UserError
from agent.model import Sample
from agent.recorder.ring_read import Recording, Span, load_ring, read_ring
from agent.report.from_kept import LONGER_AGO, left_out, minutes_around, origin_of
from agent.report.html import as_html
from agent.report.page.movers import CHECK_EVERY, MOST_SHOWN, largest
from agent.report.view import Report, report
from agent.report.whole_file import write_whole
from agent.sources.kept import Kept, unpacked

_USUAL = re.compile(r"(--node|-n|(pod/)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)")


def main(words: list[str]) -> int:
    """Take the ring's place (or nothing) and the page's; 1 when there is no page afterwards."""
    ring, page = words
    gc.disable()
    one = unpacked(sys.stdin.buffer.read())
    if one is None:
        sys.stderr.write("what was kept of it is of another version\n")
        return 1
    try:
        write_whole(Path(page), as_html(made_anew(one, Path(ring) if ring else None)))
    except MemoryError:
        sys.stderr.write("there is not enough memory for it\n")
        return 1
    except UserError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


def made_anew(one: Kept, ring: Path | None) -> Report:
    """Give the report of a kept Diagnosis, with the minutes around it if the ring has them."""
    minutes, lack = _minutes(one, ring)
    node = one.diagnosis.incident.node
    origin = origin_of([one], minutes, f"the agent of node {node}", node, _command(one))
    made = report([one.diagnosis], origin)
    return replace(made, notes=(*filter(None, (lack, *left_out([one]))), *made.notes))


def _command(one: Kept) -> str:
    """Say what to type on a laptop; nothing where a name is none that Kubernetes allows."""
    victim = next(iter(one.diagnosis.victims), None)
    words = ["--node", one.diagnosis.incident.node]
    if victim:
        words = [f"pod/{victim.pod}", "-n", victim.namespace]
    usual = all(map(_USUAL.fullmatch, words))
    return " ".join(["knockon", "why", *words]) if usual else ""


def _minutes(one: Kept, ring: Path | None) -> tuple[Recording, str]:
    span = minutes_around(one.diagnosis)
    if span is None or ring is None:
        return Recording(), ""
    names = {pod.uid: (pod.namespace, pod.name) for pod in one.pods if pod.uid}
    try:
        owners = largest(_now_and_then(ring, span), 2 * MOST_SHOWN)
        found = load_ring(ring, span, parts=False, names=names, owners=owners)
    except UserError as error:
        return Recording(), f"The flight recorder's minutes cannot be read: {error.message}."
    except OSError as error:
        why = error.strerror or str(error)
        return Recording(), f"The flight recorder's minutes cannot be read: {why}."
    return found, "" if found.samples else LONGER_AGO


def _now_and_then(ring: Path, span: Span) -> Iterator[Sample]:
    """Give one sample in many: enough to find out who moved most, before that is all one keeps."""
    found = (one for one in read_ring(ring, span, parts=False) if isinstance(one, Sample))
    return (sample for number, sample in enumerate(found) if number % CHECK_EVERY == 0)
