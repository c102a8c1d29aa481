"""What the arms say together: a table for people, and whether the backup alone can be blamed."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.drill.arm import Outcome
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.watch import Second


@dataclass(frozen=True, slots=True)
class Line:
    """One arm in figures; of the time with the backup, not before."""

    who: str
    ending: str
    worst_check_s: float
    checks: int
    io_pct: float
    read_mb_s: float
    app_p99_ms: float | None
    restarted: int
    why: str


def who(ending: Ending, setting: Setting) -> str:
    """Say who makes the backup."""
    return {
        Ending.NONE: "no backup",
        Ending.UNTHROTTLED: f"{setting.streams} x pg_basebackup, unthrottled",
        Ending.IONICE: f"{setting.streams} x pg_basebackup, ionice idle",
        Ending.GOVERNED: "knockon backup run",
    }[ending]


def line(outcome: Outcome) -> Line:
    """Put one arm in figures."""
    seconds = during(outcome)
    p99 = [one.app_p99_ms for one in seconds if one.app_p99_ms is not None]
    return Line(
        who(outcome.ending, outcome.setting),
        ending_of(outcome),
        round(outcome.worst_check_s, 1),
        len(outcome.checks),
        round(statistics.mean(one.io_pct for one in seconds), 0) if seconds else 0.0,
        round(statistics.mean(one.disk_mb_s for one in seconds), 1) if seconds else 0.0,
        round(statistics.median(p99), 0) if p99 else None,
        len(outcome.restarted),
        explanation(outcome),
    )


def during(outcome: Outcome) -> Sequence[Second]:
    """The seconds with the backup, up to the kill: what comes after is another story."""
    seconds = [one for one in outcome.seconds if one.at_s >= outcome.backup_from_s]
    end_s = killed_at_s(outcome)
    return seconds if end_s is None else [one for one in seconds if one.at_s <= end_s]


def killed_at_s(outcome: Outcome) -> float | None:
    """When the monitor gave up, in seconds since the drill began."""
    return next((one.at_s for one in outcome.seconds if one.killed), None)


def ending_of(outcome: Outcome) -> str:
    """What became of the node, in a few words."""
    at_s = killed_at_s(outcome)
    if at_s is None:
        progress = taken_mb(outcome)
        far = f"; {progress[0]:,.0f} of {progress[1]:,.0f} MB taken" if progress else ""
        return f"survived{far}"
    if at_s < outcome.backup_from_s:
        return f"docker killed before the backup began ({at_s:.0f} s)"
    return f"docker killed {at_s - outcome.backup_from_s:.0f} s into it"


def taken_mb(outcome: Outcome) -> tuple[float, float] | None:
    """How far a backup came, of how much, if it tells so itself, as ours does."""
    for text in reversed(outcome.said.splitlines()):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            told = json.loads(text)
            return told["read_bytes"] / 1e6, told["expected_bytes"] / 1e6
    return None


def explanation(outcome: Outcome) -> str:
    """What Knock-on said of it."""
    told = [one for one in outcome.told.incidents if one.get("killer")]
    if told:
        return str(told[0].get("verdict") or told[0]["cause"])
    return "nothing to report" if not outcome.told.incidents else "an incident without a killer"


def judged(outcomes: Sequence[Outcome]) -> str:
    """Say what the arms prove, and no more; nothing here was injected into docker."""
    by = {outcome.ending: outcome for outcome in outcomes}
    died = {ending for ending, outcome in by.items() if outcome.killed}
    if not {Ending.NONE, Ending.UNTHROTTLED, Ending.GOVERNED} <= by.keys():
        return "Too few endings were played to say whose fault it was."
    if Ending.NONE in died:
        return (
            "The node died without a backup as well: it is too small, and nothing here can be "
            "blamed on one."
        )
    if Ending.UNTHROTTLED not in died:
        return "The unthrottled backup did not kill docker this time: nothing is proven."
    if Ending.GOVERNED in died:
        return (
            "The node died with both backups: on a node this short of memory the governed one is "
            "no cure."
        )
    return (
        "The same node survives without a backup and with the governed one, and dies with the "
        "unthrottled one: that kill was the backup's. Nothing was injected."
    )


def as_text(outcomes: Sequence[Outcome]) -> str:
    """Return the table and the verdict for a terminal or a log."""
    heads = ("backup", "ending", "worst check", "I/O stalled", "read", "app p99", "pods re-created")
    rows = [heads, *(_cells(line(outcome)) for outcome in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows]  # fmt: skip
    said = [f"Knock-on on {line(one).who}: {explanation(one)}" for one in outcomes if one.killed]
    return "\n".join([*text, "", *said, judged(outcomes)]) + "\n"


def _cells(one: Line) -> tuple[str, ...]:
    p99 = "-" if one.app_p99_ms is None else f"{one.app_p99_ms:,.0f} ms"
    return (
        one.who, one.ending, f"{one.worst_check_s:g} s", f"{one.io_pct:.0f} %",
        f"{one.read_mb_s:g} MB/s", p99, str(one.restarted),
    )  # fmt: skip
