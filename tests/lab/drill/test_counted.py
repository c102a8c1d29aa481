"""Lost, told twice, wrong: the counts of docs/reliability.md cannot flatter."""

from __future__ import annotations

from typing import Any

from tests.lab.drill.faults import FAULTS, Expected
from tests.lab.drill.matrix import Played, as_markdown, counted, into

KILL = Expected("health_monitor", frozenset({"runtime_hang"}), 4)


def told(
    cause: str = "runtime_hang",
    killer: str = "health_monitor",
    pods: int = 4,
    *,
    planned: bool = False,
) -> dict[str, Any]:
    return {
        "cause": cause,
        "killer": {"kind": killer} if killer else None,
        "victims": [{"pod": str(number)} for number in range(pods)],
        "planned": planned,
    }


def counts(expected: list[Expected], incidents: list[dict[str, Any]]) -> tuple[int, int, int]:
    played = counted("x", expected, incidents, 1.0, 2.0)
    return played.lost, played.duplicated, played.wrong


def test_one_told_once_and_right_is_all_zero() -> None:
    assert counts([KILL], [told()]) == (0, 0, 0)
    assert counts([], []) == (0, 0, 0)


def test_silence_is_a_loss() -> None:
    assert counts([KILL], []) == (1, 0, 0)


def test_the_same_kill_twice_is_counted() -> None:
    assert counts([KILL], [told(), told(pods=2)]) == (0, 1, 0)


def test_another_cause_killer_number_of_pods_or_plan_is_wrong() -> None:
    for other in (told(cause="unknown"), told(killer="oom_killer"), told(pods=3)):
        assert counts([KILL], [other]) == (0, 0, 1)
    assert counts([KILL], [told(planned=True)]) == (0, 0, 1)


def test_what_nobody_did_is_wrong_to_tell() -> None:
    assert counts([], [told(killer="", pods=1)]) == (0, 0, 1)
    assert counts([KILL], [told(), told(killer="", pods=1)]) == (0, 0, 1)


def test_an_incident_without_victim_and_killer_hurts_nobody() -> None:
    assert counts([], [told(killer="", pods=0)]) == (0, 0, 0)


def test_the_table_adds_runs_up_and_shows_the_worst() -> None:
    name = next(iter(FAULTS))
    runs = [Played(name, 1, 1, 0, 0, 0, gap, took, ()) for gap, took in ((1.0, 3.0), (1.5, 2.0))]
    assert "| 2 | 2 | 2 | 0 | 0 | 0 | 1.5 | 3.0 |" in as_markdown(runs, "a Friday")


def test_the_table_goes_between_its_marks() -> None:
    page = "before\n<!-- matrix -->\nold\n<!-- /matrix -->\nafter\n"
    assert into(page, "new\n") == "before\n<!-- matrix -->\nnew\n<!-- /matrix -->\nafter\n"
