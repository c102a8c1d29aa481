"""Outcomes made by hand, for whoever shows them: as long and as busy as real ones."""

from __future__ import annotations

from tests.lab.drill.arm import Outcome
from tests.lab.drill.node import Check
from tests.lab.drill.setting import Ending, Setting
from tests.lab.drill.watch import Second
from tests.lab.drill.witness import Told

KILLED_AT = 60
BACKUP_FROM_S = 12.0
_LENGTH = 110


def second(at: int, *, busy: bool, killed: bool = False) -> Second:
    """One second, quiet or not."""
    return Second(
        at_s=float(at),
        io_pct=95.5 if busy else 20.25,
        memory_pct=30.5 if busy else 0.5,
        disk_mb_s=14.25 if busy else 0.75,
        written_mb_s=0.25,
        backlog_s=0.5 if busy else 0.0,
        app_p99_ms=1200.5 + at if busy else 21.5,
        app_done=40,
        major_faults=20 if busy else 1,
        refaults=900 if busy else 3,
        check_s=(10.25 if killed else 3.0 if busy else 0.25) if at % 5 == 0 else None,
        killed=killed,
    )


def outcome(ending: Ending, *, killed: bool, verdict: str = "Docker was killed.") -> Outcome:
    """One arm: a minute of load, and where it is told so a kill at its end."""
    busy = ending in (Ending.UNTHROTTLED, Ending.IONICE)
    end = KILLED_AT + 20 if killed else _LENGTH
    seconds = tuple(
        second(at, busy=busy and at >= BACKUP_FROM_S, killed=killed and at == KILLED_AT)
        for at in range(1, end)
    )
    checks = tuple(
        Check(one.at_s - one.check_s, one.check_s, 124 if one.killed else 0)
        for one in seconds
        if one.check_s is not None
    )
    killer = {"killer": {"kind": "health_monitor"}, "verdict": verdict, "cause": "runtime_hang"}
    told = Told((killer,) if killed else (), ("pg-0", "web-1") if killed else ())
    pods = ("pg-0", "web-0", "web-1", "agent") if killed else ()
    return Outcome(ending, Setting(), BACKUP_FROM_S, None, seconds, checks, pods, "", told)


def evening(verdict: str = "Docker was killed.") -> list[Outcome]:
    """All four endings, as they should come out."""
    return [
        outcome(one, killed=one in (Ending.UNTHROTTLED, Ending.IONICE), verdict=verdict)
        for one in Ending
    ]
