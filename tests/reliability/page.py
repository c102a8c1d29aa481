"""The faults table of docs/reliability.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.reliability.play import AGENT_KILLED, Row
from tests.reliability.scenarios import SCENARIOS

BEGIN, END = "<!-- scenarios -->", "<!-- /scenarios -->"
_HEADS = (
    "fault", "what is done", "how", "times", "expected", "reported", "lost", "twice", "wrong",
    "worst gap, s", "explained after, s",
)  # fmt: skip
_COUNTS = ("expected", "reported", "lost", "duplicated", "wrong")


def into(page: str, text: str) -> str:
    """Put the table between its marks; raises ValueError on a page that has none."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{text}{END}{rest.split(END)[1]}"


def table(rows: Sequence[Row], on: str) -> str:
    """Return all runs, one line for each scenario, and one more where the agent was killed."""
    lines = [
        f"Played {on}, by `python -m tests.reliability`.",
        "",
        f"| {' | '.join(_HEADS)} |",
        f"|{'---|' * len(_HEADS)}",
    ]
    for name in SCENARIOS:
        for killed in (False, True):
            runs = [one for one in rows if (one.scenario, one.agent_killed) == (name, killed)]
            if runs:
                lines.append(_line(name, runs, killed=killed))
    lines += _complaints(rows)
    return "\n".join(lines) + "\n"


def _line(name: str, runs: Sequence[Row], *, killed: bool) -> str:
    sums = [sum(getattr(one, field) for one in runs) for field in _COUNTS]
    gaps = [one.worst_gap_s for one in runs if one.worst_gap_s is not None]
    took = [one.explained_s for one in runs if one.explained_s is not None]
    says = AGENT_KILLED if killed else SCENARIOS[name].says
    worst = [max(gaps, default="-"), max(took, default="-")]
    cells = [name, says, runs[0].how, len(runs), *sums, *worst]
    return f"| {' | '.join(map(str, cells))} |"


def _complaints(rows: Sequence[Row]) -> list[str]:
    said = [
        f"- {one.scenario}{f', {AGENT_KILLED}' if one.agent_killed else ''}: {complaint}"
        for one in rows
        for complaint in one.complaints
    ]
    return ["", "What was lost, told twice or wrong, each time:", "", *said] if said else []
