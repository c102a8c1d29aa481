"""The processes that moved most, as lines of the recorder's table. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.model import Subject
from agent.printable import safe
from agent.recorder.top_processes import TopProcesses, owner_title
from agent.words import counted

_TOP = 8
_Process = tuple[int, str, Subject | None]


@dataclass(slots=True)
class _Sum:
    """What one process moved in all the looks that found it among the busiest."""

    read_bytes: int = 0
    write_bytes: int = 0
    looks: int = 0


def process_lines(looks: Sequence[TopProcesses], span_s: float, pod: str = "") -> list[str]:
    """Return the lines, with an empty one before them; none where nobody looked, or moved much.

    Rates are over all of the ``span_s`` seconds, shares are of what moved while somebody was busy.
    """
    if not looks:
        return []
    sums: dict[_Process, _Sum] = {}
    for top in looks:
        for one in top.processes:
            if pod and not (one.owner and is_asked_for(one.owner, pod)):
                continue
            found = sums.setdefault((one.pid, one.name, one.owner), _Sum())
            found.read_bytes += one.read_bytes
            found.write_bytes += one.write_bytes
            found.looks += 1
    order = sorted(sums, key=lambda key: -(sums[key].read_bytes + sums[key].write_bytes))[:_TOP]
    whole = sum(top.moved_bytes for top in looks)
    head = ("process", "pid", "of", "MB/s read", "MB/s written", "share", "looks")
    rows = [_cells(key, sums[key], (span_s, whole)) for key in order]
    lines = columns_of([head, *rows], left=3) if rows else ["  no process moved much"]
    return ["", *lines, *_notes(looks)]


def _cells(key: _Process, sums: _Sum, of: tuple[float, int]) -> tuple[str, ...]:
    (pid, name, owner), (span_s, whole) = key, of
    share = (sums.read_bytes + sums.write_bytes) / whole if whole else 0.0
    return (
        safe(name, 30),
        str(pid),
        safe(owner_title(owner), 60) if owner else "-",
        f"{sums.read_bytes / span_s / 1e6:.2f}",
        f"{sums.write_bytes / span_s / 1e6:.2f}",
        f"{share:.0%}",
        str(sums.looks),
    )


def _notes(looks: Sequence[TopProcesses]) -> Iterator[str]:
    hidden = max(top.hidden for top in looks)
    if hidden:
        whose = counted(hidden, "process", "processes")
        yield f"  not seen: {whose} (reading the counters of others takes CAP_SYS_PTRACE)"


def columns_of(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Align rows of cells: the first ``left`` columns to the left, the others to the right."""
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def is_asked_for(owner: Subject, pod: str) -> bool:
    """Say whether ``pod`` (NAMESPACE/NAME, a name or a uid; empty: everybody) means this owner."""
    if not pod:
        return True
    namespace, slash, name = pod.rpartition("/")
    if slash and owner.namespace != namespace:
        return False
    return name in (owner.name, owner.uid)
