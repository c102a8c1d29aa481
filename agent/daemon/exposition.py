"""Prometheus' text format (version 0.0.4), written without a client library.

The agent has no use for a registry: ``metrics.py`` holds all numbers in one table. So the format is
these few lines, and the 2 MiB of the library stay off every node; the tests read each page back
with the library's own parser and with promtool.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_IN_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
_IN_LABEL = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def heading(name: str, kind: str, says: str) -> str:
    """Write the two lines above a metric."""
    return f"# HELP {name} {says.translate(_IN_HELP)}\n# TYPE {name} {kind}\n"


def series(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    """Write one number with its labels, which may hold anything."""
    pairs = ",".join(f'{label}="{word.translate(_IN_LABEL)}"' for label, word in sorted(labels))
    return f"{name}{{{pairs}}} {number(value)}\n" if pairs else f"{name} {number(value)}\n"


def histogram(
    name: str,
    labels: Sequence[tuple[str, str]],
    buckets: Iterable[tuple[str, int]],
    total: float,
) -> str:
    """Write one histogram; ``buckets`` are pairs of upper bound and cumulative count."""
    lines, count = [], 0
    for bound, count in buckets:
        lines.append(series(f"{name}_bucket", (*labels, ("le", bound)), count))
    lines.append(series(f"{name}_count", labels, count))
    lines.append(series(f"{name}_sum", labels, total))
    return "".join(lines)


def number(value: float) -> str:
    """Write a number as Go reads it."""
    words = {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}
    said = repr(float(value))
    return words.get(said, said)
