"""How many incidents a diagnosis sees where there are none: a million ordinary lines."""

from __future__ import annotations

import time
from collections import Counter

from agent.diagnosis.correlate import Scope, correlate
from agent.diagnosis.diagnose import diagnose
from agent.model import Fact
from agent.rules.catalogue import Catalogue
from bench.noise import noise
from bench.rows import Row

LINES = 1_000_000
SMOKE_LINES = 20_000


def bench(smoke: bool) -> list[Row]:
    """Count incidents, named causes and disbelieved lines in ordinary noise."""
    lines = SMOKE_LINES if smoke else LINES
    started_s = time.process_time()
    facts, spoofed = _heard(lines)
    found = correlate(facts, Scope(node="node-1")).incidents
    causes = Counter(diagnose(incident).cause.value for incident in found)
    spent_s = time.process_time() - started_s
    said = ", ".join(f"{count} x {cause}" for cause, count in sorted(causes.items())) or "none"
    return [
        Row("quiet", f"false incidents in {lines:,} ordinary lines", str(len(found)), "0", said),
        Row("quiet", "lines that claimed a trigger and were not believed", f"{spoofed:,}"),
        Row("quiet", "read, matched and correlated", f"{lines / spent_s:,.0f} lines/s of CPU"),
    ]


def _heard(lines: int) -> tuple[list[Fact], int]:
    catalogue = Catalogue.load()
    facts: list[Fact] = []
    spoofed = 0
    for record in noise(lines):
        reading = catalogue.read(record)
        facts.extend(reading.facts)
        spoofed += reading.spoofed is not None
    return facts, spoofed
